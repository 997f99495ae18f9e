"""Addresses, proxies, deadlines and refusals, as every client of a model server meets them."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Fatal
from core.http import Answer, client, is_near, server_url, wait_s


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


def test_retry_after_is_seconds_or_a_date() -> None:
    assert wait_s("1.5") == 1.5
    assert wait_s("-3") == 0
    assert wait_s("") is None
    assert wait_s("soon") is None
    later = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    assert 3500 < wait_s(later) <= 3600
    assert wait_s("Wed, 21 Oct 2015 07:28:00 GMT") == 0
