"""Text vectors from server processes that speak both APIs: every fault, a kill, two at once, and nothing asked twice."""

import contextlib
import dataclasses
import logging
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from core import datasets, encoders, jobs, runs
from core.artifacts import ROOT, Home
from core.encoders import Encoded, asking
from core.errors import BadAnswer, Fatal, SettingsError, StoreError, Transient
from core.runs import State
from core.settings import CandidateSettings, DemoSettings, EncoderSettings, JudgeSettings, TrainSettings
from tests.embedding_server import vector

KINDS = ["ollama", "openai"]
TEXTS = [f"text {number} about {'jazz' if number % 2 else 'roses'}" for number in range(300)]


@dataclasses.dataclass(frozen=True)
class Server:
    """A running server process."""

    url: str

    def calls(self) -> list[dict[str, Any]]:
        return httpx.get(f"{self.url}/_test/calls", trust_env=False).json()

    def asked(self) -> Counter[str]:
        """How often each text was asked about."""
        return Counter(text for call in self.calls() for text in call["asked"]["input"])


Serve = Callable[..., Server]


@pytest.fixture
def serve() -> Iterator[Serve]:
    started: list[subprocess.Popen] = []

    def start(faults: str = "", *more: str) -> Server:
        command = [sys.executable, str(ROOT / "tests" / "embedding_server.py"), "--faults", faults, *more]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        started.append(process)
        return Server(f"http://127.0.0.1:{process.stdout.readline().strip()}")

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "PAUSE_S", 0.002)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def settings(server: Server, kind: str, **changes: object) -> EncoderSettings:
    return EncoderSettings(encoder=kind, encoder_url=server.url, **changes)


def encode(server: Server, cache: Path, kind: str = "ollama", texts: list[str] = TEXTS, **changes: object) -> Encoded:
    return encoders.encode(texts, settings(server, kind, **changes), cache)


def expected(texts: list[str], dim: int = 8) -> np.ndarray:
    return encoders.unit_rows(np.array([vector(text, dim) for text in texts]))


def kept(cache: Path) -> int:
    path = cache / "vectors" / "texts.db"
    if not path.exists():
        return 0
    with contextlib.closing(sqlite3.connect(path)) as connection:
        made = connection.execute("select count(*) from sqlite_master where name = 'vector'").fetchone()[0]  # by another process
        return connection.execute("select count(*) from vector").fetchone()[0] if made else 0


@pytest.mark.parametrize("kind", KINDS)
def test_each_text_gets_its_vector_and_is_asked_about_once(serve: Serve, tmp_path: Path, kind: str) -> None:
    server = serve()
    texts = [*TEXTS[:150], "", TEXTS[3], " \t", *TEXTS[150:]]
    encoded = encode(server, tmp_path, kind, texts)
    assert encoded.vectors.dtype == np.float32
    assert not encoded.vectors[[150, 152]].any()
    told = [row for row, text in enumerate(texts) if text.strip()]
    np.testing.assert_allclose(encoded.vectors[told], expected([texts[row] for row in told]), atol=1e-6)
    assert (encoded.name, encoded.why) == (f"{EncoderSettings(encoder=kind).encoder_model} ({kind})", "the settings name it")
    again = encode(server, tmp_path, kind, [*reversed(texts), "a new one"])
    np.testing.assert_array_equal(again.vectors[:-1], encoded.vectors[::-1])
    assert server.asked() == Counter([*TEXTS, "a new one"])
    assert max(len(call["asked"]["input"]) for call in server.calls()) == 64


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "fault",
    ["429:2", "500:2", "count:2", "drop:2", "empty:2", "lengths:3", "nan:3", "page:2", "zero:2", "dimension:3:1", "shuffled:1"],
)
def test_a_fault_changes_no_vector(serve: Serve, tmp_path: Path, kind: str, fault: str) -> None:
    server = serve(fault)
    encoded = encode(server, tmp_path, kind)
    np.testing.assert_allclose(encoded.vectors, expected(TEXTS), atol=1e-6)
    assert any(call["fault"] for call in server.calls())


