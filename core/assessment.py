"""How good a judge is, by the audits of a random sample of its opinions.

The two numbers that matter most: how often it is wrong about clicks, which pruning suffers from, and how many of the pairs
that it would add are relevant, which adding lives from. What they are good for says core.verdict.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from core import agreement, labels, verdict
from core.agreement import Estimate
from core.errors import NotFoundError
from core.labels import PAIR, RATER
from core.records import VIEWS, Dataset, Label, Rating
from core.verdict import Verdict
from core.wording import counted

LEAST_BLIND = 30
"""From so many blind audits on, estimates rest on them alone: who has seen the judge's answer leans towards it."""

MEANS = {
    "error": "Clicks judged wrongly",
    "relevant": "Clicks called relevant that are",
    "dropped": "Clicks called noisy that are relevant",
    "added": "Other pairs called relevant that are",
}
"""The estimates of a Quality, in words."""

AGREEMENT = {
    "kappa": "The two views: kappa, quadratic weights",
    "views_alpha": "The two views: ordinal alpha",
    "raters_alpha": "All judges and people: alpha",
}
"""The agreements of an Assessment, in words."""

CLICKS = (Label.HARD_POSITIVE.word, Label.NOISY_POSITIVE.word)
RELEVANT = (Label.HARD_POSITIVE.word, Label.MISSED_POSITIVE.word)


@dataclass(frozen=True)
class Quality:
    """How often a judge is right about some of the sampled pairs; weighted to stand for the population."""

    error: Estimate  # clicks judged wrongly
    relevant: Estimate  # clicks called relevant (hard positives) that are
    dropped: Estimate  # clicks called noisy that are relevant
    added: Estimate  # other pairs called relevant (missed positives) that are


@dataclass(frozen=True)
class Segment:
    """The quality within a part of the sample."""

    by: str
    part: str
    n: int  # audits
    quality: Quality


@dataclass(frozen=True)
class Assessment:
    """Everything that the audits of one sample say."""

    sample: dict[str, object]  # as in Store.samples
    audited: int  # pairs that a person decided about
    unsure: int  # of these, without an answer that says anything about the judge
    disputed: int  # of these, people differ about; the newest answer counts
    blind: int  # of those with an answer, decided without seeing the judge's
    seen: int  # and after seeing it
    blind_only: bool  # the estimates rest on the blind ones alone
    views: np.ndarray  # int64 (3, 3) the rater's pairs by user view and item view, High to Low
    kappa: Estimate  # of the two views, quadratic weights
    views_alpha: Estimate  # of the two views, ordinal
    raters_alpha: Estimate  # of all judges and people about the sampled pairs, relevant or not
    confusion: np.ndarray  # int64 (2, 2) audits by judge and person, relevant first
    quality: Quality
    segments: list[Segment]
    prune: Verdict
    add: Verdict

    @property
    def about(self) -> str:
        """What was audited and what the estimates rest on, in one line."""
        told = f"Sample {self.sample['id']}: {self.audited} of {self.sample['size']} pairs audited, {self.blind} of them blind, "
        told += f"{self.seen} after seeing the judge's answer, {self.unsure} unsure; people differ about {self.disputed}. "
        few = f"fewer than {LEAST_BLIND} are blind, so the estimates rest on all of them"
        if not self.blind + self.seen:
            return told
        return told + ("The estimates rest on the blind ones alone." if self.blind_only else f"{few.capitalize()}.")


@dataclass(frozen=True, eq=False)
class People:
    """What people answered, as far as figures about judges may rest on it."""

    rows: pd.DataFrame  # user_id, item_id, relevant (bool), weight: pairs that it stands for
    rest: str  # on what, in a sentence
    chosen: bool  # people chose these pairs themselves, so what is said by them may mislead


def people(found: pd.DataFrame, standing: pd.DataFrame) -> People:
    """The audits of all random samples, of which the newest one of a pair counts: the blind ones when there are enough, else
    all. With fewer than LEAST_BLIND of them, every answer of a person, which may mislead. `found` is what `audits` gives."""
    kept, blind_only = [], False
    for sample in sorted(found["sample"].unique(), reverse=True):
        own = found[found["sample"] == sample].reset_index(drop=True)
        used, blind_only = _used(own)
        kept.append(own.assign(weight=weights(own, used))[used])
    rows = pd.concat(kept).drop_duplicates(PAIR) if kept else found
    if len(rows) >= LEAST_BLIND:
        how = ", made without seeing the judge's answer" if blind_only else ""
        return People(_answered(rows), f"By {counted(len(rows), 'audit')} of random samples{how}.", chosen=False)
    newest = standing[standing["relevant"].isin(["yes", "no"])].drop_duplicates(PAIR, keep="last").assign(weight=1.0)
    told = f"By {counted(len(newest), 'answer')} of people, about pairs that they mostly chose themselves: that may mislead."
    return People(
        _answered(newest), f"{told} {LEAST_BLIND} audits of a random sample would not; there are {len(rows):,}.", chosen=True
    )


