"""Random samples of a judge's opinions for people to audit: the only base for saying how often that judge is right.

What people look at because it is doubtful (triage) is not like the rest, so nothing can be said from it about the judge.
A sample is drawn once over all complete opinions of one rater and kept with its weights. A person's decision about a
sampled pair is the audit of it; there is no other record.
"""

import time

import numpy as np
import pandas as pd
from sqlalchemy import func, insert, select

from core import labels
from core.errors import NotFoundError, SettingsError
from core.labels import PAIR, RATER
from core.records import Dataset, Label, Rating
from core.rng import stream
from core.store.database import frame
from core.store.decisions import DecisionLog
from core.store.judgments import JudgmentLog

LEAST_SIZE = 8
LEAST_OF_STRATUM = 2
BANDS = ("low confidence", "middle confidence", "high confidence")
DECIDED = "decided before"
PAIR_COLUMNS = ["place", *PAIR, "label", "stratum", "weight"]


class AuditLog(DecisionLog, JudgmentLog):
    """Frozen audit samples."""

    def draw(
        self,
        dataset: Dataset,
        *,
        size: int,
        annotator: str,
        judge: str | None = None,
        model: str | None = None,
        seed: int | None = None,
    ) -> int:
        """Draw a sample over all complete opinions of one rater and return its id; of several raters the first of `raters`.

        `size` pairs (all of them where there are fewer), in strata of label and band of confidence, as many from each as its
        root asks for (Bankier 1988), so that small ones get enough. What people had decided before is a stratum of its own
        within each label: they chose it, so it must not count for more than its share. `seed` is by default the number of
        samples so far.
        """
        if size < LEAST_SIZE:
            raise SettingsError(
                f"A sample of {size} pairs says nothing.", f"Take at least {LEAST_SIZE}; 96 give about ±10 points."
            )
        if not annotator.strip():
            raise SettingsError("A sample needs the name of who draws it.", "Enter a name in the settings.")
        known = population(dataset, self.judgments(dataset.name, texts=False))
        found = raters(known)
        for name, wanted in (("judge", judge), ("model", model)):
            found = found[found[name] == wanted] if wanted is not None else found
        if not len(found):
            named = " ".join(filter(None, (judge, model)))
            who = f"{named} has judged no" if named else "Nobody has judged a"
            raise NotFoundError(f"{who} pair of {dataset.name!r} in both views.", "Judge some candidates first.")
        rater = found.iloc[0]
        rows = known[(known[RATER] == rater[RATER]).all(axis=1)].sort_values(PAIR, ignore_index=True)
        decided = self.standing(dataset.name)[PAIR].drop_duplicates().assign(decided=True)
        rows["decided"] = rows.merge(decided, on=PAIR, how="left")["decided"].eq(True)
        samples, pairs = self._table("audit_sample"), self._table("audit_pair")
        with self.writing(dataset.name) as connection:
            if seed is None:
                seed = connection.scalar(select(func.count()).select_from(samples).where(samples.c.dataset == dataset.name))
            picked = _stratified(rows, size, seed)
            values = {"dataset": dataset.name, "at": time.time(), "annotator": annotator.strip(), "seed": seed}
            values |= rater[RATER].to_dict() | {"population": len(rows), "size": len(picked)}
            [identifier] = connection.execute(insert(samples).values(values)).inserted_primary_key
            connection.execute(insert(pairs), picked.assign(sample_id=identifier).to_dict("records"))
            return identifier

    def samples(self, dataset: str) -> pd.DataFrame:
        """Newest first: id, at [Unix s], annotator, seed, judge, model, digest, prompt_version, population and size [pairs]."""
        table = self._table("audit_sample")
        columns = [column for column in table.c if column.name != "dataset"]
        with self.reading() as connection:
            return frame(connection, select(*columns).where(table.c.dataset == dataset).order_by(table.c.id.desc()))

    def sampled(self, dataset: str) -> pd.DataFrame:
        """The pairs of all samples, as they were drawn, by sample and place: sample, place (from 0, in random order, so that any
        beginning of the queue is a random sample too), user_id, item_id, label word, stratum, weight [pairs]."""
        samples, pairs = self._table("audit_sample"), self._table("audit_pair")
        columns = [pairs.c.sample_id.label("sample"), *(pairs.c[name] for name in PAIR_COLUMNS)]
        joined = pairs.join(samples, samples.c.id == pairs.c.sample_id)
        statement = select(*columns).select_from(joined).where(samples.c.dataset == dataset)
        with self.reading() as connection:
            return frame(connection, statement.order_by(samples.c.id, pairs.c.place))


