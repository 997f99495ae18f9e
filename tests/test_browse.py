"""The tables that people look through, against a plain walk over the same pairs."""

import numpy as np
import pandas as pd
import pytest

from core import browse
from core.records import VIEWS, Dataset, Interactions, Label, LabelSet, Source

N_USERS, N_ITEMS = 4, 5
TRAIN = [(0, 0), (0, 1), (1, 1), (2, 3), (2, 0)]
VALID, TEST = [(1, 2)], [(0, 4)]
LABELS = {(0, 1): (Label.NOISY_POSITIVE, Source.BUILTIN), (2, 3): (Label.HARD_POSITIVE, Source.HUMAN)}
LABELS[3, 3] = (Label.UNJUDGED, Source.NONE)
LOSS = {(0, 0): 0.5, (0, 1): 2.0, (1, 1): 0.25, (2, 3): 1.0}


def interactions(pairs: list[tuple[int, int]]) -> Interactions:
    user, item = np.array(pairs, np.int32).reshape(-1, 2).T
    return Interactions(user, item)


@pytest.fixture
def data() -> Dataset:
    def words(prefix: str, n: int) -> np.ndarray:
        return np.array([f"{prefix}{place}" for place in range(n)], dtype=object)

    empty = np.full(N_ITEMS, "", dtype=object)
    return Dataset(
        "toy",
        words("u", N_USERS),
        words("i", N_ITEMS),
        words("about ", N_USERS),
        words("Title ", N_ITEMS),
        empty,
        empty,
        *map(interactions, (TRAIN, VALID, TEST)),
        fingerprint="f",
    )


@pytest.fixture
def labels() -> LabelSet:
    user, item = np.array(list(LABELS), np.int32).T
    label, source = np.array(list(LABELS.values()), np.int8).T
    return LabelSet(user, item, np.array([pair in TRAIN for pair in LABELS]), label, source)


@pytest.fixture
def rows(data: Dataset) -> browse.Listing:
    train_labels = np.array([LABELS.get(pair, (Label.CLEAN, 0))[0] for pair in TRAIN], np.int8)
    user, item = np.array(list(LOSS), np.int32).T
    return browse.listing(data, train_labels, {"user": user, "item": item, "mean": np.array(list(LOSS.values()), np.float32)})


def pairs_of(rows: browse.Listing, at: np.ndarray) -> list[tuple[int, int]]:
    return list(zip(rows.user[at].tolist(), rows.item[at].tolist(), strict=True))


def test_a_listing_knows_part_label_and_loss(data: Dataset, rows: browse.Listing) -> None:
    everything = browse.ordered(rows, np.ones(len(rows), bool))
    assert pairs_of(rows, everything) == TRAIN + VALID + TEST
    table = browse.interaction_table(data, rows)
    assert table["split"].tolist() == ["train"] * 5 + ["valid", "test"]
    assert table["label"].tolist() == ["clean", "noisy positive", "clean", "hard positive", "clean", "clean", "clean"]
    assert table["loss"][:4].tolist() == [0.5, 2.0, 0.25, 1.0]
    assert table["loss"][4:].isna().all()
    assert table["title"][3] == "Title 3"


def test_rows_without_loss_come_last_and_others_are_left_out(rows: browse.Listing) -> None:
    every = np.ones(len(rows), bool)
    assert pairs_of(rows, browse.ordered(rows, every, "highest loss"))[:4] == [(0, 1), (2, 3), (0, 0), (1, 1)]
    assert pairs_of(rows, browse.ordered(rows, every, "lowest loss"))[:4] == [(1, 1), (0, 0), (2, 3), (0, 1)]
    assert pairs_of(rows, browse.ordered(rows, rows.user == 0, "highest loss"))[:2] == [(0, 1), (0, 0)]
    assert len(browse.ordered(rows, ~every)) == 0


