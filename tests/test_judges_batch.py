"""Questions and answers in files: a provider's batch, shards on several machines, lines that nobody can trust."""

import hashlib
import json
import math
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from core import datasets, judges
from core.artifacts import ROOT, Home
from core.datasets.demo import import_demo
from core.errors import SettingsError
from core.judges import export, imports
from core.judges.imports import OUTCOMES, Report, parse_line
from core.judges.lines import Line
from core.labels import to_frame
from core.records import VIEWS, Candidates, Dataset
from core.settings import DemoSettings, JudgeSettings
from core.store import Store
from tests.judging_fixtures import candidates
from tests.model_server.model import Model
from tests.model_server.openai_api import batch_answers
from tests.model_server.process import ModelServer as Server

N_PAIRS = 24
N = len(VIEWS) * N_PAIRS
AWAY = JudgeSettings(judge="openai", model="gpt-4o-mini", url="http://127.0.0.1:9")
BUILTIN = JudgeSettings(encoder="tfidf")
Paths = list[Path]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home with a dataset, to be copied: machines of one project have the same data."""
    home = Home.at(tmp_path_factory.mktemp("world"))
    import_demo(home, DemoSettings(users=50, items=60, interactions=600))
    return home


@pytest.fixture
def machine(world: Home, tmp_path: Path) -> Callable[[str], Home]:
    def made(name: str) -> Home:
        shutil.copytree(world.path, tmp_path / name)
        return Home.at(tmp_path / name)

    return made


@pytest.fixture
def here(machine: Callable[[str], Home]) -> Home:
    return machine("here")


def asked_of(home: Home) -> tuple[Dataset, Candidates]:
    data = datasets.load(home, "demo")
    users = np.unique(data.train.user)[:8].tolist()
    return data, candidates(data, *[(user, item) for user in users for item in (1, 17, 40)])


def send(home: Home, folder: Path, settings: JudgeSettings = AWAY, form: export.Format = "openai", shards: int = 1) -> Paths:
    """Export, and check what the manifest says of the files."""
    data, asked = asked_of(home)
    store = Store.open(home)
    made = export.export(store, data, asked, judges.make(settings, home.cache), settings, folder, form=form, shards=shards)
    assert json.loads((folder / "manifest.json").read_text()) == made
    assert {path.name for path in folder.iterdir()} == {"manifest.json", *(part["name"] for part in made["files"])}
    for part in made["files"]:
        content = (folder / part["name"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == part["sha256"]
        assert (len(content), content.count(b"\n")) == (part["bytes"], part["lines"])
    assert made["fingerprint"] == data.fingerprint
    return [folder / part["name"] for part in made["files"]]


def lines_of(paths: Paths) -> list[str]:
    return [line for path in paths for line in path.read_text(encoding="utf-8").splitlines()]


def written(path: Path, lines: list[str]) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def judge(home: Home, settings: JudgeSettings) -> None:
    data, asked = asked_of(home)
    judges.run(Store.open(home), data, asked, judges.make(settings, home.cache), settings)


def taken(home: Home, *paths: Path, **options: Any) -> dict[str, int]:
    return counts(imports.take_in(home, Store.open(home), paths, **options))


def counts(report: Report) -> dict[str, int]:
    assert set(report.counts) <= set(OUTCOMES)
    return dict(report.counts)


def contents(home: Home) -> dict[str, list[Any]]:
    """Everything that the database holds, but for its revisions."""
    with Store.open(home).reading() as connection:
        tables = ("judgment", "evidence", "want", "failure", "request", "revision")
        return {name: [tuple(row) for row in connection.exec_driver_sql(f"SELECT * FROM {name}")] for name in tables}


def labels(home: Home) -> pd.DataFrame:
    data = datasets.load(home, "demo")
    return to_frame(data, Store.open(home).labels(data))


class TestBatch:
    def test_the_questions_are_those_that_a_run_would_ask(self, here: Home, tmp_path: Path, serve: Callable[..., Server]) -> None:
        server = serve()
        settings = AWAY.model_copy(update={"url": f"{server.url}/v1", "model": "llama3.1:8b"})
        [path] = send(here, tmp_path / "out", settings)
        lines = [json.loads(line) for line in lines_of([path])]
        assert {(line["method"], line["url"]) for line in lines} == {("POST", "/v1/chat/completions")}
        assert len({line["custom_id"] for line in lines}) == len(lines) == N
        server.reset()
        judge(here, settings)
        requests = {json.dumps(call["request"], sort_keys=True) for call in server.calls()}
        assert {json.dumps(line["body"], sort_keys=True) for line in lines} <= requests
        rows = Store.open(here).judgments("demo")
        assert set(rows["key"]) == {line["custom_id"] for line in lines}

    def test_there_and_back(self, here: Home, tmp_path: Path) -> None:
        [path] = send(here, tmp_path / "out")
        questions = lines_of([path])
        store, (data, _) = Store.open(here), asked_of(here)
        assert set(to_frame(data, store.labels(data))["label"]) == {"unjudged"}
        answers = written(tmp_path / "answers.jsonl", batch_answers(questions))
        assert taken(here, answers, dry_run=True) == {"new": N}
        assert len(store.judgments("demo")) == 0
        assert taken(here, answers) == {"new": N}
        rows = store.judgments("demo").set_index("key")
        for line in map(json.loads, questions):
            row = rows.loc[line["custom_id"]]
            assert row["rating"] == Model().rate(line["body"]["messages"])[0]
            assert json.loads(row["prompt"]) == line["body"]["messages"]
        assert set(rows["origin"]) == {"batch"}
        assert set(zip(rows["judge"], rows["is_llm"], rows["model"], strict=True)) == {("openai", True, "gpt-4o-mini")}
        assert (rows["prompt_tokens"] > 50).all()
        assert not store.awaited(rows.index)
        before = contents(here)
        assert taken(here, answers) == {"known": N}
        assert contents(here) == before
        assert send(here, tmp_path / "again") == []

    def test_a_run_and_a_batch_share_their_answers(self, here: Home, tmp_path: Path, serve: Callable[..., Server]) -> None:
        server = serve()
        settings = AWAY.model_copy(update={"url": f"{server.url}/v1", "model": "llama3.1:8b"})
        paths = send(here, tmp_path / "out", settings)
        answers = written(tmp_path / "answers.jsonl", batch_answers(lines_of(paths)))
        judge(here, settings.model_copy(update={"limit": 5}))
        assert taken(here, answers) == {"known": 10, "new": N - 10}
        assert not Store.open(here).awaited(json.loads(line)["custom_id"] for line in lines_of(paths))
        server.reset()
        judge(here, settings)
        assert [call for call in server.calls() if len(call["request"]["messages"]) > 1] == []

    @pytest.mark.parametrize(
        ("fault", "outcome", "kind"),
        [
            ("expired", "unanswered", "transient"),
            ("500", "unanswered", "transient"),
            ("400long", "unanswered", "refused"),
            ("filter", "unanswered", "refused"),
            ("refusal", "unanswered", "refused"),
            ("malformed", "invalid", "bad answer"),
            ("length", "invalid", "bad answer"),
            ("empty", "invalid", "bad answer"),
            ("prose", "invalid", "bad answer"),
            ("wrong", "invalid", "bad answer"),
        ],
    )
    def test_a_line_without_an_answer_is_a_failure_and_stays_open(
        self, here: Home, tmp_path: Path, fault: str, outcome: str, kind: str
    ) -> None:
        questions = lines_of(send(here, tmp_path / "out"))
        answers = written(tmp_path / "answers.jsonl", batch_answers(questions, f"{fault}:4"))
        assert taken(here, answers) == {"new": N - N // 4, outcome: N // 4}
        open_ = Store.open(here).unanswered("demo")
        assert open_["kind"].tolist() == [kind] * (N // 4)
        before = contents(here)
        taken(here, answers)
        assert contents(here) == before
        left = lines_of(send(here, tmp_path / "again"))
        assert len(left) == N // 4
        assert taken(here, written(tmp_path / "more.jsonl", batch_answers(left))) == {"new": N // 4}

    def test_missing_and_doubled_lines(self, here: Home, tmp_path: Path) -> None:
        questions = lines_of(send(here, tmp_path / "out"))
        answers = written(tmp_path / "answers.jsonl", batch_answers(questions, "doubled:5,missing:7"))
        told = taken(here, answers, dry_run=True)
        assert told == taken(here, answers)
        missing = sum(n % 7 == 0 and n % 5 != 0 for n in range(1, N + 1))
        assert told == {"new": N - missing, "known": N // 5}
        assert len(lines_of(send(here, tmp_path / "again"))) == missing

    def test_confidence_comes_from_the_probabilities(self, here: Home, tmp_path: Path) -> None:
        [first, *_] = lines_of(send(here, tmp_path / "out"))
        assert json.loads(first)["body"]["top_logprobs"] == 10
        [answer] = map(json.loads, batch_answers([first]))
        choice = answer["response"]["body"]["choices"][0]
        rating = json.loads(choice["message"]["content"])["rating"]
        pieces = [*choice["message"]["content"].partition(f'"{rating}"')]
        likely = [
            {"token": f'"{rating}"', "logprob": math.log(0.75)},
            {"token": '"Mid' if rating != "Mid" else '"Low', "logprob": math.log(0.25)},
        ]
        choice["logprobs"] = {
            "content": [{"token": piece, "top_logprobs": likely if rating in piece else []} for piece in pieces]
        }
        assert taken(here, written(tmp_path / "one.jsonl", [json.dumps(answer)])) == {"new": 1}
        [row] = Store.open(here).judgments("demo").itertuples()
        assert row.confidence == pytest.approx(0.75)

    def test_other_lines_are_told_by_their_number_and_the_rest_goes_on(self, here: Home, tmp_path: Path) -> None:
        questions = lines_of(send(here, tmp_path / "out"))
        answers = batch_answers(questions)
        foreign = json.dumps(json.loads(answers[0]) | {"custom_id": "someone's"})
        mixed = ["{", answers[0], "", foreign, questions[0], "[1]", '{"custom_id": 7, "response": null}', *answers[1:]]
        report = imports.take_in(here, Store.open(here), [written(tmp_path / "answers.jsonl", mixed)])
        assert counts(report) == {"new": N, "broken": 4, "unknown": 1}
        assert [(each.line, each.outcome) for each in report.troubles] == [
            (1, "broken"),
            (5, "broken"),
            (6, "broken"),
            (7, "broken"),
            (4, "unknown"),
        ]

    def test_answers_of_another_dataset_are_left_where_they_are(self, here: Home, tmp_path: Path) -> None:
        import_demo(here, DemoSettings(users=50, items=60, interactions=600, seed=1), "other")
        answers = written(tmp_path / "answers.jsonl", batch_answers(lines_of(send(here, tmp_path / "out"))))
        assert taken(here, answers, dataset="other") == {"elsewhere": N}
        assert taken(here, answers, dataset="demo") == {"new": N}

    def test_files_as_long_as_providers_take_and_by_users(
        self, here: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(export, "MOST_LINES", 5)
        paths = send(here, tmp_path / "out", shards=3)
        assert max(len(lines_of([path])) for path in paths) == 5
        store = Store.open(here)
        users: dict[str, set[str]] = {}
        for path in paths:
            keys = [json.loads(line)["custom_id"] for line in lines_of([path])]
            users.setdefault(path.name.split("-of-")[0], set()).update(row[1] for row in store.wanting(keys))
        assert sum(map(len, users.values())) == len(set().union(*users.values())) == 8
        monkeypatch.setattr(export, "MOST_BYTES", 1)
        assert len(send(here, tmp_path / "single")) == N

    def test_a_folder_is_not_written_over(self, here: Home, tmp_path: Path) -> None:
        send(here, tmp_path / "out")
        with pytest.raises(SettingsError, match="holds an export"):
            send(here, tmp_path / "out")

    def test_only_questions_to_a_language_model_behind_that_api_are_sent_away(self, here: Home, tmp_path: Path) -> None:
        with pytest.raises(SettingsError, match="builtin cannot be sent away"):
            send(here, tmp_path / "out", BUILTIN)

    def test_what_only_servers_nearby_take_is_left_out_for_a_provider(self, here: Home, tmp_path: Path) -> None:
        near, hosted = (
            json.loads(lines_of(send(here, tmp_path / name, AWAY.model_copy(update={"url": url})))[0])
            for name, url in (("near", "http://127.0.0.1:9"), ("hosted", None))
        )
        assert near["custom_id"] == hosted["custom_id"]
        assert set(near["body"]) - set(hosted["body"]) == {"chat_template_kwargs"}

    def test_killed_in_the_middle_and_read_again(self, here: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(imports, "CHUNK", 7)
        answers = written(tmp_path / "answers.jsonl", batch_answers(lines_of(send(here, tmp_path / "out"))))
        code = (
            "import os, sys; from pathlib import Path; from core.artifacts import Home; from core.judges import imports\n"
            "from core.store import Store; home = Home.at(sys.argv[1]); imports.CHUNK = 7; keep = Store._keep\n"
            "def dies(self, connection, answers, n=[]):\n"
            "    keep(self, connection, answers); n.append(1); len(n) == 3 and os._exit(9)\n"
            "Store._keep = dies; imports.take_in(home, Store.open(home), [Path(sys.argv[2])])"
        )
        done = subprocess.run([sys.executable, "-c", code, str(here.path), str(answers)], cwd=ROOT, check=False)
        assert done.returncode == 9
        assert len(Store.open(here).judgments("demo")) == 14  # two transactions, and nothing of the third
        assert taken(here, answers) == {"known": 14, "new": N - 14}
        assert not Store.open(here).unanswered("demo").shape[0]


class TestMachines:
    @pytest.mark.parametrize("settings", [BUILTIN, JudgeSettings(judge="ollama")], ids=["builtin", "ollama"])
    def test_shards_judged_apart_and_merged_are_one_run(
        self, machine: Callable[[str], Home], tmp_path: Path, serve: Callable[..., Server], settings: JudgeSettings
    ) -> None:
        if settings.judge == "ollama":
            settings = settings.model_copy(update={"url": serve("malformed:9").url})
        whole, merged = machine("whole"), machine("merged")
        judge(whole, settings)
        files = []
        for shard in ("1/2", "2/2"):
            one = machine(shard.replace("/", "-of-"))
            chosen = settings.model_copy(update={"shard": shard})
            judge(one, chosen)
            files += send(one, tmp_path / one.path.name / "out", chosen, "winnow")
        assert all(lines_of([file]) for file in files)
        assert taken(merged, *files) == {"new": N}
        pd.testing.assert_frame_equal(labels(merged), labels(whole))
        assert len(labels(merged)) > N_PAIRS / 2  # held-out pairs get no label
        apart = ["seconds", "at", "asked_at", "origin", "wait_s", "cached_tokens"]
        mine, theirs = (
            Store.open(home).judgments("demo").sort_values(["user_id", "item_id", "view"], ignore_index=True).drop(columns=apart)
            for home in (merged, whole)
        )
        pd.testing.assert_frame_equal(mine, theirs)
        assert set(Store.open(merged).judgments("demo")["origin"]) == {"merged"}
        before = contents(merged)
        assert taken(merged, *files) == {"known": N}
        assert contents(merged) == before
        judge(merged, settings)  # asks nobody anything
        assert len(contents(merged)["judgment"]) == N

    @pytest.fixture
    def line(self, machine: Callable[[str], Home], tmp_path: Path) -> dict[str, Any]:
        there = machine("there")
        judge(there, BUILTIN)
        return json.loads(lines_of(send(there, tmp_path / "out", BUILTIN, "winnow"))[0])

    @pytest.mark.parametrize(
        ("change", "outcome", "said"),
        [
            ({}, "new", ""),
            ({"prompt": [{"role": "user", "content": "Something else."}]}, "refused", "not that of its question"),
            ({"key": "0" * 64}, "refused", "not that of its question"),
            ({"identity": {"judge": "builtin"}}, "refused", "not that of its question"),
            ({"judge": "ollama"}, "refused", "judge is 'ollama'"),
            ({"digest": "other"}, "refused", "digest is 'other'"),
            ({"prompt_version": "9"}, "refused", "prompt_version is '9'"),
            ({"is_llm": True}, "refused", "not a language model"),
            ({"raw": "High, I think."}, "refused", "no JSON object"),
            ({"raw": '{"rating": "Low", "analysis": "other"}', "rating": "High"}, "refused", "the answer says Low"),
            ({"raw": '{"rating": "High", "analysis": "other"}', "rating": "High"}, "refused", "analysis"),
            ({"dataset": "nowhere"}, "elsewhere", "no such dataset"),
            ({"fingerprint": "0"}, "elsewhere", "another content"),
            ({"user_id": "nobody"}, "unknown", "no pair"),
            ({"confidence": 2}, "broken", "confidence"),
            ({"view": "both"}, "broken", "view"),
            ({"at": "yesterday"}, "broken", "at"),
            ({"winnow": "judgment/9"}, "broken", "winnow"),
        ],
    )
    def test_a_line_must_hold_what_it_claims(
        self, here: Home, tmp_path: Path, line: dict[str, Any], change: dict[str, Any], outcome: str, said: str
    ) -> None:
        report = imports.take_in(here, Store.open(here), [written(tmp_path / "one.jsonl", [json.dumps(line | change)])])
        assert counts(report) == {outcome: 1}
        assert said in "".join(trouble.message for trouble in report.troubles)
        assert len(contents(here)["judgment"]) == (outcome == "new")

    def test_no_time_comes_from_the_future(self, here: Home, tmp_path: Path, line: dict[str, Any]) -> None:
        taken(here, written(tmp_path / "one.jsonl", [json.dumps(line | {"at": 9e9, "asked_at": 9e9})]))
        [row] = Store.open(here).judgments("demo").itertuples()
        assert max(row.at, row.asked_at) <= time.time()

    def test_a_shortened_question_goes_along_in_full(
        self, machine: Callable[[str], Home], tmp_path: Path, serve: Callable[..., Server]
    ) -> None:
        there, here = machine("there"), machine("here")
        settings = JudgeSettings(judge="ollama", url=serve("400long:3").url, limit=4)
        judge(there, settings)
        assert Store.open(there).judgments("demo")["truncated"].any()
        assert taken(here, *send(there, tmp_path / "out", settings, "winnow")) == {"new": 8}


class TestLines:
    json_values = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
        max_leaves=12,
    )
    bodies = st.fixed_dictionaries(
        {},
        optional={
            "choices": st.lists(
                st.fixed_dictionaries(
                    {},
                    optional={
                        "message": st.fixed_dictionaries({}, optional={"content": json_values, "refusal": json_values})
                        | json_values,
                        "finish_reason": st.sampled_from(["stop", "length", None, "tool_calls"]) | json_values,
                        "logprobs": json_values | st.fixed_dictionaries({"content": json_values}),
                    },
                )
                | json_values,
                max_size=2,
            )
            | json_values,
            "usage": json_values,
            "created": json_values,
        },
    )

    @given(st.binary(max_size=200) | json_values.map(lambda value: json.dumps(value).encode()))
    def test_any_bytes_are_a_line_nothing_or_a_sentence(self, raw: bytes) -> None:
        try:
            found = parse_line(raw)
        except ValueError as error:
            assert str(error).startswith("The line")
        else:
            assert found is None or isinstance(found, Line | dict)

    @given(
        response=json_values | st.fixed_dictionaries({"status_code": st.just(200) | json_values, "body": bodies | json_values}),
        error=st.none() | json_values,
    )
    @examples(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100, deadline=None)
    def test_any_answer_to_a_question_is_counted_and_never_stops_the_import(
        self, waiting: tuple[Home, Store, str, Path], response: Any, error: Any
    ) -> None:
        home, store, key, path = waiting
        written(path, [json.dumps({"custom_id": key, "response": response, "error": error})])
        told = counts(imports.take_in(home, store, [path]))
        assert sum(told.values()) == 1
        assert set(told) <= {"unanswered", "invalid", "broken"}

    @pytest.fixture
    def waiting(self, here: Home, tmp_path: Path) -> tuple[Home, Store, str, Path]:
        first = lines_of(send(here, tmp_path / "out"))[0]
        return here, Store.open(here), json.loads(first)["custom_id"], tmp_path / "one.jsonl"
