"""OpenAI's Batch files, which vLLM and others read, too: questions out, answers in, a JSON object a line."""

import json
import time
from collections.abc import Mapping
from typing import Any

from core.errors import Refused, Transient
from core.http import Answer
from core.judges.base import Reply
from core.judges.llm import finished, reply
from core.judges.openai import read_completion

URL = "/v1/chat/completions"
LATER = (408, 409, 425, 429)
"""With 500 and above the statuses after which the same question may be answered another time."""


def question_line(key: str, body: Mapping[str, Any]) -> bytes:
    line = {"custom_id": key, "method": "POST", "url": URL, "body": body}
    return json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def is_answer(value: Mapping[str, Any]) -> bool:
    """Whether a line is one of an output or an error file."""
    return isinstance(value.get("custom_id"), str) and ("response" in value or "error" in value) and "body" not in value


def read_answer(value: Mapping[str, Any]) -> tuple[Reply, float]:
    """The answer that a line holds, read as one that came at once, and its time [Unix s].

    Raises Transient where the question may be answered another time, Refused, or BadAnswer.
    """
    response = value.get("response")
    if value.get("error") or not isinstance(response, Mapping):
        raise Transient(f"There is no answer: {_said(value.get('error'))}")
    status, body = response.get("status_code", 200), response.get("body")
    if status != 200:
        later = not isinstance(status, int) or status >= 500 or status in LATER
        raise (Transient if later else Refused)(f"The answer is status {status}: {_said(body)}")
    if not isinstance(body, Mapping):
        raise Transient("The answer has no body.")
    now, made = time.time(), body.get("created")
    at = float(made) if isinstance(made, int | float) and 0 < made < now else now
    return reply(finished(read_completion(body, "the file"))), at


def _said(value: Any) -> str:
    return Answer(0, json.dumps(value), None).error
