"""One question, one answer: the way that both APIs share, from the door over a slot to the last token."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.model_server.faults import REFUSED, REPLACED, spoil
from tests.model_server.machine import Work
from tests.model_server.model import Messages, count, prompt, tokens
from tests.model_server.state import Call
from tests.model_server.web import Handler

NUM_KEEP = 4
BUSY = "server busy, please try again.  maximum pending requests exceeded"


@dataclass(frozen=True)
class Question:
    """What is asked, whatever the API. `limit` tokens at most are said, `context` tokens at most are read and said."""

    model: str
    messages: Messages
    schema: dict[str, Any] | str | None
    effort: str | None
    limit: int
    context: int
    runner: Any
    may_cut: bool
    may_shift: bool = True
    top: int | None = None


@dataclass(frozen=True)
class Token:
    """A piece of the answer; `thought` is not said aloud."""

    text: str
    thought: bool
    logprob: dict[str, Any] | None


class Answer:
    """The answer to a question, for whose tokens the time is spent while they are taken."""

    def __init__(self, handler: Handler, question: Question, call: Call, work: Work, cut: Messages) -> None:
        state = handler.state
        self.question, self.kind, self.work = question, call.kind, work
        self.refused = call.kind == "refusal"
        thought = tokens(state.model.thinking(cut, question.effort)) if question.effort else []
        said = tokens(spoil(call.kind or "", state.model.answer(cut, question.schema, state.options.order)))
        room = question.limit if question.limit >= 0 else 10 * question.context
        if not question.may_shift:
            room = min(room, question.context - work.prompt_tokens)
        self.whole = len(thought) + len(said) < room and call.kind not in ("length", "filter")  # one more token ends the answer
        thought, said = thought[:room], said[: max(0, room - len(thought))]
        logprobs: list[Any] = [None] * len(said)
        if question.top is not None:
            logprobs = state.model.logprobs(cut, said, question.top)
        self.tokens = [Token(text, True, None) for text in thought]
        self.tokens += [Token(text, False, logprob) for text, logprob in zip(said, logprobs, strict=True)]
        self.count = len(self.tokens) + self.whole

    @property
    def thinking(self) -> str:
        return "".join(token.text for token in self.tokens if token.thought)

    @property
    def content(self) -> str:
        return "".join(token.text for token in self.tokens if not token.thought)

    @property
    def logprobs(self) -> list[dict[str, Any]]:
        return [token.logprob for token in self.tokens if token.logprob]

    def spend(self) -> None:
        """Say all at once."""
        self.work.write(self.thinking + self.content, self.count, self.count)

    def flow(self) -> Iterator[Token]:
        """Say one token after the other."""
        for token in self.tokens:
            self.work.write(token.text, 1, len(self.tokens))
            yield token


def ask(handler: Handler, asked: dict[str, Any], question: Question, send: Callable[[Handler, Answer], None]) -> None:
    """Answer the question, or let the fault strike whose turn it is."""
    state = handler.state
    with state.call(asked) as call:
        if call.too_many or call.kind in REFUSED:
            return _refuse(handler, call.kind)
        text, cut = prompt(question.messages), question.messages
        if count(text) > question.context - 1:
            if not question.may_cut or not question.may_shift:
                return _too_long(handler, count(text), question)
            text = _halved(text, question.context)
            cut = [{"role": "user", "content": text}]
        with state.machine.slot(question.model, question.runner, text, handler.pause) as work:
            work.read()
            if call.kind in REPLACED:
                return _replace(handler, call)
            answer = Answer(handler, question, call, work, cut)
            handler.pause(0)
            send(handler, answer)
            return call.delivered(answer.whole)


def _halved(text: str, context: int) -> str:
    """What Ollama leaves of a prompt that is too long: the first few tokens, and the end, half a window in all."""
    left = context - (context - NUM_KEEP) // 2
    return text[: 4 * NUM_KEEP] + text[-4 * (left - NUM_KEEP) :]


def _too_long(handler: Handler, n: int, question: Question) -> None:
    if handler.speaks_openai:
        message = f"This model's maximum context length is {question.context} tokens. Your messages resulted in {n} tokens."
        return handler.fail(400, message, code="context_length_exceeded", param="messages")
    if question.may_cut:
        return handler.fail(400, "the prompt is longer than the context length currently available to the model")
    return handler.fail(400, json.dumps({"error": long_error(n, question.context)}))


def long_error(n: int, context: int) -> dict[str, Any]:
    """llama-server's; Ollama sends it as text inside its own."""
    message = f"request ({n} tokens) exceeds the available context size ({context} tokens), try increasing it"
    return {"code": 400, "message": message, "type": "exceed_context_size_error", "n_prompt_tokens": n, "n_ctx": context}


def _refuse(handler: Handler, kind: str | None) -> None:
    """At the door; without a fault because the queue is full."""
    if kind == "loading":
        return handler.fail(503, "Loading model")
    if kind == "503" or (kind is None and not handler.speaks_openai):
        return handler.fail(503, BUSY)
    wait = {"Retry-After": str(handler.state.options.retry_after)} if kind != "429" else {}
    return handler.fail(429, "Rate limit reached: too many requests.", code="rate_limit_exceeded", headers=wait)


def _replace(handler: Handler, call: Call) -> None:
    kind = call.kind
    if kind == "down":
        handler.server.go_down(call.fault.seconds)
        return handler.drop()
    if kind == "hang":
        return handler.pause(60)
    if kind == "slow":
        return handler.stream("application/json", _dribble(handler))
    if kind in ("drop", "partial"):
        return handler.drop() if kind == "drop" else handler.partial()
    if kind == "400long":
        return handler.fail(400, json.dumps({"error": long_error(9000, 4096)}), code="context_length_exceeded")
    if kind == "404":
        return handler.fail(404, f"model '{call.seen['request'].get('model')}' not found", code="model_not_found")
    if kind == "500":
        return handler.fail(500, "llama runner process has terminated: signal: killed")
    pages = {"502page": "<html><h1>Bad Gateway</h1></html>", "page": "<html>Sign in to the hotel's network</html>"}
    return handler.text(502 if kind == "502page" else 200, pages.get(kind, "null"))


def _dribble(handler: Handler) -> Iterator[str]:
    for _ in range(600):
        yield " "
        handler.pause(0.1)