@pytest.mark.parametrize("fault", ["hang:3:1", "dribble:3:1"])
def test_a_request_has_a_deadline(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    monkeypatch.setattr(asking, "LIMIT_S", 0.5)
    np.testing.assert_allclose(encode(serve(fault), tmp_path).vectors, expected(TEXTS), atol=1e-6)


def test_a_busy_server_is_asked_again_when_it_says(serve: Serve, tmp_path: Path) -> None:
    server = serve("429:1:1", "--retry-after", "1")
    encode(server, tmp_path, "openai", TEXTS[:3])
    first, second = (call["at"] for call in server.calls())
    assert second - first > 0.95


@pytest.mark.parametrize(
    ("fault", "kind_of_error", "says"),
    [
        ("500:1", Transient, "runner process has terminated"),
        ("page:1", Transient, "hotel"),
        ("nan:1", BadAnswer, "no usable vector for 'text 0 about roses'"),
        ("zero:1", BadAnswer, "no usable vector"),
        ("empty:1", BadAnswer, "0 vectors for 1 texts"),
    ],
)
def test_what_never_gets_better_ends_in_an_error(
    serve: Serve, tmp_path: Path, fault: str, kind_of_error: type[Exception], says: str
) -> None:
    server = serve(fault)
    with pytest.raises(kind_of_error, match=says):
        encode(server, tmp_path, texts=TEXTS[:2])
    assert len(server.calls()) < 20
    assert kept(tmp_path) == 0


def test_an_error_keeps_what_came_before(serve: Serve, tmp_path: Path) -> None:
    server = serve("", "--window", "40")
    bad = "word " * 20
    asking_for = [*TEXTS[:100], bad]
    before = encode(server, tmp_path, "ollama", asking_for)
    assert before.why == "the settings name it; 1 of 101 texts were too long for the model and were cut"
    stubborn = serve("500:3", "--window", "40")
    encode(stubborn, tmp_path, "ollama", [*asking_for, *TEXTS[100:]])
    assert not stubborn.asked().keys() & set(asking_for)


@pytest.mark.parametrize(("kind", "more"), [("ollama", []), ("ollama", ["--stubborn"]), ("openai", [])])
def test_only_the_long_text_is_cut_and_it_is_said(serve: Serve, tmp_path: Path, kind: str, more: list[str]) -> None:
    server = serve("", *more)
    long = " ".join(["jazz"] * 300 + ["roses"] * 700)
    texts = [*TEXTS[:30], long, *TEXTS[30:40]]
    for _ in range(2):  # the second time from what is kept
        encoded = encode(server, tmp_path, kind, texts)
        assert encoded.why.endswith("; 1 of 41 texts were too long for the model and were cut")
        np.testing.assert_allclose(encoded.vectors[[*range(30), *range(31, 41)]], expected(TEXTS[:40]), atol=1e-6)
        likeness = encoded.vectors[30] @ expected(["jazz", "roses", "text 1 about jazz"]).T
        assert likeness[0] > 0.8
    times = server.asked()
    assert times[long] < 9
    assert max(times[text] for text in TEXTS[:40]) < 9


def test_a_server_that_refuses_everything_as_too_long(serve: Serve, tmp_path: Path) -> None:
    with pytest.raises(Fatal, match="refuses every text as too long"):
        encode(serve("", "--window", "1"), tmp_path, "openai", TEXTS[:1])


def test_long_texts_make_small_batches(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "BATCH_CHARS", 100)
    server = serve()
    encode(server, tmp_path, texts=["a" * 300, *TEXTS[:20]])
    sizes = [sum(map(len, call["asked"]["input"])) for call in server.calls()]
    assert max(sizes) == 300
    assert sorted(sizes)[-2] <= 100


def test_progress_is_told_and_may_end_the_work(serve: Serve, tmp_path: Path) -> None:
    server, told = serve(), []

    class Enough(Exception):
        """Somebody pressed cancel."""

    def report(done: int, total: int) -> None:
        told.append((done, total))
        if done >= 64 and len(told) == 2:
            raise Enough

    with pytest.raises(Enough):
        encoders.encode(TEXTS, settings(server, "ollama"), tmp_path, report)
    assert told[0] == (0, 300)
    before = server.asked()
    assert kept(tmp_path) == sum(before.values()) < 300
    encoders.encode(TEXTS, settings(server, "ollama"), tmp_path, report)
    assert told[2] == (kept_then := sum(before.values()), 300)
    assert [done for done, _ in told[2:]] == sorted(done for done, _ in told[2:])
    assert told[-1] == (300, 300) > (kept_then, 300)
    assert server.asked() == Counter(TEXTS)


PROGRAM = """
import sys
from pathlib import Path
from core import encoders
from core.settings import EncoderSettings
texts = [f"text {number} about {'jazz' if number % 2 else 'roses'}" for number in range(300)]
encoders.encode(texts, EncoderSettings(encoder=sys.argv[1], encoder_url=sys.argv[2]), Path(sys.argv[3]))
"""


def spawn(server: Server, cache: Path, kind: str) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", PROGRAM, kind, server.url, str(cache)], cwd=ROOT)


@pytest.mark.parametrize("kind", KINDS)
def test_killed_and_begun_again_it_asks_only_for_the_rest(serve: Serve, tmp_path: Path, kind: str) -> None:
    slow = serve("", "--delay", ".4")
    process = spawn(slow, tmp_path, kind)
    while not kept(tmp_path):
        assert process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    there = kept(tmp_path)
    assert 0 < there < 300
    second = serve()
    np.testing.assert_allclose(encode(second, tmp_path, kind).vectors, expected(TEXTS), atol=1e-6)
    assert sum(second.asked().values()) == 300 - there
    assert max(second.asked().values()) == 1


def test_two_processes_at_once_ask_for_each_text_once(serve: Serve, tmp_path: Path) -> None:
    server = serve("", "--delay", ".1")
    processes = [spawn(server, tmp_path, "ollama") for _ in range(2)]
    assert [process.wait() for process in processes] == [0, 0]
    assert server.asked() == Counter(TEXTS)


def test_other_weights_under_the_same_name_are_other_vectors(serve: Serve, tmp_path: Path) -> None:
    encode(serve(), tmp_path, texts=TEXTS[:5])
    other = serve("", "--digest", "d2", "--dim", "4")
    assert encode(other, tmp_path, texts=TEXTS[:6]).vectors.shape == (6, 4)
    assert other.asked() == Counter(TEXTS[:6])


def test_a_model_that_was_replaced_without_a_word_is_asked_about_everything(serve: Serve, tmp_path: Path) -> None:
    encode(serve(), tmp_path, "openai", TEXTS[:100])
    other = serve("", "--dim", "4")
    encoded = encode(other, tmp_path, "openai", TEXTS[:101])
    np.testing.assert_allclose(encoded.vectors, expected(TEXTS[:101], 4), atol=1e-6)
    assert other.asked() == Counter(TEXTS[:101])


def test_kept_vectors_need_neither_server_nor_key(tmp_path: Path, serve: Serve) -> None:
    encode(serve(), tmp_path, "openai", TEXTS[:5])
    far = EncoderSettings(encoder="openai", encoder_url="https://embeddings.example.org/v1")
    np.testing.assert_allclose(encoders.encode(TEXTS[:5], far, tmp_path).vectors, expected(TEXTS[:5]), atol=1e-6)
    with pytest.raises(Fatal, match="OPENAI_API_KEY .* is not set"):
        encoders.encode(TEXTS[:6], far, tmp_path)
    with pytest.raises(Fatal, match="OPENAI_API_KEY .* is not set"):
        encoders.check(far)


def test_a_missing_model_is_said_with_the_cure(serve: Serve, tmp_path: Path) -> None:
    server = serve("", "--models", "llama3.1:8b")
    for ask in (lambda: encode(server, tmp_path), lambda: encoders.check(settings(server, "ollama"))):
        with pytest.raises(Fatal, match="no model 'nomic-embed-text'.*ollama pull nomic-embed-text"):
            ask()
    with pytest.raises(Fatal, match="no model 'text-embedding-3-small'"):
        encode(server, tmp_path, "openai")


def test_no_server(tmp_path: Path) -> None:
    nobody = Server("http://127.0.0.1:9")
    with pytest.raises(Transient, match="Nothing answers .*ollama serve"):
        encode(nobody, tmp_path)
    with pytest.raises(Transient, match="Nothing answers .*What is encoded is kept"):
        encode(nobody, tmp_path, "openai", TEXTS[:2])


def test_something_else_answers(serve: Serve, tmp_path: Path) -> None:
    server = serve()
    with pytest.raises(Fatal, match="404"):
        encode(Server(f"{server.url}/elsewhere"), tmp_path)
    with pytest.raises(Fatal, match="404"):
        encode(Server(f"{server.url}/elsewhere"), tmp_path, "openai")


@pytest.mark.parametrize("end", ["", "/", "/v1", "/v1/"])
def test_the_address_may_end_in_v1(serve: Serve, tmp_path: Path, end: str) -> None:
    server = serve()
    encode(Server(server.url + end), tmp_path, "openai", TEXTS[:2])
    assert server.asked() == Counter(TEXTS[:2])


def test_the_key_goes_to_the_server_and_nowhere_else(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server = serve("", "--key", "secret-1")
    monkeypatch.setenv("MY_KEY", "secret-1")
    assert len(encode(server, tmp_path, "openai", TEXTS[:2], encoder_key_env="MY_KEY").vectors) == 2
    monkeypatch.setenv("MY_KEY", "secret-2")
    with pytest.raises(Fatal, match="401.*MY_KEY") as refused:
        encode(server, tmp_path, "openai", TEXTS[:3], encoder_key_env="MY_KEY")
    monkeypatch.setenv("MY_KEY", "secret-3\nX-Forged: 1")
    with pytest.raises(Fatal, match="MY_KEY holds is no key"):
        encode(server, tmp_path, "openai", TEXTS[:3], encoder_key_env="MY_KEY")
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"secret" not in written
    assert "secret" not in caplog.text + str(refused.value)


def test_settings_take_no_secrets() -> None:
    for given in ({"encoder_key_env": "sk-abcdef"}, {"encoder_key_env": "gsk_abcdef"}, {"encoder_url": "https://me:abcdef@host"}):
        with pytest.raises(SettingsError) as refused:
            EncoderSettings.checked(**given)
        assert "abcdef" not in str(refused.value)


def test_proxies_are_not_used_for_near_servers(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    assert len(encode(serve(), tmp_path, texts=TEXTS[:2]).vectors) == 2


@pytest.mark.parametrize(
    "texts", [[], ["", " "], ["\x00\u200b"], ["<|im_end|>"], ["one", "one\x00", "on\ud800e"], ["ö", "中文 文本"]]
)
def test_odd_texts(serve: Serve, tmp_path: Path, texts: list[str]) -> None:
    vectors = encode(serve(), tmp_path, texts=texts).vectors
    assert len(vectors) == len(texts)
    assert np.isfinite(vectors).all()
    if texts and texts[0] == "one":
        np.testing.assert_array_equal(vectors, vectors[[0, 0, 0]])


def test_a_damaged_file_of_kept_vectors_is_named(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "vectors").mkdir()
    (tmp_path / "vectors" / "texts.db").write_bytes(b"not a database " * 100)
    with pytest.raises(StoreError, match=r"texts\.db .*delete it"):
        encode(serve(), tmp_path, texts=TEXTS[:2])


def test_auto_asks_nobody(serve: Serve, tmp_path: Path) -> None:
    server = serve()
    encode(server, tmp_path, "auto", TEXTS[:3], encoder_model="winnow-tests/no-such-model")
    assert not server.calls()


def test_settings_digests_are_those_of_runs_made_before() -> None:
    """A checkpoint names its settings' digest: a training begun before servers could encode goes on."""
    digests = {EncoderSettings: "46871a4d9b6aac9e", TrainSettings: "56865740627c06a7", CandidateSettings: "6132b88bf1301ade"}
    assert {model: model().digest() for model in digests} == digests
    moved = EncoderSettings(encoder_url="http://other:1", encoder_key_env="OTHER")
    assert moved.digest() == EncoderSettings().digest() != EncoderSettings(encoder="ollama").digest()
    assert JudgeSettings(encoder="ollama").encoder_model == "nomic-embed-text"


@pytest.fixture
def shop(home: Home) -> Home:
    datasets.import_demo(home, DemoSettings(users=80, items=200, interactions=1200), name="shop")
    return home


TRAINING = {"denoiser": "rlmrec-con", "encoder": "ollama", "epochs": 2, "min_epochs": 1, "dim": 8, "layers": 1, "device": "cpu"}


def test_a_training_reads_its_texts_through_a_server_and_can_be_cancelled_meanwhile(
    serve: Serve, shop: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "BATCH_TEXTS", 8)
    server = serve("", "--delay", ".05")
    folder = jobs.create(shop, "train", "shop", TRAINING | {"encoder_url": server.url})

    def cancel(progress: runs.Progress) -> None:
        if progress.phase == "reading the texts" and progress.done == 8:
            folder.cancel_mark.touch()
            time.sleep(0.3)  # the mark is looked for five times a second

    assert jobs.work(shop, folder.id, cancel).state is State.CANCELLED
    assert 8 <= kept(shop.cache) < 200
    seen = []
    assert jobs.work(shop, folder.id, seen.append).state is State.DONE
    texts = [(progress.done, progress.total) for progress in seen if progress.phase == "reading the texts"]
    assert texts[-1][0] == texts[-1][1] == len(server.asked())
    assert max(server.asked().values()) == 1


def test_a_run_that_no_server_could_encode_for_is_not_made(serve: Serve, shop: Home) -> None:
    with pytest.raises(Fatal, match="ollama pull"):
        jobs.create(shop, "train", "shop", TRAINING | {"encoder_url": serve("", "--models", "other").url})
    assert not runs.listing(shop)
