"""Recorded judgments, replayed: whoever gave them is kept, whatever file they stand in, and nothing passes for asked."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from core import judges
from core.errors import Fatal, SettingsError
from core.exchange import safe_cells
from core.judges import Policy, Summary
from core.labels import to_frame
from core.settings import JudgeSettings
from core.store import Store
from tests.judging_fixtures import candidates, catalogue

SHOP = catalogue()
ASKED = candidates(SHOP, (0, 0), (0, 12), (1, 11))


def row(user: int, item: int, view: str, rating: str, **more: Any) -> dict[str, Any]:
    return {"user_id": f"u{user}", "item_id": f"i{item}", "view": view, "rating": rating, "analysis": f"{view} of {item}"} | more


ROWS = [row(0, 0, "user", "High"), row(0, 0, "item", "high "), row(0, 12, "user", "Low"), row(9, 9, "user", "Low")]
MODEL = {"judge": "ollama", "model": "qwen3:8b", "digest": "abc", "prompt_version": "2/built-in/made", "is_llm": True}


def recorded(path: Path, rows: list[dict[str, Any]]) -> Path:
    table = pd.DataFrame(rows)
    if path.suffix == ".csv":
        safe_cells(table).to_csv(path, index=False)
    elif path.suffix == ".parquet":
        table.to_parquet(path)
    else:
        path.write_text("".join(json.dumps(one) + "\n" for one in rows))
    return path


def replay(store: Store, path: Path, **changes: Any) -> Summary:
    settings = JudgeSettings(judge="replay", file=str(path), **changes)
    return judges.run(store, SHOP, ASKED, judges.make(settings, Path()), settings, policy=Policy(pause_s=0.001))


def label_of(store: Store) -> dict[tuple[str, str], tuple[str, str]]:
    rows = to_frame(SHOP, store.labels(SHOP)).itertuples()
    return {(one.user_id, one.item_id): (one.label, one.source) for one in rows}


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_who_answered_is_kept_and_what_is_missing_stays_unjudged(store: Store, tmp_path: Path, suffix: str) -> None:
    path = recorded(tmp_path / f"answers{suffix}", [one | MODEL | {"confidence": 0.5} for one in ROWS])
    assert "4 judgments" in judges.health(JudgeSettings(judge="replay", file=str(path))).message
    summary = replay(store, path)
    assert (summary.asked, summary.failed, summary.unjudged, summary.tokens_in) == (6, 3, 2, 0)  # asked once, not three times
    assert label_of(store) == {
        ("u0", "i0"): ("hard positive", "llm"),
        ("u0", "i12"): ("unjudged", "none"),
        ("u1", "i11"): ("unjudged", "none"),
    }
    rows = store.judgments("shop")
    assert set(rows["origin"]) == {"replayed"}
    assert {name: set(rows[name]) for name in MODEL} == {name: {value} for name, value in MODEL.items()}
    assert set(rows["analysis"]) == {"user of 0", "item of 0", "user of 12"}
    assert set(rows["confidence"]) == {0.5}
    assert sorted(rows["how"]) == ["repaired", "strict", "strict"]
    assert store.unanswered("shop")["kind"].tolist() == ["bad answer"] * 3
    assert replay(store, path).cached == 3


def test_a_rater_that_is_not_named_is_a_language_model_only_if_a_model_is(store: Store, tmp_path: Path) -> None:
    replay(store, recorded(tmp_path / "a.csv", ROWS))
    assert label_of(store)["u0", "i0"] == ("hard positive", "builtin")
    assert set(store.judgments("shop")["judge"]) == {"replay"}
    replay(store, recorded(tmp_path / "b.csv", [one | {"model": "gpt-4o"} for one in ROWS]))
    assert label_of(store)["u0", "i0"] == ("hard positive", "llm")


def test_both_views_of_a_pair_come_from_one_rater(store: Store, tmp_path: Path) -> None:
    whole = [row(0, 0, "user", "High", model="a"), row(0, 0, "item", "High", model="a")]
    later = [row(0, 0, "user", "Low", model="b"), row(1, 11, "user", "Low", model="a"), row(1, 11, "item", "Low", model="a")]
    latest = [row(1, 11, "user", "High", model="b"), row(1, 11, "item", "High", model="b")]
    replay(store, recorded(tmp_path / "a.jsonl", [*whole, *later, *latest]))
    rows = store.judgments("shop")
    assert {(one.item_id, one.model, one.rating) for one in rows.itertuples()} == {("i0", "a", "High"), ("i11", "b", "High")}


def test_another_answer_is_another_question_and_counts(store: Store, tmp_path: Path) -> None:
    replay(store, recorded(tmp_path / "a.csv", ROWS))
    changed = [row(0, 0, "user", "Low"), *ROWS[1:]]
    replay(store, recorded(tmp_path / "a.csv", changed))
    assert label_of(store)["u0", "i0"][0] == "noisy positive"


def test_a_replay_never_stands_for_an_answer_that_was_asked_for(store: Store, tmp_path: Path) -> None:
    replay(store, recorded(tmp_path / "a.jsonl", [one | MODEL for one in ROWS]))
    settings = JudgeSettings(encoder="tfidf")
    summary = judges.run(store, SHOP, ASKED, judges.make(settings, tmp_path), settings)
    assert (summary.asked, summary.cached) == (6, 0)


def test_cells_that_were_made_safe_are_read_as_they_were(store: Store, tmp_path: Path) -> None:
    said = row(0, 0, "user", "High") | {"analysis": "=1+1"}
    path = recorded(tmp_path / "a.csv", [said, ROWS[1]])
    assert "'=1+1" in path.read_text()
    replay(store, path)
    assert "=1+1" in store.judgments("shop")["analysis"].tolist()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.txt", "", "no file with judgments"),
        ("none.csv", None, "No such file"),
        ("a.csv", "user_id,item_id\nu0,i0\n", "judgment 1 cannot be read: it has no view"),
        ("a.csv", "user_id,item_id,view,rating\nu0,i0,user,High\nu0,i0,both,High\n", "judgment 2 .* view is 'both'"),
        ("a.csv", "user_id,item_id,view,rating\nu0,i0,user,not High\n", "judgment 1 .*not High"),
        ("a.jsonl", "{\n", "EOF"),
        ("a.jsonl", "[]\n", "no JSON object"),
        ("a.parquet", "no parquet", "Parquet"),
        ("a.csv", "", "no judgments"),
    ],
)
def test_a_file_that_cannot_be_replayed_says_where(
    store: Store, tmp_path: Path, name: str, content: str | None, said: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_text(content)
    with pytest.raises(Fatal, match=said):
        replay(store, path)
    assert len(store.unanswered("shop")) == 0


def test_a_replay_needs_a_file() -> None:
    with pytest.raises(SettingsError, match="needs a file"):
        JudgeSettings.checked(judge="replay")
