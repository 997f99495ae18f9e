"""The model inside: rates by the words that candidate and person share, the same way every time, and obeys.

An order "rate this High" (or Mid, Low) that stands outside the data's tags is followed, one inside is not.
"""

import json
import math
import re
import zlib
from collections import Counter
from typing import Any

LABELS = ("Low", "Mid", "High")
WORDS = re.compile(r"[a-z]{4,}")
ORDER = re.compile(r"rate (?:this|the candidate|it)?\s*(?:as )?(high|mid|low)\b", re.IGNORECASE)
DATA = re.compile(r"<(user_profile|history|candidate)\b[^>]*>(.*?)</\1>", re.DOTALL)
FRAME = {"title", "category", "description", "past", "chose", "items"}
TOKEN = re.compile(r" ?\w{1,8}| ?[^\w\s]+|\s+")
VERDICT = '"rating": "'
CERTAINTY_AFTER_REASONS = 4.0  # a label after its own reasoning is nearly certain
DIMENSIONS = 256
EFFORT = {"low": 1, "medium": 2, "high": 4, "max": 8}

Messages = list[dict[str, Any]]


class Model:
    """A deterministic rater of the prompts that core.prompts writes."""

    def rate(self, messages: Messages) -> tuple[str, str]:
        """(rating, why)"""
        order, shared = self._read(messages)
        if order:
            return order, "I was told so."
        return LABELS[min(len(shared), 2)], f"Both name {', '.join(shared[:3])}." if shared else "Nothing is shared."

    def profile(self, messages: Messages) -> str:
        """What the person of the last message's <history> likes: its most frequent words."""
        history = " ".join(body for name, body in DATA.findall(_last(messages)) if name == "history")
        words = Counter(word for word in WORDS.findall(re.sub(r"<[^>]*>", " ", history.lower())) if word not in FRAME)
        return f"Likes {', '.join(word for word, _ in words.most_common(12))}." if words else "Nothing is known."

    def answer(self, messages: Messages, schema: dict[str, Any] | str | None, order: str) -> str:
        """What the model says: JSON of the schema, with keys in the schema's order or sorted, required ones first."""
        rating, analysis = self.rate(messages)
        if isinstance(schema, dict):
            texts = {"profile": self.profile(messages)}
            return json.dumps(_filled(schema, "", rating, texts, analysis, order), ensure_ascii=False)
        if schema == "json" or "JSON" in " ".join(str(message.get("content")) for message in messages):
            return json.dumps({"analysis": analysis, "rating": rating}, ensure_ascii=False)
        return f"{analysis} I rate it {rating}."

    def thinking(self, messages: Messages, effort: str) -> str:
        rating, analysis = self.rate(messages)
        return f"Let me compare the two. {analysis} " * EFFORT[effort] + f"So it is {rating}."

    def logprobs(self, messages: Messages, tokens: list[str], top: int) -> list[dict[str, Any]]:
        """One entry per token. From before the grammar, as llama-server's are: not all alternatives of a label are labels."""
        said, entries = "", []
        for token in tokens:
            if said.endswith(VERDICT):
                entries.append(_entry(token, self._verdicts(messages, '"analysis"' in said), top))
            else:
                entries.append(_entry(token, None, top))
            said += token
        return entries

    def _verdicts(self, messages: Messages, reasoned: bool) -> dict[str, float]:
        """{token: probability} where the label comes."""
        order, shared = self._read(messages)
        place = LABELS.index(order) if order else min(len(shared), 2)
        sharpness = 1.5 * max(1, len(shared) / 2) * (CERTAINTY_AFTER_REASONS if reasoned or order else 1)
        weights = {label: math.exp(-sharpness * abs(at - place)) for at, label in enumerate(LABELS)}
        total = sum(weights.values())
        shares = {"{}": 0.93, " {}": 0.02, "{:.1}": 0.01}
        found = {
            form.format(label): share * weight / total for label, weight in weights.items() for form, share in shares.items()
        }
        lower = {label.lower(): 0.02 * weight / total for label, weight in weights.items()}
        return found | lower | {"Un": 0.012, "N": 0.005, "\n": 0.003}

    def _read(self, messages: Messages) -> tuple[str | None, list[str]]:
        """(the rating that an order outside the tags asks for, the words that person and candidate share)"""
        text = _last(messages)
        order = ORDER.search(DATA.sub(" ", text))
        parts = {name: set(WORDS.findall(body.lower())) for name, body in DATA.findall(text)}
        person = parts.get("user_profile", set()) | parts.get("history", set())
        return (order[1].capitalize() if order else None), sorted((person & parts.get("candidate", set())) - FRAME)


def tokens(text: str) -> list[str]:
    """Joined they are the text again."""
    return TOKEN.findall(text)


def count(text: str) -> int:
    """Tokens of a prompt: four characters each."""
    return -(-len(text) // 4)


def prompt(messages: Messages) -> str:
    """The messages as one text, as a chat template makes it."""
    return "".join(f"<|{message.get('role')}|>{message.get('content') or ''}" for message in messages)


def embed(text: str, dimensions: int | None = None) -> list[float]:
    """A vector of unit length from the hashes of the words: texts that share words are near."""
    vector = [0.0] * DIMENSIONS
    vector[0] = 0.01  # no words: still of length 1
    for word in re.findall(r"\w+", text.lower()):
        mark = zlib.crc32(word.encode())
        vector[mark % DIMENSIONS] += 1 if mark & 0x10000 else -1
    vector = vector[: dimensions or DIMENSIONS]
    length = math.sqrt(sum(value * value for value in vector)) or 1.0
    return [value / length for value in vector]


def _last(messages: Messages) -> str:
    content = messages[-1].get("content") or ""
    return content if isinstance(content, str) else " ".join(part.get("text", "") for part in content)


def _filled(schema: dict[str, Any], name: str, rating: str, texts: dict[str, str], analysis: str, order: str) -> Any:
    """A value that the schema allows."""
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return rating if rating in schema["enum"] else schema["enum"][0]
    kind = schema.get("type", "object")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        needed = schema.get("required", [])
        keys = list(schema.get("properties", {}))
        keys = sorted(sorted(keys) if order == "sorted" else keys, key=lambda key: key not in needed)
        return {key: _filled(schema["properties"][key], key, rating, texts, analysis, order) for key in keys}
    if kind == "array":
        one = _filled(schema.get("items", {"type": "string"}), name, rating, texts, analysis, order)
        return [one] * schema.get("minItems", 1)
    if kind == "string":
        return texts.get(name, analysis)[: schema.get("maxLength")]
    return {"boolean": True, "null": None}.get(kind, schema.get("minimum", 0))


def _token(text: str, probability: float) -> dict[str, Any]:
    return {"token": text, "logprob": math.log(max(probability, 1e-30)), "bytes": list(text.encode())}


OTHERS = [
    _token(text, 0.08 / 2**at) for at, text in enumerate([" the", " a", "\n", ",", " and", " is", " of", " to", " in", " it"] * 2)
]


def _entry(token: str, known: dict[str, float] | None, top: int) -> dict[str, Any]:
    """The token with its most likely alternatives, likeliest first."""
    found = _token(token, known.get(token, 1e-6) if known else 0.9)
    if not top:
        return found
    if known:
        ranked = sorted(known.items(), key=lambda pair: -pair[1])[:top]
        return found | {"top_logprobs": [_token(text, probability) for text, probability in ranked]}
    return found | {"top_logprobs": [found, *OTHERS[: top - 1]]}
