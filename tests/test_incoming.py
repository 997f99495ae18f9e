"""Files read in: recognised, compared with what is there, written once, taken back; broken ones change nothing."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core import datasets, exchange, guidelines, incoming
from core.__main__ import run
from core.artifacts import Home
from core.errors import WinnowError
from core.incoming import Incoming
from core.records import Dataset, Interactions
from core.settings import DemoSettings
from core.store import Store

ANY = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=9)
ID = st.builds(lambda start, rest: start + rest, st.sampled_from(["", "=", "+", "-", "@", "'=", "\t", "\r"]), ANY).filter(len)
EXCEL = b"PK\x03\x04\x14\x00\x06\x00" + bytes(range(200))


@pytest.fixture
def shop(make_dataset: Callable[..., Dataset]) -> Dataset:
    return make_dataset(["u", "v", "=w"], ["i", "j", "k"])


@pytest.fixture(scope="session")
def make_dataset() -> Callable[..., Dataset]:
    def make(users: list[str], items: list[str]) -> Dataset:
        ids = [np.array(each, dtype=object) for each in (users, items)]
        blank = np.full(len(items), "", dtype=object)
        some = Interactions(np.zeros(1, np.int32), np.zeros(1, np.int32))
        none = some.where(slice(0))
        return Dataset("shop", *ids, np.full(len(users), "", dtype=object), ids[1], blank, blank, some, none, none, "f")

    return make


@pytest.fixture
def look(home: Home, store: Store, shop: Dataset, tmp_path: Path) -> Callable[..., Incoming]:
    def look(content: str | bytes, file: str = "in.csv", **wanted: str) -> Incoming:
        path = tmp_path / file
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return incoming.examine(home, store, shop, path, **{"annotator": "ann"} | wanted)

    return look


Look = Callable[..., Incoming]


def test_decisions_say_what_they_would_change_before_they_do(look: Look, store: Store, home: Home) -> None:
    store.decide("shop", [("u", "j"), ("v", "i")], "yes", annotator="bob")
    text = "user_id,item_id,relevant,annotator\nu,i,no,\nu,j,no,ada\nv,i,yes,bob\nx,i,no,\nu,y,no,\nz,z,no,\n"
    found = look(text)
    assert (found.kind, found.new, found.same, found.conflicting) == ("decisions", 2, 1, 1)
    assert found.by == {"ann": 1, "ada": 1}
    told = {problem.kind + problem.message[-60:]: problem.lines for problem in found.problems}
    assert sorted(told.values()) == [(3,), (5, 7), (6,)]
    assert len(store.decisions("shop")) == 2
    receipt = found.take()
    assert (receipt.n, len(store.decisions("shop"))) == (2, 4)
    assert (look(text).new, look(text).same) == (0, 3)
    incoming.take_back(home, store, "shop", receipt, annotator="ann")
    assert sorted(store.standing("shop")["annotator"]) == ["bob", "bob"]


def test_labels_of_people_come_in_as_answers_and_those_of_judges_do_not(look: Look, store: Store, home: Home) -> None:
    rows = [
        "u,i,noisy positive,human",
        "u,j,missed positive,human",
        "u,k,noisy positive,llm",
        "v,k,clean,none",
        "x,k,unsure,human",
    ]
    text = "user_id,item_id,label,source\n" + "\n".join(rows) + "\n"
    found = look(text, "labels.csv")
    assert (found.kind, found.new, found.by) == ("labels", 2, {"ann": 2})
    assert {problem.lines for problem in found.problems} == {(4,), (5,), (6,)}
    receipt = found.take()
    standing = store.standing("shop").set_index(["user_id", "item_id"])["relevant"].to_dict()
    assert standing == {("u", "i"): "no", ("u", "j"): "yes"}
    again = look(text, "copy.csv", annotator="bob")
    assert (again.new, again.same) == (0, 2)
    incoming.take_back(home, store, "shop", receipt, annotator="ann")
    assert not len(store.standing("shop"))


def test_what_the_app_writes_as_labels_it_knows_again(look: Look, store: Store, shop: Dataset) -> None:
    store.decide("shop", [("u", "i"), ("v", "j")], "no", annotator="bob")
    text, n = exchange.file_of(store, shop, "labels")
    assert n == 2
    assert (look(text).kind, look(text).new, look(text).same) == ("labels", 0, 2)


def test_selections_keep_their_names_and_take_no_other(look: Look, store: Store, home: Home) -> None:
    store.keep_selection("shop", "old", [("u", "i")], annotator="bob")
    text = "user_id;item_id;name\nu;i;old\nv;j;new\n'=w;k;new\nx;k;new\nv;j;lost\n"
    found = look(text)
    assert (found.kind, found.new, found.same, found.conflicting) == ("selections", 2, 1, 0)
    assert [problem.lines for problem in found.problems] == [(5,)]
    receipt = found.take()
    assert list(store.selection("shop", "new").itertuples(index=False, name=None)) == [("v", "j"), ("=w", "k")]
    assert (look(text).new, look(text).same) == (0, 3)
    other = look("user_id,item_id,name\nu,k,old\n")
    assert (other.new, other.conflicting, other.problems[0].lines) == (0, 1, (2,))
    incoming.take_back(home, store, "shop", receipt, annotator="ann")
    assert store.selections("shop")["name"].tolist() == ["old"]


@pytest.mark.parametrize(("given_name", "expected"), [("", "mine"), (" theirs ", "theirs")])
def test_a_selection_without_a_name_takes_the_given_one_or_the_files(
    look: Look, store: Store, given_name: str, expected: str
) -> None:
    look("user_id,item_id\nu,i\n", "mine.csv", name=given_name).take()
    assert store.selections("shop")["name"].tolist() == [expected]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(ID, ID), min_size=1, max_size=6, unique=True), ANY.filter(str.strip), ANY)
def test_any_selection_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, make_dataset: Callable, pairs: list, name: str, note: str
) -> None:
    folder = tmp_path_factory.mktemp("any")
    source, target = (Store.open(Home.at(folder / each)) for each in "ab")
    data = make_dataset(*(list(dict.fromkeys(ids)) for ids in zip(*pairs, strict=True)))
    source.keep_selection("shop", name, pairs, annotator="ann", note=note)
    text, n = exchange.file_of(source, data, "selections")
    assert n == len(pairs)
    cells = [cell for row in csv.reader(io.StringIO(text, newline="")) for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]
    (folder / "in.csv").write_text(text, encoding="utf-8", newline="")
    found = incoming.examine(Home.at(folder / "b"), target, data, folder / "in.csv", annotator="bob")
    found.take()
    [kept] = target.selections("shop").to_dict("records")
    assert (kept["name"], kept["note"], kept["annotator"]) == (name.strip(), note, "ann")
    assert list(target.selection("shop", kept["name"]).itertuples(index=False, name=None)) == pairs
    for store in (source, target):
        store.close()


def test_guidelines_come_in_with_their_difference_and_go_back(look: Look, home: Home, store: Store) -> None:
    found = look("Be kind.\n", "rules.txt")
    assert (found.kind, found.new) == ("guidelines", 1)
    assert "+Be kind." in found.difference
    receipt = found.take()
    assert guidelines.read(home, "shop") == "Be kind."
    assert look("Be kind.", "rules.md").new == 0
    incoming.take_back(home, store, "shop", receipt, annotator="ann")
    assert guidelines.read(home, "shop") == guidelines.DEFAULT
    with pytest.raises(WinnowError, match="at most 4,000"):
        look("x" * 5000, "rules.txt")


BROKEN = {
    "empty": (b"", "in.csv", "is empty"),
    "blank": (b" \n\n", "in.csv", "is empty"),
    "nothing in lines": (b"", "in.jsonl", "is empty"),
    "excel": (EXCEL, "in.csv", "Excel workbook"),
    "binary": (bytes(range(256)) * 4, "in.csv", "binary file"),
    "latin": ("user_id,item_id,relevant\nu,caf\xe9,no\n".encode("latin-1"), "in.csv", "not in UTF-8"),
    "half of UTF-16": ("user_id,item_id,relevant\nu,i,no\n".encode("utf-16")[:-1], "in.csv", "not in UTF-8"),
    "columns": (b"who,what\nu,i\n", "in.csv", "user_id and item_id"),
    "half a line": (b"user_id,item_id,relevant\nu,i,no\nu,j", "in.csv", "Line 3"),
    "half a word": (b"user_id,item_id,relevant\nu,i,no\nu,j,n", "in.csv", "Line 3"),
    "a label": (b"user_id,item_id,label\nu,i,noisy positive\nu,j,nois", "in.csv", "Line 3"),
    "a quote": (b'user_id,item_id,name\nu,i,a\nu,j,"a\n', "in.csv", "Line"),
    "judgments for reading": (b"user_id,item_id,view,rating\nu,i,user,High\n", "in.csv", "for reading"),
    "a picture of text": (b"%PDF-1.7", "rules.txt", "PDF"),
}


@pytest.mark.parametrize(("content", "name", "message"), BROKEN.values(), ids=BROKEN)
def test_a_broken_file_gets_one_sentence_and_what_to_do(
    look: Look, store: Store, content: bytes, name: str, message: str
) -> None:
    with pytest.raises(WinnowError, match=message) as caught:
        look(content, name)
    assert caught.value.message.count(". ") == 0
    assert caught.value.hint
    assert store.decisions("shop") == []


def test_a_file_that_spreadsheets_saved_is_read(look: Look) -> None:
    for encoding in ("utf-8-sig", "utf-16"):
        assert look("user_id;item_id;relevant\r\nu;i;no\r\n".encode(encoding)).new == 1
    assert look("user_id\titem_id\trelevant\r\nu\ti\tno\r\n").new == 1


def test_a_list_of_pairs_with_titles_and_labels_is_a_selection_first(look: Look) -> None:
    text = "user_id,item_id,title,label\nu,i,T,noisy positive\n"
    assert look(text).kind == "selections"
    assert look(text, kind="labels").new == 1
    with pytest.raises(WinnowError, match="cannot be read in as guidelines"):
        look(text, kind="guidelines")


def test_lines_that_are_no_judgments_are_told_one_by_one(look: Look, store: Store) -> None:
    found = look('{"winnow": "judgment/1"}\n{"half": \n', "answers.jsonl")
    assert (found.kind, found.new) == ("judgments", 0)
    assert sorted(problem.lines for problem in found.problems) == [(1,), (2,)]
    assert not any("line" in problem.message.partition("JSON:")[2] for problem in found.problems)  # its own count is another


def test_the_command_line(home: Home, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    datasets.import_demo(home, DemoSettings(users=80, items=60, interactions=1500), "demo")
    data = datasets.load(home, "demo")
    path, text = tmp_path / "pairs.csv", tmp_path / "rules.txt"
    path.write_text(f"user_id,item_id\n{data.user_ids[0]},{data.item_ids[0]}\nnobody,{data.item_ids[0]}\n")
    text.write_text("Be kind.")

    def told(*arguments: str) -> dict:
        assert run([*arguments, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    dry = told("selections", "import", str(path), "--dry-run")
    assert (dry["new"], dry["problems"][0]["lines"], len(Store.open(home).selections("demo"))) == (1, [3], 0)
    assert told("selections", "import", str(path), "--name", "left")["new"] == 1
    assert Store.open(home).selections("demo")["name"].tolist() == ["left"]
    assert told("selections", "import", str(path), "--name", "left")["same"] == 1
    assert told("guidelines", "import", str(text))["new"] == 1
    assert told("guidelines", "show")["guidelines"] == "Be kind."
    assert run(["labels", "import", str(tmp_path / "gone.csv"), "--json"]) == 1
    assert "no file" in json.loads(capsys.readouterr().out)["error"]
