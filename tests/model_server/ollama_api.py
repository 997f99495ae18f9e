"""The routes under /api, as Ollama v0.33 answers them."""

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.model_server.answering import Answer, Question, ask
from tests.model_server.faults import parse
from tests.model_server.model import EFFORT, count, embed
from tests.model_server.state import FAMILIES, family_of, full_name
from tests.model_server.web import Handler

VERSION = "0.33.0"
LOAD_OPTIONS = ("num_ctx", "num_batch", "num_gpu", "main_gpu", "use_mmap", "num_thread", "draft_num_predict")
"""A change of one of these loads the model again."""

INTEGERS = {*LOAD_OPTIONS, "num_keep", "seed", "num_predict", "top_k", "repeat_last_n"} - {"use_mmap"}
FLOATS = {"top_p", "min_p", "typical_p", "temperature", "repeat_penalty", "presence_penalty", "frequency_penalty"}
PULL_STEPS = 10


def root(handler: Handler, asked: dict[str, Any]) -> None:
    handler.text(200, "Ollama is running")


def version(handler: Handler, asked: dict[str, Any]) -> None:
    handler.json(200, {"version": VERSION})


def tags(handler: Handler, asked: dict[str, Any]) -> None:
    handler.json(200, {"models": [handler.state.about(name) for name in handler.state.models]})


def show(handler: Handler, asked: dict[str, Any]) -> None:
    name = _model(handler, {"model": asked.get("model") or asked.get("name")})
    if not name:
        return None
    about = handler.state.about(name)
    family = about["details"]["family"]
    info = {"general.architecture": family, f"{family}.context_length": handler.state.options.context}
    shown = {"license": "", "modelfile": f"FROM {name}", "parameters": "", "template": "{{ .Prompt }}", "model_info": info}
    kept = {key: about[key] for key in ("details", "capabilities", "modified_at")}
    return handler.json(200, shown | kept)


def loaded(handler: Handler, asked: dict[str, Any]) -> None:
    """/api/ps"""
    expires = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
    models = []
    for name, runner in list(handler.state.machine.runners.items()):
        about = {key: value for key, value in handler.state.about(name).items() if key not in ("modified_at", "capabilities")}
        context = dict(runner.key)["num_ctx"]
        models.append(about | {"expires_at": expires, "size_vram": 0, "context_length": context})
    handler.json(200, {"models": models})


def pull(handler: Handler, asked: dict[str, Any]) -> None:
    given = asked.get("model") or asked.get("name")
    if not isinstance(given, str) or not given:
        return handler.fail(400, "invalid model name")
    name = full_name(given)
    known = name in handler.state.models or name.split(":")[0] in FAMILIES
    if asked.get("stream", True):
        return handler.stream("application/x-ndjson", (json.dumps(line) + "\n" for line in _pulling(handler, name, known)))
    last = list(_pulling(handler, name, known))[-1]
    return handler.json(500 if "error" in last else 200, last)