def test_one_line_per_user_and_item(data: Dataset, rows: browse.Listing) -> None:
    users = browse.side_table(data, rows, "user").set_index("user")
    assert users.loc["u0", ["train", "valid", "test"]].tolist() == [2, 0, 1]
    assert users.loc["u2", "hard positive"] == 1
    assert users.loc["u0", "mean loss"] == pytest.approx(1.25)
    assert np.isnan(users.loc["u3", "mean loss"])
    items = browse.side_table(data, rows, "item")
    assert items["train"].is_monotonic_decreasing
    assert items.set_index("item").loc["i1", "noisy positive"] == 1


def judgment(user: str, item: str, view: str, rating: str, *, llm: bool = False, at: float = 0.0, digest: str = "d") -> dict:
    judge = "ollama" if llm else "builtin"
    return {
        "user_id": user,
        "item_id": item,
        "view": view,
        "rating": rating,
        "judge": judge,
        "model": "llama" if llm else "rules",
        "digest": digest,
        "prompt_version": "1",
        "is_llm": llm,
        "at": at,
    }


def test_ratings_of_different_raters_are_never_mixed() -> None:
    answers = [
        judgment("u0", "i1", "user", "Low", at=5),
        judgment("u0", "i1", "item", "Mid", at=5),
        judgment("u0", "i1", "user", "High", llm=True, at=1),  # one view only: the complete opinion counts
        judgment("u2", "i3", "user", "Low", at=9),
        judgment("u2", "i3", "item", "Low", at=9),
        judgment("u2", "i3", "user", "High", llm=True, at=1),
        judgment("u2", "i3", "item", "Mid", llm=True, at=1),
        judgment("u3", "i3", "item", "High"),
    ]
    found = browse.ratings(pd.DataFrame(answers)).set_index(["user_id", "item_id"])
    assert found.loc[("u0", "i1"), ["user view", "item view", "rater"]].tolist() == ["Low", "Mid", "builtin"]
    assert found.loc[("u2", "i3"), ["user view", "item view", "rater"]].tolist() == ["High", "Mid", "llama"]
    assert found.loc[("u3", "i3"), ["user view", "item view"]].tolist() == ["", "High"]
    assert len(browse.ratings(pd.DataFrame(columns=list(answers[0])))) == 0


def test_ratings_of_a_simulation_stand_behind_those_of_any_real_rater() -> None:
    rated = [judgment("u0", "i1", view, "High", at=1) for view in VIEWS]
    simulated = [judgment("u0", "i1", view, "Low", at=2) | {"judge": "simulated"} for view in VIEWS]
    assert browse.ratings(pd.DataFrame(rated + simulated))["rater"].tolist() == ["builtin"]
    assert browse.ratings(pd.DataFrame(simulated))["rater"].tolist() == ["simulated"]


def test_examined_pairs_with_their_ratings(data: Dataset, labels: LabelSet) -> None:
    answers = pd.DataFrame([judgment("u0", "i1", "user", "Low"), judgment("u0", "i1", "item", "High")])
    table = browse.pair_table(data, labels, answers)
    assert len(table) == len(LABELS)
    first = table.set_index(["user", "item"]).loc[("u0", "i1")]
    assert (first["user view"], first["item view"], first["rater"], first["is_llm"]) == ("Low", "High", "builtin", False)
    assert (table["user view"] == "").sum() == 2
    assert browse.agreement(table).tolist() == [[0, 0, 0], [0, 0, 0], [1, 0, 0]]
    assert browse.reviewed(labels) == 1
    assert browse.counts_by_label(labels) == {Label.HARD_POSITIVE: 1, Label.NOISY_POSITIVE: 1, Label.UNJUDGED: 1}


def test_how_many_labels_changed() -> None:
    before = pd.DataFrame({"user_id": ["a", "a", "b"], "item_id": ["1", "2", "1"], "label": ["x", "y", "z"]})
    after = pd.DataFrame({"user_id": ["b", "a", "c"], "item_id": ["1", "1", "1"], "label": ["z", "y", "x"]})
    assert browse.changed(before, before) == 0
    assert browse.changed(before, after) == 3  # (a, 1) differs, (a, 2) is gone, (c, 1) is new
