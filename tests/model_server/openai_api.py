"""The routes under /v1, as OpenAI and the servers that copy it answer them; and its batches, file to file."""

import json
import time
from argparse import Namespace
from collections.abc import Iterator, Sequence
from typing import Any

from tests.model_server.answering import Answer, Question, ask
from tests.model_server.faults import BATCH, FAULTS, READABLE, SPOILED, Faults, parse, spoil
from tests.model_server.model import Model, count, embed, prompt, tokens
from tests.model_server.ollama_api import effort, runner_key
from tests.model_server.state import family_of
from tests.model_server.web import Handler

CREATED = 1_787_000_000
TYPES = {"max_tokens": int, "max_completion_tokens": int} | dict.fromkeys(
    ("response_format", "chat_template_kwargs", "stream_options"), dict
)
UNSUPPORTED_BY_STRICT = {
    "maxLength", "minLength", "pattern", "format", "minimum", "maximum", "multipleOf", "minItems", "maxItems", "uniqueItems",
    "patternProperties", "unevaluatedProperties", "propertyNames", "minProperties", "maxProperties", "contains", "default",
}  # fmt: skip


def models(handler: Handler, asked: dict[str, Any]) -> None:
    data = [{"id": name, "object": "model", "created": CREATED, "owned_by": "library"} for name in handler.state.models]
    handler.json(200, {"object": "list", "data": data})


def chat(handler: Handler, asked: dict[str, Any]) -> None:
    options = handler.state.options
    name = _model(handler, asked)
    if not name:
        return None
    for parameter in filter(None, options.unsupported.split(",")):
        if parameter in asked:
            message = f"Unsupported parameter: '{parameter}' is not supported with this model."
            return handler.fail(400, message, code="unsupported_parameter", param=parameter)
    messages = asked.get("messages")
    if not isinstance(messages, list) or not messages or not all(isinstance(message, dict) for message in messages):
        return handler.fail(400, "Invalid type for 'messages': expected a non-empty array of objects.", param="messages")
    for parameter, kind in TYPES.items():
        if not isinstance(asked.get(parameter) or kind(), kind):
            return handler.fail(400, f"Invalid type for '{parameter}': expected {kind.__name__}.", param=parameter)
    family, _, capabilities = family_of(name)
    if "completion" not in capabilities:
        return handler.fail(400, f'"{name}" does not support chat')
    schema, wrong = _schema(asked, messages, options)
    if wrong:
        return handler.fail(400, wrong, param="response_format")
    top = asked.get("top_logprobs")
    if top is not None and (not asked.get("logprobs") or not isinstance(top, int) or not 0 <= top <= 20):
        return handler.fail(400, "'top_logprobs' wants 'logprobs', and is between 0 and 20.", param="top_logprobs")
    question = Question(
        model=name,
        messages=messages,
        schema=schema,
        effort=effort(_think(asked), family, capabilities),
        limit=_limit(asked),
        context=min(options.num_ctx, options.context),
        runner=runner_key(min(options.num_ctx, options.context), {}, None),
        may_cut=False,
        top=int(top or 0) if asked.get("logprobs") else None,
    )
    return ask(handler, asked, question, _send)


def _model(handler: Handler, asked: dict[str, Any]) -> str | None:
    name = handler.state.find(str(asked.get("model") or ""))
    if not name:
        message = f"The model `{asked.get('model')}` does not exist or you do not have access to it."
        handler.fail(404, message, code="model_not_found")
    return name


def _limit(asked: dict[str, Any]) -> int:
    return int(asked.get("max_completion_tokens") or asked.get("max_tokens") or -1)


def _think(asked: dict[str, Any]) -> bool | str | None:
    """`chat_template_kwargs` is vLLM's and llama-server's way to say it, `reasoning_effort` OpenAI's and Ollama's."""
    if (asked.get("chat_template_kwargs") or {}).get("enable_thinking") is False:
        return False
    given = asked.get("reasoning_effort")
    return False if given in ("none", "minimal") else given


