"""What judges of known quality brought where the truth was known, and what follows for a judge whose quality people audited."""

from dataclasses import dataclass

import numpy as np

from core import agreement
from core.agreement import Estimate
from core.wording import counted

ENOUGH = 2000
"""More audits than this nobody will do: the judge is then too near the limit to tell."""


@dataclass(frozen=True)
class Measured:
    """What simulated judges of known quality brought, in test recall@20."""

    protocol: str
    base: float  # no judge, all clicks kept
    prune: tuple[tuple[float, float], ...]  # (share of clicks judged wrongly, recall), by the first
    add: tuple[tuple[float, float], ...]  # (precision of the added pairs, recall), by the first
    without_judge: tuple[tuple[str, float], ...]  # what needs no judge, recall
    most_error: float  # a judge that is wrong more often is not worth its cost
    least_precision: float  # pairs added with less of it did not help


MEASURED = Measured(
    protocol="MovieLens-100K, ratings of 4-5 as clicks and all 17 480 ratings of 1-2 added to train as noise, a third of it. "
    "LightGCN (64 dimensions) trained on all clicks, then propagated on the graph without those that a simulated judge of all "
    "clicks calls noisy, or with 20 pairs added that it calls missed. It is wrong at random. All items ranked, mean of 2 seeds; "
    "another seed shifts a figure by .003 to .005, so smaller differences mean nothing.",
    base=0.319,
    prune=((0.0, 0.343), (0.1, 0.339), (0.2, 0.331), (0.3, 0.327), (0.4, 0.319)),
    add=((0.09, 0.312), (0.21, 0.319), (0.37, 0.323)),
    without_judge=(
        ("dropping the least popular 20 % of the clicks", 0.332),
        ("dropping the 20 % with the highest averaged loss", 0.326),
    ),
    most_error=0.3,
    least_precision=0.4,
)


@dataclass(frozen=True)
class Verdict:
    """`good` is None while the audits cannot tell; `more` is then about how many more of the kind would, None if none will."""

    good: bool | None
    sentence: str
    more: int | None = None


def prune(error: Estimate) -> Verdict:
    """Whether a judge with this error rate on clicks is good enough to drop clicks by."""
    limit, base = MEASURED.most_error, MEASURED.base
    if error.value is None:
        return Verdict(None, f"Whether it is good enough to drop clicks by is open: {error.how}.")
    about = f"it is wrong about {_percent(error)} of the clicks that it judged"
    if error.high < limit:
        recall, worst, best_case = np.interp([error.value, error.high, error.low], *zip(*MEASURED.prune, strict=True))
        told = f"Good enough to drop clicks by: {about}. Such a judge took recall@20 from {base:.3f} to {recall:.3f}"
        told += f" ({worst:.3f} to {best_case:.3f} over the interval)"
        rival, best = max(MEASURED.without_judge, key=lambda one: one[1])
        than = "no more than" if recall <= best else "more than"
        return Verdict(True, f"{told}, which is {than} {rival} without any judge ({best:.3f}).")
    if error.low > limit:
        told = f"Not good enough to drop clicks by: {about}, and from {limit:.0%} on a judge was hardly better than none"
        return Verdict(
            False, f"{told} (recall@20 {MEASURED.prune[-1][1]:.3f} at {MEASURED.prune[-1][0]:.0%}, {base:.3f} without)."
        )
    return _open(
        error, limit, f"Too early to say whether it is good enough to drop clicks by: {about}; it must be under", "click"
    )


def add(precision: Estimate) -> Verdict:
    """Whether pairs that a judge with this precision calls missed positives are good enough to be added."""
    limit = MEASURED.least_precision
    if precision.value is None:
        return Verdict(None, f"Whether it is good enough to add pairs by is open: {precision.how}.")
    about = f"{_percent(precision)} of the pairs that it would add are relevant"
    if precision.low > limit:
        return Verdict(True, f"Good enough to add pairs by: {about}; {limit:.0%} was needed.")
    if precision.high < limit:
        worst, recall = MEASURED.add[0]
        told = f"Not good enough to add pairs by: {about}, and under {limit:.0%} adding did not help"
        return Verdict(False, f"{told} (recall@20 {recall:.3f} at {worst:.0%}, {MEASURED.base:.3f} without).")
    return _open(
        precision, limit, f"Too early to say whether it is good enough to add pairs by: {about}; it must be over", "such pair"
    )


def _open(estimate: Estimate, limit: float, sentence: str, kind: str) -> Verdict:
    more = needed(estimate, limit)
    rest = "it is so near that more audits will hardly tell"
    if more is not None:
        rest = f"about {counted(more, f'more audited {kind}')} would tell"
    return Verdict(None, f"{sentence} {limit:.0%}, and {rest}.", more)


def needed(estimate: Estimate, limit: float) -> int | None:
    """How many more answers bring the interval to one side of the limit if the share stays as it is; None: too many."""
    for n in np.unique(np.geomspace(estimate.n + 1, estimate.n + ENOUGH, 400).astype(int)):
        low, high = agreement.wilson(estimate.value, estimate.effective * n / estimate.n)
        if low > limit or high < limit:
            return int(n - estimate.n)
    return None


def _percent(estimate: Estimate) -> str:
    return f"{estimate.value:.0%} ({estimate.low:.0%} to {estimate.high:.0%}, {counted(estimate.n, 'audit')})"
