"""Import of tables: what is kept, what is reported with which line, and how bad input ends."""

import csv
import gzip
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core import datasets
from core.artifacts import ROOT, Home
from core.datasets import Draft, Problem
from core.errors import DatasetError, SettingsError
from core.records import Label
from core.settings import ImportSettings

PLAIN = "user,item\nu1,a\nu1,b\nu2,a\nu2,c\nu3,b\n"


def examined(folder: Path, content: str | bytes, name: str = "clicks.csv", **chosen: object) -> Draft:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return datasets.examine(path, settings=ImportSettings.checked(**chosen))


def problem(draft: Draft, kind: str) -> Problem:
    (one,) = [found for found in draft.report.problems if found.kind == kind]
    return one


def pairs(draft: Draft) -> list[tuple[str, str]]:
    return list(draft.tables.interactions[["user", "item"]].itertuples(index=False, name=None))


# ---- what a file may look like


@pytest.mark.parametrize(
    "content",
    [
        PLAIN.encode("utf-8-sig"),
        PLAIN.replace("\n", "\r\n").encode(),
        PLAIN.replace("\n", "\r").encode(),
        PLAIN.replace(",", "\t").encode(),
        PLAIN.replace(",", ";").encode(),
        PLAIN.replace(",", "|").encode(),
        PLAIN.encode("utf-16"),
        gzip.compress(PLAIN.encode()),
        PLAIN.rstrip("\n").encode(),
        ("\n".join(f'"{a}","{b}"' for a, b in csv.reader(io.StringIO(PLAIN)))).encode(),
        PLAIN.replace("user,item", "reviewerID, asin").encode(),
        PLAIN.replace("user,item", "user_id:token,item_id:token").encode(),
        PLAIN.replace("u1,a", "  u1 ,a\t").replace("u2,c", "u2, c").encode(),
    ],
    ids=["bom", "crlf", "cr", "tab", "semicolon", "bar", "utf-16", "gzip", "no-end", "quoted", "names", "recbole", "spaces"],
)
def test_one_content_in_many_dresses(tmp_path: Path, content: bytes) -> None:
    draft = examined(tmp_path, content)
    assert pairs(draft) == [("u1", "a"), ("u1", "b"), ("u2", "a"), ("u2", "c"), ("u3", "b")]
    assert (draft.report.rows_read, draft.report.rows_kept) == (5, 5)
    assert not [found for found in draft.report.problems if found.severity == "error"]


def test_parquet_with_numbers_dates_lists_and_structures(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "user_id": [10_000_000, 2, 3],
            "item_id": pd.array([7, None, 9], dtype="Int64").astype("float64"),
            "rating": np.array([4.5, 3.0, np.inf], np.float32),
            "date": pd.to_datetime(["2024-01-31", "2024-02-01", "2024-02-02"]),
            "genres": [["A", "B"], [], ["C"]],
            "more": [{"x": 1}, {"x": 2}, {"x": 3}],
        }
    )
    frame.to_parquet(tmp_path / "p.parquet")
    draft = datasets.examine(tmp_path / "p.parquet")
    assert pairs(draft) == [("10000000", "7")]
    assert draft.tables.interactions["time"].tolist() == [1_706_659_200]
    assert problem(draft, "missing-id").lines == (2,)
    assert problem(draft, "rating").lines == (3,)
    assert draft.tables.items["item"].tolist() == ["7"]
    assert "row 3" in " ".join(draft.report.sentences())


@pytest.mark.parametrize(
    ("words", "encoding", "read_as"),
    [
        (["Zoë", "Café"], "latin-1", "cp1252"),
        (["“Ñandú”", "Fußgänger"], "cp1252", "cp1252"),
        (["Иванова", "Преступление и наказание"], "cp1251", "cp1251"),
        (["孙悟空和他的朋友们一起去西天取经", "红楼梦是中国古典小说的代表作品之一"], "gb18030", "gb18030"),
    ],
)
def test_old_encodings_are_guessed_and_reported(tmp_path: Path, words: list[str], encoding: str, read_as: str) -> None:
    plain = "".join(f"v{n},i{n}\n" for n in range(50_000))  # the first odd byte stands far behind
    draft = examined(tmp_path, f"user,item\n{plain}{','.join(words)}\n".encode(encoding))
    assert pairs(draft)[-1] == tuple(words)
    assert read_as in problem(draft, "encoding").message