def _pulling(handler: Handler, name: str, known: bool) -> Iterator[dict[str, Any]]:
    yield {"status": "pulling manifest"}
    if not known:
        yield {"error": "pull model manifest: file does not exist"}
        return
    for layer, total in (("weights", 4_000_000_000), ("template", 1_500)):
        digest = hashlib.sha256(f"{name} {layer}".encode()).hexdigest()
        line = {"status": f"pulling {digest[:12]}", "digest": f"sha256:{digest}", "total": total}
        yield line  # nothing is there yet, and zero is left out
        for step in range(1, PULL_STEPS + 1):
            handler.pause(handler.state.options.pull / (2 * PULL_STEPS))
            yield line | {"completed": total * step // PULL_STEPS}
    yield {"status": "verifying sha256 digest"}
    yield {"status": "writing manifest"}
    handler.state.pull(name)
    yield {"status": "success"}


def chat(handler: Handler, asked: dict[str, Any]) -> None:
    messages = asked.get("messages") or []
    good = isinstance(messages, list) and all(isinstance(message, dict) for message in messages)
    if not good or not all(isinstance(message.get("content") or "", str) for message in messages):
        return handler.fail(400, "json: cannot unmarshal into Go struct field ChatRequest.messages of type []api.Message")
    return _answer(handler, asked, messages, "chat")


def generate(handler: Handler, asked: dict[str, Any]) -> None:
    system = [{"role": "system", "content": asked["system"]}] if asked.get("system") else []
    messages = [*system, {"role": "user", "content": asked["prompt"]}] if asked.get("prompt") else []
    _answer(handler, asked, messages, "generate")


def _answer(handler: Handler, asked: dict[str, Any], messages: list[dict[str, Any]], route: str) -> None:
    name = _model(handler, asked)
    if not name:
        return None
    state = handler.state
    family, _, capabilities = family_of(name)
    if messages == [] and asked.get("keep_alive") == 0:
        state.machine.unload(name)
        return handler.json(200, _reply(asked, route, "", "") | {"done": True, "done_reason": "unload"})
    if not isinstance(asked.get("options") or {}, dict):
        return handler.fail(
            400, "json: cannot unmarshal into Go struct field ChatRequest.options of type map[string]interface {}"
        )
    wrong = _wrong(asked, capabilities, route)
    if wrong:
        return handler.fail(500 if wrong.startswith("option ") or wrong.startswith("invalid format") else 400, wrong)
    options = asked.get("options") or {}
    context = min(int(options.get("num_ctx") or state.options.num_ctx), state.options.context)
    key = runner_key(context, options, asked.get("shift"))
    if not messages:
        with state.machine.slot(name, key, "", handler.pause):
            return handler.json(200, _reply(asked, route, "", "") | {"done": True, "done_reason": "load"})
    question = Question(
        model=name,
        messages=messages,
        schema=asked.get("format") or None,
        effort=effort(asked.get("think"), family, capabilities),
        limit=int(options.get("num_predict", -1)),
        context=context,
        runner=key,
        may_cut=asked.get("truncate") is not False,
        may_shift=asked.get("shift") is not False,
        top=int(asked.get("top_logprobs") or 0) if asked.get("logprobs") else None,
    )
    return ask(handler, asked, question, _send_chat if route == "chat" else _send_generate)


def runner_key(context: int, options: dict[str, Any], shift: bool | None) -> tuple[tuple[str, Any], ...]:
    """What the runner is started with."""
    chosen = {name: options.get(name) for name in LOAD_OPTIONS} | {"num_ctx": context, "shift": shift is not False}
    return tuple(chosen.items())


def effort(think: bool | str | None, family: str, capabilities: list[str]) -> str | None:
    """How hard it thinks: by default where it can, and gpt-oss always."""
    if "thinking" not in capabilities or (think is False and family != "gptoss"):
        return None
    return think if isinstance(think, str) else "medium"


def _wrong(asked: dict[str, Any], capabilities: list[str], route: str) -> str | None:
    """The error of a request that asks for what cannot be."""
    think, schema, top = asked.get("think"), asked.get("format"), asked.get("top_logprobs") or 0
    if not (think is None or isinstance(think, bool) or think in EFFORT):
        return f'invalid think value: "{think}" (must be "high", "medium", "low", "max", true, or false)'
    if not isinstance(top, int) or not 0 <= top <= 20:
        return "top_logprobs must be between 0 and 20"
    if think and "thinking" not in capabilities:
        return f'"{asked["model"]}" does not support thinking'
    if "completion" not in capabilities:
        return f'"{asked["model"]}" does not support {route}'
    if not (schema in (None, "", "json") or isinstance(schema, dict)):
        return f'invalid format: {json.dumps(schema)}; expected "json" or a valid JSON Schema object'
    for name, value in (asked.get("options") or {}).items():
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if value is not None and not number and name in INTEGERS | FLOATS:
            return f'option "{name}" must be of type {"integer" if name in INTEGERS else "float32"}'
        if value is not None and not isinstance(value, bool) and name == "use_mmap":
            return f'option "{name}" must be of type boolean'
        if value is not None and not isinstance(value, list) and name == "stop":
            return f'option "{name}" must be of type array'
    return None


def _reply(asked: dict[str, Any], route: str, content: str, thinking: str) -> dict[str, Any]:
    thought = {"thinking": thinking} if thinking else {}
    start = {"model": asked["model"], "created_at": datetime.now(UTC).isoformat().replace("+00:00", "Z")}
    if route == "chat":
        return start | {"message": {"role": "assistant", "content": content} | thought, "done": False}
    return start | {"response": content} | thought | {"done": False}


def _metrics(answer: Answer) -> dict[str, Any]:
    cached = {"prompt_eval_cached_count": answer.work.cached_tokens} if answer.work.cached_tokens else {}
    counts = {"prompt_eval_count": answer.work.prompt_tokens, "eval_count": answer.count}
    return {"done": True, "done_reason": "stop" if answer.whole else "length"} | answer.work.durations() | counts | cached


def _send_chat(handler: Handler, answer: Answer) -> None:
    _send(handler, answer, "chat", swapped=False)


def _send_generate(handler: Handler, answer: Answer) -> None:
    """/api/generate holds a thinking model to the format from its first token on, and takes the JSON for thoughts."""
    _send(handler, answer, "generate", swapped=bool(answer.question.effort and answer.question.schema))


def _send(handler: Handler, answer: Answer, route: str, swapped: bool) -> None:
    asked = handler.asked
    if asked.get("stream", True):
        return handler.stream("application/x-ndjson", (json.dumps(line) + "\n" for line in _lines(asked, answer, route, swapped)))
    answer.spend()
    if answer.kind == "streamerror":
        return handler.fail(500, "an error was encountered while running the model: unexpected EOF")
    content, thinking = ("", answer.content) if swapped else (answer.content, answer.thinking)
    reply = _reply(asked, route, content, thinking)
    if answer.kind != "unfinished":
        reply |= _metrics(answer)
    return handler.json(200, reply | ({"logprobs": answer.logprobs} if answer.logprobs else {}))


def _lines(asked: dict[str, Any], answer: Answer, route: str, swapped: bool) -> Iterator[dict[str, Any]]:
    for n, token in enumerate(answer.flow()):
        if answer.kind == "streamerror" and n == 2:
            yield {"error": "an error was encountered while running the model: unexpected EOF"}
            return
        if token.thought and swapped:
            continue
        hidden = token.thought or swapped
        line = _reply(asked, route, "" if hidden else token.text, token.text if hidden else "")
        yield line | ({"logprobs": [token.logprob]} if token.logprob else {})
    if answer.kind != "unfinished":
        yield _reply(asked, route, "", "") | _metrics(answer)


def embeddings(handler: Handler, asked: dict[str, Any]) -> None:
    """/api/embed"""
    state, given = handler.state, asked.get("input")
    texts = [given] if isinstance(given, str) and given else given or []
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        return handler.fail(400, "invalid input type")
    name = state.find(str(asked.get("model") or ""))
    if not name:
        return handler.fail(404, f'model "{asked.get("model")}" not found, try pulling it first')
    if not texts:
        return handler.json(200, {"model": asked["model"], "embeddings": []})
    context = state.options.context
    if asked.get("truncate") is False and any(count(text) > context for text in texts):
        return handler.fail(400, "the input length exceeds the context length")
    key = runner_key(context, asked.get("options") or {}, None)
    with state.machine.slot(name, key, "", handler.pause) as work:
        vectors = [embed(text[: 4 * context], asked.get("dimensions")) for text in texts]
        with state.lock:
            state.embedded += len(texts)
        spent = {key: work.durations()[key] for key in ("total_duration", "load_duration")}
        n = sum(map(count, texts))
        return handler.json(200, {"model": asked["model"], "embeddings": vectors, "prompt_eval_count": n} | spent)


def told(handler: Handler, asked: dict[str, Any]) -> None:
    handler.json(200, handler.state.told())


def reset(handler: Handler, asked: dict[str, Any]) -> None:
    handler.state.reset()
    handler.json(200, {})


def change_faults(handler: Handler, asked: dict[str, Any]) -> None:
    try:
        faults = parse(str(asked.get("faults", "")))
    except ValueError as error:
        return handler.fail(400, str(error))
    with handler.state.lock:
        handler.state.faults.change(faults)
    return handler.json(200, {})


def _model(handler: Handler, asked: dict[str, Any]) -> str | None:
    """The model that is asked for; None when the refusal has been sent."""
    given = asked.get("model")
    if not isinstance(given, str) or not given:
        handler.fail(400, "model is required")
        return None
    name = handler.state.find(given)
    if not name:
        handler.fail(404, f"model '{given}' not found")
    return name


ROUTES = {
    ("GET", "/"): root,
    ("GET", "/api/version"): version,
    ("GET", "/api/tags"): tags,
    ("GET", "/api/ps"): loaded,
    ("POST", "/api/show"): show,
    ("POST", "/api/pull"): pull,
    ("POST", "/api/chat"): chat,
    ("POST", "/api/generate"): generate,
    ("POST", "/api/embed"): embeddings,
    ("GET", "/_test/calls"): told,
    ("POST", "/_test/reset"): reset,
    ("POST", "/_test/faults"): change_faults,
}
