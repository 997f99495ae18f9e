"""The verdict claims no more than the interval does, and says how many more audits would tell."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import agreement, verdict
from core.agreement import Estimate
from core.wording import counted


def audited(hits: int, n: int, weight: np.ndarray | None = None) -> Estimate:
    return agreement.share(np.arange(n) < hits, np.ones(n) if weight is None else weight)


@pytest.mark.parametrize(
    ("wrong", "n", "good"), [(5, 100, True), (20, 200, True), (28, 100, None), (60, 100, False), (0, 3, None), (1, 1, None)]
)
def test_pruning(wrong: int, n: int, good: bool | None) -> None:
    told = verdict.prune(audited(wrong, n))
    assert told.good is good
    assert f"{counted(n, 'audit')}" in told.sentence


@pytest.mark.parametrize(("right", "n", "good"), [(60, 100, True), (40, 100, None), (10, 100, False), (3, 3, True), (2, 3, None)])
def test_adding(right: int, n: int, good: bool | None) -> None:
    assert verdict.add(audited(right, n)).good is good


def test_a_judge_is_measured_against_doing_without_one() -> None:
    """At 5 % recall is .341, over .332 of dropping the least popular clicks; at 20 % it is .331, and the sentence admits it."""
    good, fair = verdict.prune(audited(10, 200)).sentence, verdict.prune(audited(40, 200)).sentence
    assert "from 0.319 to 0.341 (" in good
    assert "which is more than dropping the least popular" in good
    assert "from 0.319 to 0.331 (" in fair
    assert "which is no more than dropping the least popular" in fair


def test_nothing_audited_is_said_with_the_reason() -> None:
    told = verdict.prune(Estimate(None, None, None, 0, "no pair is audited yet"))
    assert (told.good, told.more) == (None, None)
    assert "no pair is audited yet" in told.sentence


@given(st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.sampled_from([0.3, 0.4]))
def test_so_many_more_audits_would_tell(counts: tuple[int, int], limit: float) -> None:
    estimate = audited(*counts)
    if not estimate.low <= limit <= estimate.high:
        return
    more = verdict.needed(estimate, limit)
    n = estimate.n + (more or verdict.ENOUGH)
    low, high = agreement.wilson(estimate.value, n)
    assert (low > limit or high < limit) == (more is not None)
    if more and more > 20:
        low, high = agreement.wilson(estimate.value, estimate.n + more // 2)
        assert low <= limit <= high


def test_unequal_weights_need_more() -> None:
    uneven = np.where(np.arange(40) % 2, 5.0, 1.0)
    plain, weighted = audited(8, 40), audited(8, 40, uneven)
    assert verdict.prune(plain).more < verdict.prune(weighted).more


def test_so_near_that_more_will_not_tell() -> None:
    told = verdict.prune(audited(300, 1000))
    assert (told.good, told.more) == (None, None)
    assert "hardly tell" in told.sentence


def test_the_table_is_in_order() -> None:
    for points in (verdict.MEASURED.prune, verdict.MEASURED.add):
        assert list(points) == sorted(points)
    assert verdict.MEASURED.protocol