def _schema(
    asked: dict[str, Any], messages: list[dict[str, Any]], options: Namespace
) -> tuple[dict[str, Any] | str | None, str | None]:
    """(schema or "json" or None, what is wrong with it)"""
    wanted = asked.get("response_format") or {"type": "text"}
    kind = wanted.get("type")
    if kind == "json_object":
        if "json" in prompt(messages).lower():
            return "json", None
        return None, "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'."
    if kind != "json_schema":
        return None, None if kind == "text" else f"Invalid value: '{kind}'."
    given = wanted.get("json_schema") or {}
    if not isinstance(given.get("schema"), dict) or not given.get("name"):
        return None, "Missing required parameter: 'response_format.json_schema'."
    wrong = _not_strict(given["schema"], ()) if options.strict_schema and given.get("strict") else None
    return given["schema"], wrong and f"Invalid schema for response_format '{given['name']}': {wrong}"


def _not_strict(schema: dict[str, Any], context: tuple[str, ...]) -> str | None:
    """What strict mode refuses in a schema."""
    for keyword in schema:
        if keyword in UNSUPPORTED_BY_STRICT:
            return f"In context={context}, '{keyword}' is not permitted."
    properties = schema.get("properties", {})
    if schema.get("type") == "object" and schema.get("additionalProperties") is not False:
        return f"In context={context}, 'additionalProperties' is required to be supplied and to be false."
    if schema.get("type") == "object" and set(schema.get("required", [])) != set(properties):
        return (
            f"In context={context}, 'required' is required to be supplied and to be an array including every key in properties."
        )
    inner = {("properties", name): value for name, value in properties.items()}
    if isinstance(schema.get("items"), dict):
        inner[("items",)] = schema["items"]
    return next((wrong for path, value in inner.items() if (wrong := _not_strict(value, context + path))), None)


def _send(handler: Handler, answer: Answer) -> None:
    asked = handler.asked
    if asked.get("stream"):
        usage = bool((asked.get("stream_options") or {}).get("include_usage"))
        return handler.stream("text/event-stream", _events(answer, asked["model"], usage))
    answer.spend()
    if answer.kind == "streamerror":
        return handler.fail(500, "The server had an error while processing your request.")
    return handler.json(200, completion(asked["model"], answer))


def _reason(answer: Answer) -> str | None:
    if answer.kind == "unfinished":
        return None
    if answer.kind == "filter":
        return "content_filter"
    return "stop" if answer.whole else "length"


def _usage(answer: Answer) -> dict[str, Any]:
    cached = {"prompt_tokens_details": {"cached_tokens": answer.work.cached_tokens}}
    return _counted(answer.work.prompt_tokens, answer.count) | cached


def _counted(prompt_tokens: int, said: int) -> dict[str, Any]:
    return {"prompt_tokens": prompt_tokens, "completion_tokens": said, "total_tokens": prompt_tokens + said}


