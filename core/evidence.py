"""What an analysis rests on: which of its words and quotations stand in the texts that the judge was shown, and which in none."""

import html
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from core.errors import BadAnswer

_BLOCK = re.compile(r"<(user_profile|history|candidate)\b[^>]*>\n?(.*?)\n?</\1>", re.DOTALL)
_PAST = re.compile(r"</?past\b[^>]*>")
_QUOTED = re.compile(r"[\"“«„]([^\"“”«»„\n]{2,120})[\"”»“]|(?<![\w*])\*([^*\n]{2,120})\*(?![\w*])|(?<!\w)'([^'\n]{2,120})'(?!\w)")
_WORD = re.compile(r"[^\W\d_]{4,}")


class Ground(StrEnum):
    """Where words of an analysis come from."""

    BOTH = "both"  # what is known of the person, and the item
    PERSON = "person"
    ITEM = "item"
    NOWHERE = "nowhere"  # quoted, but in no text that was shown: made up, or from what the model remembers


@dataclass(frozen=True)
class Span:
    """A piece of a text, `text[start:end]`."""

    start: int
    end: int
    ground: Ground


@dataclass(frozen=True)
class Shown:
    """The texts about a pair that a judge was shown, as people read them."""

    person: str  # the profile, or the items chosen before, one a line
    item: str


def shown(prompt: str) -> Shown:
    """The texts in the messages (JSON, as the store keeps them); BadAnswer when they hold no candidate between tags."""
    try:
        content = "\n".join(message["content"] for message in json.loads(prompt) if message["role"] == "user")
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise BadAnswer("The messages of this judgment cannot be read.") from error
    found = {name: html.unescape(_PAST.sub("", body)) for name, body in _BLOCK.findall(content)}
    if "candidate" not in found:
        raise BadAnswer("The messages of this judgment hold no texts between tags.")
    return Shown(found.get("user_profile") or found.get("history", ""), found["candidate"])


def grounds(analysis: str, texts: Shown) -> list[Span]:
    """Pieces of an analysis with where they stand, in order and apart: every quotation, and every telling word of both texts."""
    person, item = _plain(texts.person), _plain(texts.item)
    spans = []
    for match in _QUOTED.finditer(analysis):
        group = next(number for number in (1, 2, 3) if match[number] is not None)
        ground = _where(_plain(match[group]).strip(" .,;:!?"), person, item)
        spans.append(Span(match.start(group), match.end(group), ground))
    for match in _WORD.finditer(analysis):
        apart = all(match.end() <= span.start or match.start() >= span.end for span in spans)
        if apart and _telling(match[0]) and _where(_plain(match[0]), person, item, whole=True) is Ground.BOTH:
            spans.append(Span(match.start(), match.end(), Ground.BOTH))
    return sorted(spans, key=lambda span: span.start)


def marks(text: str, analysis: str, spans: Sequence[Span]) -> list[Span]:
    """The pieces of a shown text that an analysis names, by its spans."""
    named = {_plain(analysis[span.start : span.end]).strip(" .,;:!?") for span in spans if span.ground is not Ground.NOWHERE}
    found = [
        Span(match.start(), match.end(), Ground.BOTH)
        for phrase in sorted(filter(None, named), key=len, reverse=True)
        for match in re.finditer(rf"(?<!\w){re.escape(phrase)}(?!\w)", text, re.IGNORECASE)
    ]
    return _apart(found)


def most_named(analyses: Sequence[str], titles: Sequence[str]) -> int | None:
    """The place of the title that analyses name most: in full, else by the most of its telling words; None: by none."""
    text = _plain(" ".join(analyses))
    words = set(_WORD.findall(text))

    def told(title: str) -> tuple[int, int]:
        plain = _plain(title)
        full = len(re.findall(rf"(?<!\w){re.escape(plain)}(?!\w)", text)) if plain else 0
        return full, sum(_telling(word) for word in set(_WORD.findall(plain)) & words)

    counts = [told(title) for title in titles]
    best = max(counts, default=(0, 0))
    return counts.index(best) if any(best) else None


def _apart(spans: Iterable[Span]) -> list[Span]:
    kept: list[Span] = []
    for span in spans:
        if all(span.end <= other.start or span.start >= other.end for other in kept):
            kept.append(span)
    return sorted(kept, key=lambda span: span.start)


def _where(phrase: str, person: str, item: str, *, whole: bool = False) -> Ground:
    """`whole`: only as a word of its own, not as a part of one."""
    if whole:
        pattern = re.compile(rf"(?<!\w){re.escape(phrase)}(?!\w)")
        in_person, in_item = bool(pattern.search(person)), bool(pattern.search(item))
    else:
        in_person, in_item = phrase in person, phrase in item
    if in_person and in_item:
        return Ground.BOTH
    return Ground.PERSON if in_person else Ground.ITEM if in_item else Ground.NOWHERE


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def _telling(word: str) -> bool:
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    return word.casefold() not in ENGLISH_STOP_WORDS | FRAME


FRAME = frozenset(
    {"title", "category", "description", "unknown", "items", "item", "profile", "chosen", "chose", "categories", "often"}
)
"""Words of the questions' own frame."""
