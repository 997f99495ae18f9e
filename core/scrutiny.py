"""What a rater's High, Mid and Low are worth by people's answers, and what they lean on that is no taste."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from core import agreement, labels
from core.agreement import Estimate
from core.assessment import People
from core.labels import PAIR, RATER
from core.records import VIEWS, Dataset, Rating

LEAST_OF_BIN, BINS = 10, 5
"""A bin of the reliability curve holds so many answers at least, and there are so many bins at most."""
BANDS = 3


@dataclass(frozen=True)
class Worth:
    """One rating of a rater in one view."""

    rater: pd.Series  # the columns of RATER
    view: str
    rating: str
    given: int  # pairs with this rating
    confirmed: Estimate  # of those with a person's answer: High by "relevant", Mid and Low by "not relevant"


@dataclass(frozen=True)
class Bin:
    """Answers that a rater was about equally sure of."""

    sure: float  # mean token probability of the rating
    confirmed: Estimate


@dataclass(frozen=True)
class Rate:
    """How often a rater says High within a band of something, in one view."""

    by: str
    band: str
    view: str
    high: Estimate
    relevant: Estimate  # by people, of the pairs in the band that they answered about


def newest(answers: pd.DataFrame) -> pd.DataFrame:
    """Each rater's newest answer to each pair and view, by Store.answers."""
    return answers.drop_duplicates([*PAIR, *RATER, "view"], keep="last").reset_index(drop=True)


def worths(rows: pd.DataFrame, people: People) -> list[Worth]:
    """The worth of every rating of every rater; `rows` is what `newest` gives."""
    said = with_people(rows, people)
    found = []
    for _, own in rows.groupby(RATER, sort=False):
        rater = own.iloc[0][RATER]
        mine = said[labels.of_rater(said, rater)]
        for view in VIEWS:
            for rating in Rating:
                given = int(((own["view"] == view) & (own["rating"] == rating.value)).sum())
                part = mine[(mine["view"] == view) & (mine["rating"] == rating.value)]
                confirmed = agreement.share(part["confirmed"].to_numpy(bool), part["weight"].to_numpy(float))
                found.append(Worth(rater, view, rating.value, given, confirmed))
    return found


def curve(rows: pd.DataFrame, people: People) -> list[Bin]:
    """How often people confirm a rating, by how sure the model was of it, both views together; the least sure first.

    Bins hold about as many answers each; equal probabilities share one. [] without probabilities or enough answers.
    """
    said = with_people(rows, people).dropna(subset="confidence")
    bins = min(BINS, len(said) // LEAST_OF_BIN)
    if not bins:
        return []
    sure = said["confidence"].to_numpy(float)
    at = np.searchsorted(np.quantile(sure, np.linspace(0, 1, bins + 1)[1:-1]), sure)
    found = []
    for place in np.unique(at):
        part = said[at == place]
        weight = part["weight"].to_numpy(float)
        found.append(Bin(float(sure[at == place].mean()), agreement.share(part["confirmed"].to_numpy(bool), weight)))
    return found


def rates(dataset: Dataset, rows: pd.DataFrame, people: People) -> list[Rate]:
    """Rates of High of one rater in thirds by popularity of the item, length of the user's history and length of the reasons.

    `rows` are that rater's of `newest`. A rate that rises is a bias only where people's answers do not rise with it.
    """
    user, item = labels.positions(dataset, rows)
    rows = rows[(user >= 0) & (item >= 0)].reset_index(drop=True)
    user, item = labels.positions(dataset, rows)
    measures = {
        "popularity of the item": (np.bincount(dataset.train.item, minlength=dataset.n_items)[item], "clicks"),
        "history of the user": (np.bincount(dataset.train.user, minlength=dataset.n_users)[user], "clicks"),
        "length of the reasons": (rows["analysis"].str.len().to_numpy(np.int64), "characters"),
    }
    said = rows.merge(people.rows, on=PAIR, how="left")
    known = said["relevant"].notna().to_numpy()
    found = []
    for by, (value, unit) in measures.items():
        if not len(rows):
            continue
        band = np.searchsorted(np.quantile(value, np.arange(1, BANDS) / BANDS), value)
        for view in VIEWS:
            for one in np.unique(band):
                part = (band == one) & (rows["view"] == view).to_numpy()
                if not part.any():
                    continue
                low, high = value[part].min(), value[part].max()
                name = f"{low:,} {unit}" if low == high else f"{low:,} to {high:,} {unit}"
                answered = said[part & known]
                relevant = answered["relevant"].to_numpy(bool), answered["weight"].to_numpy(float)
                hit = (rows["rating"] == Rating.HIGH.value).to_numpy()[part]
                found.append(Rate(by, name, view, agreement.share(hit, np.ones(len(hit))), agreement.share(*relevant)))
    return found


def with_people(rows: pd.DataFrame, people: People) -> pd.DataFrame:
    """The answers about pairs that people answered about, with `confirmed` and `weight`."""
    said = rows.merge(people.rows, on=PAIR)
    return said.assign(confirmed=(said["rating"] == Rating.HIGH.value) == said["relevant"])