def _answered(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(relevant=rows["relevant"] == "yes")[[*PAIR, "relevant", "weight"]].reset_index(drop=True)


def audits(sampled: pd.DataFrame, standing: pd.DataFrame) -> pd.DataFrame:
    """Rows of Store.sampled with what people say of each pair by Store.standing: `relevant` (missing while nobody has decided)
    and `saw_judge` of the newest decision, and `disputed`."""
    newest = standing.drop_duplicates(PAIR, keep="last").rename(columns={"conflict": "disputed"})
    found = sampled.merge(newest[[*PAIR, "relevant", "saw_judge", "disputed"]], on=PAIR, how="left")
    return found.assign(saw_judge=found["saw_judge"].eq(True), disputed=found["disputed"].eq(True))


def assess(
    dataset: Dataset,
    samples: pd.DataFrame,
    found: pd.DataFrame,
    standing: pd.DataFrame,
    opinions: pd.DataFrame,
    sample: int | None = None,
) -> Assessment:
    """What the audits of a sample (the newest one when None) say; NotFoundError when there is no such sample.

    `found` is what `audits` gives, `opinions` what core.store.audits.population does; the others are Store's about one dataset.
    """
    own_sample = chosen(samples, sample, dataset.name)
    found = found[np.minimum(*labels.positions(dataset, found)) >= 0]  # the dataset may have been imported anew
    own = found[found["sample"] == own_sample["id"]].reset_index(drop=True)
    of_rater = opinions[labels.of_rater(opinions, own_sample)]
    levels = [_levels(of_rater[f"{view} view"]) for view in VIEWS]
    user, _ = labels.positions(dataset, of_rater)
    answered = own["relevant"].isin(["yes", "no"])
    used, blind_only = _used(own)
    counted = own[used]
    quality = _quality(own, used)
    newest = samples.drop_duplicates(RATER, keep="first")
    return Assessment(
        sample=own_sample.to_dict(),
        audited=int(own["relevant"].notna().sum()),
        unsure=int((own["relevant"] == "unsure").sum()),
        disputed=int(own["disputed"].sum()),
        blind=int((answered & ~own["saw_judge"]).sum()),
        seen=int((answered & own["saw_judge"]).sum()),
        blind_only=blind_only,
        views=agreement.crossed(*levels, len(Rating)),
        kappa=agreement.kappa(user, *levels, len(Rating)),
        views_alpha=agreement.alpha(user, np.stack(levels, axis=1), len(Rating)),
        raters_alpha=_everybody(dataset, own, opinions[~labels.of_rater(opinions, own_sample)], standing),
        confusion=agreement.crossed(
            (~counted["label"].isin(RELEVANT)).to_numpy(int), (counted["relevant"] != "yes").to_numpy(int), 2
        ),
        quality=quality,
        segments=_segments(dataset, own, used) + _by_raters(found, newest),
        prune=verdict.prune(quality.error),
        add=verdict.add(quality.added),
    )


def chosen(samples: pd.DataFrame, sample: int | None, dataset: str) -> pd.Series:
    """One row of Store.samples, the newest when `sample` is None; NotFoundError when there is none."""
    rows = samples if sample is None else samples[samples["id"] == sample]
    if not len(rows):
        what = "no audit sample yet" if sample is None else f"no audit sample {sample}"
        raise NotFoundError(f"Dataset {dataset!r} has {what}.", f"Draw one: python -m core audit draw --dataset {dataset}.")
    return rows.iloc[0]


def _levels(ratings: pd.Series) -> np.ndarray:
    """Ratings as levels: 0 for High, 2 for Low."""
    return ratings.map({rating.value: level for level, rating in enumerate(Rating)}).to_numpy(np.int64)


def _used(own: pd.DataFrame) -> tuple[np.ndarray, bool]:
    """Which pairs of a sample the estimates rest on: bool (n,); and whether these are the blind ones alone."""
    answered = own["relevant"].isin(["yes", "no"]).to_numpy()
    blind = answered & ~own["saw_judge"].to_numpy()
    enough = bool(blind.sum() >= LEAST_BLIND)
    return (blind if enough else answered), enough


def _everybody(dataset: Dataset, own: pd.DataFrame, others: pd.DataFrame, standing: pd.DataFrame) -> Estimate:
    """Alpha over this rater, the others and every person, about the sampled pairs; "unsure" is a gap."""
    pairs = pd.MultiIndex.from_frame(own[PAIR])
    answers = [own["label"].isin(RELEVANT).to_numpy(float)]
    both_high = (others[[f"{view} view" for view in VIEWS]] == Rating.HIGH.value).all(axis=1).astype(float)
    said = standing["relevant"].map({"yes": 1.0, "no": 0.0})
    for rows, value, who in ((others, both_high, RATER), (standing, said, ["annotator"])):
        kept = rows[PAIR].merge(own[PAIR], how="left", indicator=True)["_merge"].eq("both").to_numpy()
        for _, part in rows[kept].assign(value=value[kept]).groupby(who):
            answers.append(part.drop_duplicates(PAIR, keep="last").set_index(PAIR)["value"].reindex(pairs).to_numpy())
    user, _ = labels.positions(dataset, own)
    return agreement.alpha(user, np.stack(answers, axis=1), 2)


def weights(own: pd.DataFrame, used: np.ndarray) -> np.ndarray:
    """Pairs of the population that each used pair of a sample stands for: float (n,), 0 for the others.

    They add up to each label's population. What nobody has audited yet is stood for by the audited of its stratum, and a
    stratum without any by the other strata of its label.
    """
    drawn = own.groupby("stratum")["weight"].transform("sum")
    done = pd.Series(used, own.index).groupby(own["stratum"]).transform("sum")
    own_weight = pd.Series(np.where(used, drawn / done.where(done > 0, 1), 0.0), own.index)
    covered = own_weight.groupby(own["label"]).transform("sum")
    total = own["weight"].groupby(own["label"]).transform("sum")
    return (own_weight * total / covered.where(covered > 0, 1)).to_numpy()


def _quality(own: pd.DataFrame, used: np.ndarray, part: np.ndarray | None = None) -> Quality:
    """Of the used pairs, or of those in a part (bool (n,)) of the sample."""
    weight = weights(own, used)
    said, yes, label = own["label"].isin(RELEVANT).to_numpy(), (own["relevant"] == "yes").to_numpy(), own["label"].to_numpy()
    kept = used if part is None else used & part

    def share(hit: np.ndarray, *among: str) -> Estimate:
        if not used.any():
            return Estimate(None, None, None, 0, "no pair is audited yet")
        if not np.isin(label, among).any():
            return Estimate(None, None, None, 0, f"it calls no sampled pair {' or '.join(among)}")
        unseen = [word for word in among if (label == word).any() and not ((label == word) & used).any()]
        rows = kept & np.isin(label, among)
        if unseen:
            return Estimate(None, None, None, int(rows.sum()), f"no pair that it calls {unseen[0]} is audited yet")
        return agreement.share(hit[rows], weight[rows])

    hard, noisy, missed = (kind.word for kind in (Label.HARD_POSITIVE, Label.NOISY_POSITIVE, Label.MISSED_POSITIVE))
    return Quality(share(said != yes, *CLICKS), share(yes, hard), share(yes, noisy), share(yes, missed))


def _segments(dataset: Dataset, own: pd.DataFrame, used: np.ndarray) -> list[Segment]:
    """Thirds of the sample by popularity of the item and by length of the user's history."""
    user, item = labels.positions(dataset, own)
    clicks = [
        ("popularity of the item", np.bincount(dataset.train.item, minlength=dataset.n_items)[item]),
        ("history of the user", np.bincount(dataset.train.user, minlength=dataset.n_users)[user]),
    ]
    found = []
    for by, count in clicks:
        band = np.searchsorted(np.quantile(count, [1 / 3, 2 / 3]), count)
        for one in np.unique(band):
            part = band == one
            low, high = count[part].min(), count[part].max()
            name = f"{low:,} clicks" if low == high else f"{low:,} to {high:,} clicks"
            found.append(Segment(by, name, int((used & part).sum()), _quality(own, used, part)))
    return found


def _by_raters(found: pd.DataFrame, newest: pd.DataFrame) -> list[Segment]:
    """Each model and prompt version, by the newest sample of its opinions."""
    segments = []
    for sample in newest.itertuples():
        own = found[found["sample"] == sample.id].reset_index(drop=True)
        used, _ = _used(own)
        name = f"{sample.model}, prompt version {sample.prompt_version}"
        segments.append(Segment("model and prompt", name, int(used.sum()), _quality(own, used)))
    return segments
