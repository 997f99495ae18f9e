"""Rubrics of a dataset: immutable versions, the built-in one, and what the command line makes of them."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from core import datasets, prompts
from core.__main__ import run
from core.artifacts import Home
from core.candidates import save
from core.errors import NotFoundError, SettingsError
from core.prompts import RUBRIC, Rubric
from core.settings import CandidateSettings, DemoSettings
from core.store import Store
from core.store.migrations import MIGRATIONS
from tests.judging_fixtures import candidates

USER, ITEM = "High: a gift. Mid: perhaps. Low: no.", "High: a set. Mid: half of one. Low: no."


def add(store: Store, user: str = USER, item: str = ITEM, dataset: str = "shop", **more: str) -> Rubric:
    return store.add_rubric(dataset, user=user, item=item, annotator="ann", **more)


class TestStore:
    def test_versions_never_change(self, store: Store) -> None:
        assert store.rubric("shop") == RUBRIC
        first, second = add(store, note="gifts"), add(store, item=f"{ITEM} Be strict.")
        assert (first, second.version, second.item) == (Rubric(USER, ITEM, "r1"), "r2", f"{ITEM} Be strict.")
        assert store.rubric("shop") == second
        assert store.rubric("shop", "r1") == first
        assert store.rubric("shop", "built-in") == RUBRIC
        rows = store.rubrics("shop")
        assert rows["version"].tolist() == ["r2", "r1"]
        assert rows.loc[1, ["annotator", "note", "user", "item"]].tolist() == ["ann", "gifts", USER, ITEM]
        assert rows["at"].is_monotonic_decreasing

    def test_the_same_texts_are_the_same_version(self, store: Store) -> None:
        assert add(store, RUBRIC.user, RUBRIC.item) == RUBRIC
        first = add(store)
        assert add(store, f"  {USER}\r\n") == first
        back = add(store, RUBRIC.user, RUBRIC.item)
        assert (back.version, back.user) == ("r2", RUBRIC.user)
        assert add(store).version == "r3"
        assert len(store.rubrics("shop")) == 3

    def test_datasets_have_their_own(self, store: Store) -> None:
        before = store.revision("shop")
        add(store)
        assert store.revision("shop") > before
        assert (store.rubric("other"), store.revision("other")) == (RUBRIC, 0)
        assert add(store, dataset="other").version == "r1"

    def test_an_unknown_version_lists_the_choices(self, store: Store) -> None:
        add(store)
        add(store, item=f"{ITEM} Be strict.")
        with pytest.raises(NotFoundError, match="built-in, r1, r2"):
            store.rubric("shop", "r7")
        with pytest.raises(NotFoundError, match="There are: built-in"):
            store.rubric("other", "r1")

    def test_what_cannot_be_a_rubric_is_not_kept(self, store: Store) -> None:
        with pytest.raises(SettingsError, match="item view does not mention Low"):
            add(store, item="High and Mid.")
        with pytest.raises(SettingsError, match="name"):
            store.add_rubric("shop", user=USER, item=ITEM, annotator=" ")
        assert not len(store.rubrics("shop"))

    def test_two_at_once_are_two_versions(self, home: Home, store: Store) -> None:
        with ThreadPoolExecutor(4) as pool:
            made = list(pool.map(lambda n: add(Store.open(home), item=f"{ITEM} {n}"), range(8)))
        assert sorted(one.version for one in made) == [f"r{n}" for n in range(1, 9)]
        assert len(store.rubrics("shop")) == 8

    def test_an_older_database_learns_it(self, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
        older = [step for step in MIGRATIONS if step.__name__ != "m006_rubrics"]
        with monkeypatch.context() as patch:
            patch.setattr("core.store.database.MIGRATIONS", older)
            patch.setattr("core.store.migrations.MIGRATIONS", older)
            Store.open(home).decide("shop", [("u", "i")], "yes", annotator="ann")
        newer = Store.open(home)
        assert add(newer).version == "r1"
        assert len(newer.decisions("shop")) == 1


class TestCommands:
    @pytest.fixture(autouse=True)
    def shop(self, home: Home, tmp_path: Path) -> None:
        """The demo with two candidates, the first a click."""
        datasets.import_demo(home, DemoSettings(users=50, items=60, interactions=600), "demo")
        self.home, self.folder = home, tmp_path
        self.data = datasets.load(home, "demo")
        click_, unseen = (self.data.train.user[0], self.data.train.item[0]), (0, 1)
        found = candidates(self.data, click_, unseen)
        save(home, self.data, found, CandidateSettings(), "run")
        self.pair = self.data.user_ids[click_[0]], self.data.item_ids[click_[1]]

    @pytest.fixture
    def call(self, capsys: pytest.CaptureFixture[str]) -> "Call":
        return Call(capsys)

    def file(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path

    def test_edit_list_show_restore(self, call: "Call") -> None:
        assert call("rubric", "show")["version"] == "built-in"
        path = self.file("user.txt", f"\ufeff{USER}\n")
        made = call("rubric", "edit", "--user-file", path, "--note", "gifts", "--annotator", "ann")
        assert (made["version"], made["user"], made["item"]) == ("r1", USER, RUBRIC.item)
        [row] = call("rubric", "list")["rubrics"]
        assert (row["version"], row["annotator"], row["note"]) == ("r1", "ann", "gifts")
        shown = call("rubric", "show")
        assert f"+{USER}" in shown["difference"].splitlines()
        assert "item view" not in shown["difference"]
        assert call("rubric", "show", "--rubric", "built-in")["difference"] == ""
        back = call("rubric", "edit", "--restore", "built-in")
        assert (back["version"], back["user"]) == ("r2", RUBRIC.user)
        assert call("rubric", "edit", "--restore", "r1")["version"] == "r3"

    def test_what_is_asked_wrongly(self, call: "Call") -> None:
        assert "no new text" in call("rubric", "edit", code=2)["error"]
        assert "does not mention" in call("rubric", "edit", "--user-file", self.file("a.txt", "High."), code=2)["error"]
        assert "No such file" in call("rubric", "edit", "--user-file", self.folder / "none.txt", code=1)["error"]
        path = self.folder / "latin.txt"
        path.write_bytes("Größe".encode("latin-1"))
        assert "UTF-8" in call("rubric", "edit", "--item-file", path, code=2)["hint"]
        assert "r9" in call("rubric", "show", "--rubric", "r9", code=1)["error"]

    def test_the_editor_gets_both_texts(
        self, call: "Call", monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        editor = self.file("editor.py", "import sys; open(sys.argv[1], 'a').write('Be strict.') if 'user' in sys.argv[1] else 0")
        monkeypatch.setenv("VISUAL", f"{sys.executable} {editor}")
        monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
        assert run(["rubric", "edit"]) == 0
        made = Store.open(self.home).rubric("demo")
        assert (made.version, made.item) == ("r1", RUBRIC.item)  # closed without saving
        assert made.user.endswith("Be strict.")
        monkeypatch.setenv("VISUAL", "/no/such/editor")
        assert run(["rubric", "edit"]) == 2
        assert "editor" in capsys.readouterr().err

    def test_prompt_prints_what_would_be_sent(self, call: "Call", capsys: pytest.CaptureFixture[str]) -> None:
        Store.open(self.home).add_rubric("demo", user=USER, item=ITEM, annotator="ann")
        told = call("prompt", *self.pair, "--profiles", "written")
        assert (told["rubric"], told["version"]) == ("r1", "2/r1/written")
        assert list(told["questions"]) == ["profile", "user view", "item view"]
        question = told["questions"]["item view"]
        assert question["messages"][0]["content"] == prompts.system("item", Rubric(USER, ITEM, "r1"))
        assert question["characters"] == sum(len(message["content"]) for message in question["messages"])
        assert 0 < question["tokens_estimated"] < question["characters"]
        assert question["cut"] == []
        assert told["history"]
        assert all(one["title"].split()[0] in question["messages"][1]["content"] for one in told["history"])
        assert self.pair[1] not in [one["id"] for one in told["history"]]
        alone = call("prompt", *self.pair, "--view", "user", "--rubric", "built-in", "--history-items", 3)
        assert (list(alone["questions"]), len(alone["history"])) == (["user view"], 3)
        assert run(["prompt", *self.pair, "--view", "item"]) == 0
        printed = capsys.readouterr().out
        assert all(message["content"] in printed for message in question["messages"])

    def test_a_pair_about_which_nothing_is_asked(self, call: "Call") -> None:
        first, second = self.data.train.item[self.data.train.user == self.data.train.user[0]][:2]
        other = self.data.item_ids[second if self.data.item_ids[first] == self.pair[1] else first]
        answer = call("prompt", self.pair[0], other, code=1)
        assert "no candidates" in answer["error"]
        assert " ".join(self.pair) in answer["hint"]
        assert "no item" in call("prompt", self.pair[0], "nothing", code=1)["error"]


class Call:
    """Run a command with --json in this process; returns what it printed, parsed, after checking the exit code."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys

    def __call__(self, *arguments: object, code: int = 0) -> dict:
        self.capsys.readouterr()
        assert run([*map(str, arguments), "--json"]) == code
        return json.loads(self.capsys.readouterr().out)
