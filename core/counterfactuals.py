"""What kept counterfactuals say: whether a rating moves when one thing about its question is changed."""

import json
from dataclasses import dataclass

import numpy as np
import pandas as pd

from core import agreement
from core.agreement import Estimate
from core.records import VIEWS, Dataset
from core.store.counterfactuals import Change

WORDS = {
    Change.NOTHING: "asked anew as it stands now",
    Change.WITHOUT: "without items of the history",
    Change.REVERSED: "history in the opposite order",
    Change.SEED: "another seed",
    Change.TITLE: "the title of the item alone",
}
"""What was changed, in words."""

_RESTS = {
    Change.WITHOUT: ("the rating does not rest on {it}", "the rating rests on {it}"),
    Change.REVERSED: ("the order of the history does not matter", "the rating depends on the order of the history"),
    Change.SEED: ("it is steady", "it is not steady"),
    Change.TITLE: ("the title alone is enough for it", "it rests on more than the title"),
    Change.NOTHING: (
        "what has changed since the first answer does not matter",
        "what has changed since the first answer matters",
    ),
}
"""What it means that no rating moved, and that one did."""


@dataclass(frozen=True)
class Finding:
    """One change, as both views answered it."""

    change: Change
    sentence: str
    moved: bool
    rows: pd.DataFrame


def findings(dataset: Dataset, rows: pd.DataFrame) -> list[Finding]:
    """A sentence for each change of one pair, by rows of Store.counterfactuals of one rater, the newest change last.

    Of another seed all answers are one finding. Where the texts have changed between two askings, the newest one counts.
    """
    newest = rows[rows["base_key"] == rows.groupby(["change", "view"])["base_key"].transform("last")]
    without = left_out(dataset, newest)
    what = newest["change"] + newest["items"].map(json.dumps)
    return [_finding(group, without[group.index[0]]) for _, group in newest.groupby(what, sort=False)]


def left_out(dataset: Dataset, rows: pd.DataFrame) -> pd.Series:
    """Titles of the items that each row leaves out, with commas; the id of what the dataset does not know."""
    ids = {one for row in rows["items"] for one in row}
    at = np.flatnonzero(pd.Series(dataset.item_ids).isin(ids))
    titles = dict(zip(dataset.item_ids[at], dataset.item_title[at], strict=True))
    return rows["items"].map(lambda row: ", ".join(str(titles.get(one, one)) for one in row))


def _finding(rows: pd.DataFrame, without: str) -> Finding:
    change = Change(rows["change"].iloc[0])
    moved = bool((rows["rating"] != rows["before"]).any())
    says = {Change.WITHOUT: f"without {without}", Change.REVERSED: "with the history in the opposite order"}
    says |= {
        Change.TITLE: "by the title alone",
        Change.NOTHING: "asked anew",
        Change.SEED: f"with {'another seed' if rows['number'].nunique() < 2 else 'other seeds'}",
    }
    meaning = _RESTS[change][moved].format(it="it" if len(rows["items"].iloc[0]) == 1 else "them")
    by_view = {view: rows[rows["view"] == view] for view in VIEWS if (rows["view"] == view).any()}
    told = _both(by_view) or "; ".join(f"the {view} view {_one(part)}" for view, part in by_view.items())
    sentence = f"{told} {says[change]}: {meaning}."
    return Finding(change, sentence[0].upper() + sentence[1:], moved, rows)


def _both(by_view: dict[str, pd.DataFrame]) -> str:
    """One phrase for both views, when each keeps the same rating."""
    ratings = {rating for part in by_view.values() for rating in (*part["rating"], *part["before"])}
    return f"both views keep {ratings.pop()}" if len(by_view) == len(VIEWS) and len(ratings) == 1 else ""


def _one(rows: pd.DataFrame) -> str:
    before, after = rows["before"].iloc[0], rows["rating"]
    if len(rows) > 1:
        return f"says {before} in {int((after == before).sum())} of {len(rows)} further answers"
    return f"keeps {before}" if after.iloc[0] == before else f"goes from {before} to {after.iloc[0]}"


def flips(rows: pd.DataFrame) -> dict[Change, Estimate]:
    """How often a rating moved by each kind of change, of rows of Store.counterfactuals: the share with its interval."""
    found = {}
    for change in Change:
        own = rows[rows["change"] == change]
        moved = (own["rating"] != own["before"]).to_numpy(bool)
        found[change] = agreement.share(moved, np.ones(len(own)))
    return found