def _head(model: str, number: str, kind: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{number}", "object": kind, "created": int(time.time()), "model": model, "system_fingerprint": "fp_1"}


def completion(model: str, answer: Answer) -> dict[str, Any]:
    """The body of a whole answer."""
    said = {"content": None, "refusal": answer.content} if answer.refused else {"content": answer.content, "refusal": None}
    thought = {"reasoning": answer.thinking} if answer.thinking else {}
    logprobs = {"content": answer.logprobs, "refusal": None} if answer.logprobs else None
    choice = {
        "index": 0,
        "message": {"role": "assistant"} | said | thought,
        "logprobs": logprobs,
        "finish_reason": _reason(answer),
    }
    return _head(model, f"{id(answer):x}", "chat.completion") | {"choices": [choice], "usage": _usage(answer)}


def _events(answer: Answer, model: str, usage: bool) -> Iterator[str]:
    """Server-sent events: the role, the tokens, the reason to end, the usage if it is wanted."""
    head = _head(model, f"{id(answer):x}", "chat.completion.chunk")

    def event(delta: dict[str, Any], reason: str | None = None, logprob: dict[str, Any] | None = None) -> str:
        logprobs = {"content": [logprob], "refusal": None} if logprob else None
        choice = {"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": reason}
        return f"data: {json.dumps(head | {'choices': [choice]})}\n\n"

    yield event({"role": "assistant", "content": ""})
    for n, token in enumerate(answer.flow()):
        if answer.kind == "streamerror" and n == 2:
            yield f"data: {json.dumps({'error': {'message': 'The server had an error.', 'type': 'server_error'}})}\n\n"
            return
        field = "reasoning" if token.thought else "refusal" if answer.refused else "content"
        yield event({field: token.text}, logprob=token.logprob)
    yield event({}, _reason(answer))
    if usage:
        yield f"data: {json.dumps(head | {'choices': [], 'usage': _usage(answer)})}\n\n"
    yield "data: [DONE]\n\n"


def embeddings(handler: Handler, asked: dict[str, Any]) -> None:
    given = asked.get("input")
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) and text for text in texts):
        return handler.fail(400, "'input' must be a string or an array of strings, none of them empty.", param="input")
    name = _model(handler, asked)
    if not name:
        return None
    data = [
        {"object": "embedding", "index": at, "embedding": embed(text, asked.get("dimensions"))} for at, text in enumerate(texts)
    ]
    with handler.state.lock:
        handler.state.embedded += len(texts)
    n = sum(map(count, texts))
    usage = {"prompt_tokens": n, "total_tokens": n}
    return handler.json(200, {"object": "list", "data": data, "model": asked["model"], "usage": usage})


def batch_answers(lines: Sequence[str], faults: str = "") -> list[str]:
    """The lines of a batch's output file for those of its request file: in another order, as the provider gives them back.

    Beside the faults of the content: `500:n`, `400long:n` (such lines stand in the provider's error file), `expired:n`,
    `missing:n` and `doubled:n`.
    """
    rota, answers = Faults(parse(faults, FAULTS + BATCH)), []
    for n, line in enumerate(lines):
        asked, fault = json.loads(line), rota.next()
        kind = fault.kind if fault else None
        error = {"code": "batch_expired", "message": "This request could not be executed before the completion window expired."}
        response = None if kind == "expired" else _batch_response(asked["body"], kind, f"req_{n}")
        answer = {
            "id": f"batch_req_{n}",
            "custom_id": asked["custom_id"],
            "response": response,
            "error": error if kind == "expired" else None,
        }
        answers += [json.dumps(answer)] * {"missing": 0, "doubled": 2}.get(kind or "", 1)
    return answers[::-1]


def _batch_response(body: dict[str, Any], kind: str | None, number: str) -> dict[str, Any]:
    if kind in ("500", "400long"):
        status = int(kind[:3])
        error = {"message": "The server had an error." if status == 500 else "maximum context length", "type": "server_error"}
        return {"status_code": status, "request_id": number, "body": {"error": error | {"param": None, "code": None}}}
    schema = ((body.get("response_format") or {}).get("json_schema") or {}).get("schema")
    content = Model().answer(body["messages"], schema, "schema")
    content = spoil(kind, content) if kind in READABLE + SPOILED else content
    said = {"content": None, "refusal": content} if kind == "refusal" else {"content": content, "refusal": None}
    reason = {"length": "length", "filter": "content_filter"}.get(kind or "", "stop")
    choice = {"index": 0, "message": {"role": "assistant"} | said, "logprobs": None, "finish_reason": reason}
    usage = _counted(count(prompt(body["messages"])), len(tokens(content)) + 1)
    done = _head(body["model"], number, "chat.completion") | {"choices": [choice], "usage": usage}
    return {"status_code": 200, "request_id": number, "body": done}


ROUTES = {("GET", "/v1/models"): models, ("POST", "/v1/chat/completions"): chat, ("POST", "/v1/embeddings"): embeddings}
