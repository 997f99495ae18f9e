"""Addresses, proxies, deadlines and refusals, as every client of a model server meets them."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Busy, Fatal, Refused, Transient
from core.http import Answer, client, is_near, refusal, server_url, wait_s


@pytest.mark.parametrize(
    ("given_url", "used"),
    [
        ("localhost:11434", "http://localhost:11434"),
        (" https://host/api/v1/ ", "https://host/api"),
        ("http://0.0.0.0:11434", "http://127.0.0.1:11434"),
    ],
)
def test_an_address_is_made_usable(given_url: str, used: str) -> None:
    assert server_url(given_url) == used


@pytest.mark.parametrize("url", ["", "ftp://host", "http://host:port", "http://[::1", "http://host:99999", "http://a b"])
def test_what_is_no_address_is_said(url: str) -> None:
    with pytest.raises(Fatal, match="is no address"), client(server_url(url)):
        pass


@given(st.text())
def test_any_text_is_an_address_or_said_to_be_none(url: str) -> None:
    try:
        with client(server_url(url)):
            pass
    except Fatal as error:
        assert "is no address" in error.message


def test_near_addresses_need_no_proxy() -> None:
    near = ["http://localhost:1", "http://127.0.0.1:1", "http://192.168.1.5", "http://gpu-box:1", "http://[::1]:1"]
    assert all(map(is_near, near))
    assert not any(map(is_near, ["https://ollama.example.org", "http://8.8.8.8"]))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"error": "no such model"}', "no such model"),
        ('{"error": {"message": "too\\nlong", "code": 1}}', "too long"),
        ('{"message": "not here"}', "not here"),
        ("<html>  Bad\n Gateway", "<html> Bad Gateway"),
        ("null", "None"),
        ('{"error": {"code": 7}}', "{'code': 7}"),
        ("x" * 900, "x" * 300),
    ],
)
def test_what_a_refusal_says(text: str, says: str) -> None:
    assert Answer(400, text, None).error == says


@pytest.mark.parametrize(
    ("status", "text", "kind", "says"),
    [
        (429, "slow down", Busy, ""),
        (503, "the request took too long", Busy, ""),
        (429, '{"error": {"code": "insufficient_quota"}}', Fatal, "no credit"),
        (504, "upstream took too long", Transient, "log"),
        (409, "model is loading", Transient, "log"),
        (500, "runner died", Transient, "log"),
        (500, "input length exceeds the context length", Refused, "too long"),
        (400, '{"error": "{\\"error\\": {\\"type\\": \\"exceed_context_size_error\\"}}"}', Refused, "too long"),
        (413, "", Refused, "too long"),
        (400, "max_tokens is too large", Fatal, "Check"),
        (401, "who is there?", Fatal, "let in"),
        (404, "model 'x' not found", Fatal, "pull it"),
        (404, "page not found", Fatal, "Check"),
    ],
)
def test_each_refusal_is_of_one_class(status: int, text: str, kind: type, says: str) -> None:
    error = refusal("http://box", Answer(status, text, 2.0), no_model=Fatal("", "pull it"), permit="let in")
    assert type(error) is kind
    assert says in error.hint
    assert kind is not Busy or error.wait_s == 2.0


def test_a_client_may_know_further_signs() -> None:
    given_signs = {"no_model": Fatal(""), "permit": "", "too_long": ("too large",)}
    assert isinstance(refusal("http://box", Answer(400, "Batch too large", None), **given_signs), Refused)


def test_retry_after_is_seconds_or_a_date() -> None:
    assert wait_s("1.5") == 1.5
    assert wait_s("-3") == 0
    assert wait_s("") is None
    assert wait_s("soon") is None
    later = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    assert 3500 < wait_s(later) <= 3600
    assert wait_s("Wed, 21 Oct 2015 07:28:00 GMT") == 0