def population(dataset: Dataset, judgments: pd.DataFrame) -> pd.DataFrame:
    """labels.opinions about pairs that can have a label here, with the `label` (a word) that each opinion makes of its pair."""
    rows = labels.opinions(judgments)
    user, item = labels.positions(dataset, rows)
    codes = user.astype(np.int64) * dataset.n_items + item
    kept = (user >= 0) & (item >= 0) & ~labels.held_out(dataset, codes)
    observed = labels.among(codes, dataset.train, dataset.n_items)
    relevant = (rows["user view"] == Rating.HIGH.value) & (rows["item view"] == Rating.HIGH.value)
    words = np.array([label.word for label in Label], dtype=object)
    return rows.assign(label=words[labels.labels_of(relevant.to_numpy(), observed)])[kept].reset_index(drop=True)


def raters(known: pd.DataFrame) -> pd.DataFrame:
    """Whose opinions there are: the columns of RATER, is_llm, pairs; language models first, then who judged the most."""
    found = known.groupby([*RATER, "is_llm"], as_index=False).size().rename(columns={"size": "pairs"})
    found = found.assign(source=labels.sources(found)).sort_values(["source", "pairs"], ascending=False, kind="stable")
    return found.drop(columns="source").reset_index(drop=True)


def _stratified(rows: pd.DataFrame, size: int, seed: int) -> pd.DataFrame:
    """PAIR_COLUMNS of the drawn rows; `rows` has label, confidence and decided."""
    stratum = _strata(rows)
    if LEAST_OF_STRATUM * stratum.nunique() > size:
        stratum = rows["label"]
    rng = stream(seed, "audit")
    groups = rows.groupby(stratum).indices
    sizes = np.array([len(places) for places in groups.values()])
    take = _allocate(sizes, size)
    picked = np.concatenate([rng.permutation(places)[:n] for places, n in zip(groups.values(), take, strict=True)])
    weight, name = np.repeat(sizes / take, take), np.repeat(np.array(list(groups), dtype=object), take)
    order = rng.permutation(len(picked))
    drawn = rows.iloc[picked[order]][[*PAIR, "label"]].reset_index(drop=True)
    return drawn.assign(place=np.arange(len(order)), stratum=name[order], weight=weight[order])[PAIR_COLUMNS]


def _strata(rows: pd.DataFrame) -> pd.Series:
    """Label and third of confidence, ties together; of what was decided before, and where there is no confidence, no third."""
    rank = rows["confidence"].rank(pct=True)
    third = np.minimum(rank.fillna(0) * len(BANDS), len(BANDS) - 1).astype(int)
    band = third.map(dict(enumerate(BANDS))).where(rank.notna(), "").mask(rows["decided"], DECIDED)
    return rows["label"].where(band == "", rows["label"] + ", " + band)


def _allocate(sizes: np.ndarray, size: int) -> np.ndarray:
    """How many to draw from strata of these sizes (all > 0): one by one to whose root is most behind (d'Hondt)."""
    take = np.minimum(sizes, LEAST_OF_STRATUM)
    for _ in range(min(size, sizes.sum()) - take.sum()):
        take[np.argmax(np.where(take < sizes, np.sqrt(sizes) / (take + 1), 0))] += 1
    return take