# ---- what is left out, and where it stands


BROKEN = (
    "user,item,rating,time,note\n"
    'u,i,5,1600000000,"he said ""no"",\nand left"\n'  # lines 2 and 3
    "too,few,4\n"  # 4
    ",k,3,1600000000,z\n"  # 5
    "\n"
    "n,m,awful,1600000000,z\n"  # 7
    'u,z,4,1600000001,"a\n\nb"\n'  # 8 to 10
    "w,z,inf,1600000000,q\n"  # 11
    "w,y,4,someday,q\n"  # 12
    "one,more,4,1600000000,q,too many\n"  # 13
    "u,i,3,1700000000,again\n"  # 14
    "v,i,3,1600000000,fine\n"  # 15
)


def test_every_loss_is_counted_with_its_lines_as_an_editor_shows_them(tmp_path: Path) -> None:
    draft = examined(tmp_path, BROKEN)
    lines = {found.kind: found.lines for found in draft.report.problems if found.lines}
    assert lines == {"fields": (4, 13), "missing-id": (5,), "rating": (7, 11), "time": (12,), "duplicate": (14,)}
    assert (draft.report.rows_read, draft.report.rows_kept) == (10, 3)
    assert pairs(draft) == [("u", "i"), ("u", "z"), ("v", "i")]
    assert problem(draft, "rating").example == "awful"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["u1", "u2", "x y", ""]),
            st.sampled_from(["i1", "i2", "i,3", 'i"4']),
            st.sampled_from(["", "a\nb", "ok"]),
        ),
        min_size=1,
        max_size=25,
    )
)
def test_lines_are_those_of_pythons_csv_reader(tmp_path: Path, cells: list[tuple[str, str, str]]) -> None:
    """An independent reader of the same file must find every row that was left out on the line that the report names."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([("user", "item", "note"), *cells])
    starts, reader = [], csv.reader(io.StringIO(text.getvalue()))
    line = 0
    for row in reader:
        starts.append((line + 1, row))
        line = reader.line_num
    seen: dict[tuple[str, str], int] = {}
    missing = [start for start, row in starts[1:] if row[0] == ""]
    for start, row in starts[1:]:
        if row[0]:
            seen[(row[0], row[1])] = start  # the last one is kept
    if not seen:
        with pytest.raises(DatasetError):
            examined(tmp_path, text.getvalue())
        return
    draft = examined(tmp_path, text.getvalue())
    found = {one.kind: one for one in draft.report.problems}
    assert (found["missing-id"].lines if missing else ()) == tuple(missing[:10])
    assert sorted(pairs(draft)) == sorted(seen)
    repeated = [start for start, row in starts[1:] if row[0] and seen[(row[0], row[1])] != start]
    assert (found["duplicate"].lines if repeated else ()) == tuple(repeated[:10])


def test_of_repeated_pairs_the_highest_rated_then_the_latest_stays(tmp_path: Path) -> None:
    draft = examined(
        tmp_path, "user,item,rating,time\na,b,3,1000000009\na,b,5,1000000001\na,b,5,1000000005\na,b,5,1000000002\nc,b,1,5\n"
    )
    kept = draft.tables.interactions
    assert kept[["rating", "time"]].to_numpy().tolist() == [[5.0, 1_000_000_005], [1.0, 5]]
    assert problem(draft, "duplicate").lines == (2, 3, 5)


def test_no_pair_ends_in_two_splits(tmp_path: Path) -> None:
    draft = examined(tmp_path, "user,item,split\na,b,train\na,b,test\na,c,training\nd,b,valid\nd,c,sometimes\n")
    assert len(set(pairs(draft))) == len(pairs(draft)) == 3
    assert problem(draft, "leak").count == 1
    assert problem(draft, "split").lines == (6,)


# ---- what cells mean


def test_ids_stay_text_and_whole_numbers_saved_as_decimals_are_the_same(tmp_path: Path) -> None:
    draft = examined(tmp_path, "user,item\n1,007\n1.0,7\n2.0,007\nNone,7\n99999999999999999999,x1\n")
    assert pairs(draft) == [("1", "007"), ("1", "7"), ("2", "007"), ("99999999999999999999", "x1")]
    assert examined(tmp_path, "user,item\n1.0,a\n1.5,b\n").tables.users["user"].tolist() == ["1.0", "1.5"]


@pytest.mark.parametrize(
    ("cells", "seconds"),
    [
        (["881250949", "891717742"], [881_250_949, 891_717_742]),
        (["1600000000123", "1600000001999"], [1_600_000_000, 1_600_000_001]),
        (["1600000000123456"] * 2, [1_600_000_000] * 2),
        (["2024-01-31", "2024-02-01T10:00:00+02:00"], [1_706_659_200, 1_706_774_400]),
        (["01/31/2024", "02/01/2024"], [1_706_659_200, 1_706_745_600]),
        (["02/01/2024", "31/01/2024"], [1_704_153_600, 1_706_659_200]),
        (["02.01.2024 10:00", "31.01.2024 00:00"], [1_704_189_600, 1_706_659_200]),
        (["02/01/2024", "03/01/2024"], [1_706_745_600, 1_709_251_200]),
        (["20240131", "20240201"], [1_706_659_200, 1_706_745_600]),
        (["-5", "1.9"], [-5, 1]),
    ],
    ids=["seconds", "milliseconds", "microseconds", "iso", "american", "european", "points", "either", "digits", "old"],
)
def test_times(tmp_path: Path, cells: list[str], seconds: list[int]) -> None:
    draft = examined(tmp_path, "user,item,when\n" + "".join(f"u,i{n},{cell}\n" for n, cell in enumerate(cells)))
    assert draft.tables.interactions["time"].tolist() == seconds


def test_dates_that_could_be_read_in_two_ways_are_said_to_be_so(tmp_path: Path) -> None:
    header, severities = "user,item,date\n", []
    for rows in ("a,x,02/01/2024\na,y,03/01/2024\n", "a,x,02/01/2024\na,y,31/01/2024\n", "a,x,02 Jan 2024\n"):
        severities.append(problem(examined(tmp_path, header + rows), "time").severity)
    assert severities == ["warning", "note", "note"]


def test_weights_of_an_export_are_said_to_be_lost(tmp_path: Path) -> None:
    lost = problem(examined(tmp_path, "user,item,weight\na,x,1.0\na,y,0.3\nb,x,0.3\n"), "weight")
    assert (lost.severity, lost.count) == ("warning", 2)
    assert lost.message == "Took 2 rows with a weight below 1 as whole clicks: weights are not imported."
    assert not [one for one in examined(tmp_path, "user,item,weight\na,x,1.0\n").report.problems if one.kind == "weight"]


def test_a_split_column_that_beats_the_asked_split_is_named(tmp_path: Path) -> None:
    rows = "user,item,split,date\na,x,train,2024-01-01\na,y,test,2024-01-02\n"
    assert not [one for one in examined(tmp_path, rows).report.problems if one.kind == "split-by"]
    asked = problem(examined(tmp_path, rows, split_by="time", test_share=0.4), "split-by")
    assert asked.severity == "warning"
    assert asked.message.startswith("Column 'split' says how to split, so split_by and test_share had no effect.")
    assert asked.message.endswith("choose none as the split column (on the command line: --mapping split=).")
    anew = examined(tmp_path, rows, split_by="time", split="")
    assert not [one for one in anew.report.problems if one.kind == "split-by"]


def test_a_threshold_makes_positives_and_dislikes(tmp_path: Path) -> None:
    rows = "user;item;stars\na;x;3,5\na;y;4\nb;x;5\nb;y;1\n"
    draft = examined(tmp_path, rows, threshold=4)
    assert draft.tables.interactions["positive"].tolist() == [False, True, True, False]
    assert problem(draft, "threshold").count == 2
    everything = examined(tmp_path, rows)
    assert everything.tables.interactions["positive"].all()
    assert "whatever its rating" in problem(everything, "threshold").message


def test_a_mapping_beats_the_guess_and_an_empty_one_means_none(tmp_path: Path) -> None:
    rows = "user,who,item,rating,date\nx,a,1,bad,never\nx,b,1,worse,never\n"
    draft = examined(tmp_path, rows, user="who", rating="", time="")
    assert pairs(draft) == [("a", "1"), ("b", "1")]
    assert (draft.settings.user, draft.settings.item, draft.settings.rating) == ("who", "item", "")
    assert list(draft.tables.interactions.columns) == ["user", "item", "positive", "split"]


def test_what_a_look_tells_before_any_mapping(tmp_path: Path) -> None:
    path = tmp_path / "odd.csv"
    path.write_text("who,what,stars\na,b,3\n")
    peeked = datasets.peek(path)
    assert (peeked.format, peeked.columns, peeked.mapping) == ("table", ["who", "what", "stars"], {"rating": "stars"})
    assert peeked.preview.to_numpy().tolist() == [["a", "b", "3"]]


# ---- tables beside the interactions


def test_items_and_users_are_compared_with_the_interactions(tmp_path: Path) -> None:
    (tmp_path / "products.csv").write_text(
        'id,title,genres,description\n2,Two,A | B,"a, b"\n10,Ten,(no genres listed),\n9,Nine,,\n2,Zwei,,\n,Nobody,,\n'
    )
    (tmp_path / "people.csv").write_text("uid,age,zip_id\na,33,123\nz,44,456\n")
    (tmp_path / "clicks.csv").write_text("user,item\na,2.0\nb,10\na,10\nb,3\n")
    draft = datasets.examine(tmp_path / "clicks.csv", items=tmp_path / "products.csv", users=tmp_path / "people.csv")
    assert draft.tables.items.to_numpy().tolist() == [
        ["2", "Two", "A|B", "a, b"],
        ["3", "3", "", ""],
        ["9", "Nine", "", ""],
        ["10", "Ten", "", ""],
    ]
    assert draft.tables.users.to_numpy().tolist() == [["a", "age: 33"], ["b", ""]]
    assert (problem(draft, "unknown-item").example, problem(draft, "idle-item").example) == ("3", "9")
    assert (problem(draft, "unknown-user").example, problem(draft, "idle-user").example) == ("b", "z")
    assert (problem(draft, "duplicate-id").lines, problem(draft, "missing-id").lines) == ((5,), (6,))


def test_an_item_table_with_other_ids_is_refused(tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_text("id,title\nB001,One\n")
    (tmp_path / "clicks.csv").write_text(PLAIN)
    with pytest.raises(DatasetError, match="None of the item ids"):
        datasets.examine(tmp_path / "clicks.csv", items=tmp_path / "items.csv")


def test_texts_in_the_interactions_serve_when_they_belong_to_the_item(tmp_path: Path) -> None:
    draft = examined(tmp_path, "user,item,title,text\na,1,One,I liked it\nb,1,One,I did not\nb,2,Two,so so\n")
    assert draft.tables.items[["title", "text"]].to_numpy().tolist() == [["One", ""], ["Two", ""]]


def test_truth_is_kept_apart_and_must_fit_what_was_observed(tmp_path: Path) -> None:
    (tmp_path / "interactions.csv").write_text("user,item,split\na,1,train\na,2,train\nb,1,test\nb,3,train\n")
    (tmp_path / "truth.csv").write_text(
        "user,item,truth\na,1,noisy\na,2,hard\nb,2,missed\nb,1,missed\na,3,noisy\nzz,1,hard\na,1,hard\nb,3,what\nb,3,clean\n"
    )
    draft = datasets.examine(tmp_path)
    assert draft.format == "winnow-folder"
    assert draft.tables.truth.to_numpy().tolist() == [
        ["a", "1", Label.NOISY_POSITIVE],
        ["a", "2", Label.HARD_POSITIVE],
        ["b", "2", Label.MISSED_POSITIVE],
    ]
    assert sorted(line for found in draft.report.problems if found.kind == "truth" for line in found.lines) == [5, 6, 7, 8, 9]
    assert "truth" not in draft.tables.interactions


def test_an_unknown_word_in_a_truth_column_costs_no_row(tmp_path: Path) -> None:
    draft = examined(tmp_path, "user,item,noise\na,1,1\na,2,0\nb,1,hard\nb,2,0.7\n")
    assert len(pairs(draft)) == 4
    assert draft.tables.truth["truth"].tolist() == [Label.NOISY_POSITIVE, Label.HARD_POSITIVE]
    assert problem(draft, "truth").lines == (5,)


# ---- bad input


@pytest.mark.parametrize(
    ("content", "name", "says"),
    [
        (b"", "x.csv", "is empty"),
        (b"\n \n", "x.csv", "is empty"),
        (b"user,item\n", "x.csv", "No row"),
        (b"1,2,3\n4,5,6\n", "x.csv", "looks like data"),
        (b"user\na\n", "x.csv", "only one column"),
        (b"user,user,item\na,b,c\n", "x.csv", "more than one column named 'user'"),
        (b"from,to\na,b\n", "x.csv", "plainly the user or the item"),
        (b"user,item\na,b,c\nd,e,f\n", "x.csv", "No row"),
        (b'user,item\na,"b\nc,d\ne,f\n', "x.csv", "quote in line 2"),
        (b"user,item,rating\na,b,good\nc,d,bad\n", "x.csv", "No rating in column"),
        (b"user,item,time\na,b,soon\nc,d,later\n", "x.csv", "No time in column"),
        (b"PK\x03\x04xyz", "x.xlsx", "Excel workbook"),
        (bytes(range(256)), "x.csv", "binary"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "x.png", "binary"),
        (b'[{"user": 1}]', "x.json", "JSON"),
        (b"<!DOCTYPE html><html>", "x.csv", "web page"),
        (b"PAR1 and no more", "x.parquet", "not a readable Parquet"),
        (gzip.compress(PLAIN.encode(), mtime=0)[:-9], "x.csv.gz", "damaged gzip"),
    ],
)
def test_bad_files_end_in_one_sentence_with_a_hint_and_nothing_on_disk(
    home: Home, tmp_path: Path, content: bytes, name: str, says: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=says) as caught:
        datasets.import_path(home, path)
    assert caught.value.hint
    assert caught.value.message.count("\n") == 0
    assert not home.datasets.exists()


@pytest.mark.parametrize(
    ("chosen", "says"),
    [
        ({"threshold": 6}, "the highest is 5"),
        ({"core": 9}, "9-core"),
        ({"user": "nobody"}, "no column 'nobody'"),
        ({"split_by": "time"}, "no time column"),
        ({"rating": "", "threshold": 3}, "no rating column"),
    ],
)
def test_settings_that_cannot_work_say_so(tmp_path: Path, chosen: dict[str, object], says: str) -> None:
    with pytest.raises(DatasetError, match=says):
        examined(tmp_path, "user,item,rating\na,b,5\nc,d,2\na,d,4\n", **chosen)


def test_the_hint_of_an_empty_core_names_one_that_is_not(tmp_path: Path) -> None:
    content = "user,item\n" + "".join(f"u{n % 3},i{n // 3}\n" for n in range(9)) + "u9,i0\n"
    with pytest.raises(DatasetError, match="at most 3"):
        examined(tmp_path, content, core=5)
    assert examined(tmp_path, content, core=3).report.rows_kept == 9


def test_paths_and_names_that_cannot_be(home: Home, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="does not exist"):
        datasets.examine(tmp_path / "nothing.csv")
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(DatasetError, match="no known layout; it holds .*notes.txt"):
        datasets.examine(tmp_path)
    with pytest.raises(SettingsError, match="movielens-100k, table, winnow-folder"):
        datasets.examine(tmp_path / "notes.txt", format="netflix")
    (tmp_path / "c.csv").write_text(PLAIN)
    for name in ("../up", "", ".hidden", "a/b", "a b", "x" * 200):
        with pytest.raises(DatasetError, match="cannot be named"):
            datasets.examine(tmp_path / "c.csv", name=name or " ")
    odd = tmp_path / "my clicks (2).v1.csv"
    odd.write_text(PLAIN)
    assert datasets.examine(odd).name == "my-clicks-2"


def test_every_format_is_described_for_users() -> None:
    described = (ROOT / "data" / "README.md").read_text(encoding="utf-8")
    for name in datasets.FORMATS.names():
        assert f"### `{name}`" in described
        assert datasets.FORMATS[name].__doc__
