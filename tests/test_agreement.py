"""Agreement and shares: against scikit-learn, krippendorff and scipy, worked examples, and planted truth."""

import krippendorff
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.metrics import cohen_kappa_score

from core import agreement
from core.rng import stream

NAN = np.nan
ratings = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=40)
gapped = st.lists(
    st.tuples(st.integers(0, 5), *[st.one_of(st.none(), st.integers(0, 2))] * 3), min_size=1, max_size=30
)  # user, three raters


def columns(rows: list[tuple[int, int, int]]) -> list[np.ndarray]:
    return list(np.array(rows).T)


def answers(rows: list[tuple]) -> tuple[np.ndarray, np.ndarray]:
    table = np.array(rows, dtype=float)
    return table[:, 0].astype(int), table[:, 1:]


class TestShares:
    @given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
    def test_equal_weights_give_the_interval_of_scipy(self, counts: tuple[int, int]) -> None:
        k, n = counts
        told = agreement.share(np.arange(n) < k, np.full(n, 7.0))
        exact = binomtest(k, n).proportion_ci(method="wilson")
        assert (told.value, told.n, told.how) == (pytest.approx(k / n), n, "Wilson")
        assert (told.low, told.high) == (pytest.approx(exact.low, abs=1e-9), pytest.approx(exact.high, abs=1e-9))

    @given(st.lists(st.tuples(st.booleans(), st.floats(0.1, 100)), min_size=1, max_size=30), st.randoms(), st.floats(0.01, 50))
    def test_order_and_scale_of_the_weights_change_nothing(self, rows: list, random: object, scale: float) -> None:
        told = []
        for factor in (1.0, scale):
            hit, weight = np.array(rows, dtype=float).T
            told.append(agreement.share(hit.astype(bool), weight * factor))
            random.shuffle(rows)
        for name in ("value", "low", "high", "effective"):
            assert getattr(told[0], name) == pytest.approx(getattr(told[1], name))
        assert 0 <= told[0].low <= told[0].value + 1e-12
        assert told[0].value - 1e-12 <= told[0].high <= 1
        assert told[0].effective <= len(rows) + 1e-9

    def test_unequal_weights_are_worth_fewer_answers(self) -> None:
        told = agreement.share(np.array([True, False, False, False]), np.array([3.0, 1.0, 1.0, 1.0]))
        assert told.value == 0.5
        assert told.effective == 3.0  # 36 / 12
        assert "worth 3 answers" in told.how

    def test_nothing_audited(self) -> None:
        told = agreement.share(np.zeros(0, bool), np.zeros(0))
        assert (told.value, told.low, told.n, told.how) == (None, None, 0, "no answers yet")

    @pytest.mark.parametrize("p", [0.03, 0.2, 0.5, 0.9])
    def test_nineteen_of_twenty_intervals_hold_the_truth(self, p: float) -> None:
        rng = stream(0, "coverage")
        held = []
        for hits in rng.random((1000, 40)) < p:
            told = agreement.share(hits, np.ones(40))
            held.append(told.low <= p <= told.high)
        assert 0.92 <= np.mean(held) <= 0.99

    def test_weighted_intervals_hold_the_truth_of_strata(self) -> None:
        """Two strata, the larger one sampled thinly: the unweighted share is far off, the weighted interval holds."""
        size, take, truth = np.array([900, 100]), np.array([25, 25]), np.array([0.1, 0.6])
        p, weight = float(size @ truth / size.sum()), np.repeat(size / take, take)
        rng, held, plain = stream(0, "strata"), [], []
        for hits in rng.random((1000, 50)) < np.repeat(truth, take):
            told = agreement.share(hits, weight)
            held.append(told.low <= p <= told.high)
            plain.append(hits.mean())
        assert 0.92 <= np.mean(held) <= 0.99
        assert np.mean(plain) > p + 0.15


class TestKappa:
    @given(ratings)
    def test_it_is_that_of_scikit_learn(self, rows: list) -> None:
        user, first, second = columns(rows)
        told = agreement.kappa(user, first, second, 3)
        if len(set(first) | set(second)) == 1:
            assert (told.value, told.low) == (None, None)
            assert "the same" in told.how
            return
        exact = cohen_kappa_score(first, second, weights="quadratic", labels=[0, 1, 2])
        assert told.value == pytest.approx(exact)
        assert told.n == len(rows)
        assert (told.low is None) == (len(set(user)) == 1)

    def test_a_worked_example(self) -> None:
        """Observed weighted disagreement (0 + 1 + 0 + 4) / 4, by chance 26 / 16: 1 - 20 / 26."""
        told = agreement.kappa(np.arange(4), np.array([0, 0, 2, 0]), np.array([0, 1, 2, 2]), 3)
        chance = sum((a - b) ** 2 for a in (0, 0, 2, 0) for b in (0, 1, 2, 2)) / 4
        assert told.value == pytest.approx(1 - 5 / chance)

    def test_one_user_gives_no_interval(self) -> None:
        told = agreement.kappa(np.zeros(3, int), np.array([0, 1, 2]), np.array([0, 1, 1]), 3)
        assert told.value is not None
        assert (told.low, told.high) == (None, None)
        assert "one user" in told.how

    def test_no_answers(self) -> None:
        none = np.zeros(0, int)
        assert agreement.kappa(none, none, none, 3).value is None

    @settings(deadline=None)
    @given(ratings, st.randoms())
    def test_the_order_of_rows_changes_nothing(self, rows: list, random: object) -> None:
        before = agreement.kappa(*columns(rows), 3)
        random.shuffle(rows)
        assert vars(agreement.kappa(*columns(rows), 3)) == pytest.approx(vars(before), nan_ok=True)

    def test_users_are_resampled_whole(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The interval against scikit-learn on the rows of the drawn users."""
        monkeypatch.setattr(agreement, "RESAMPLES", 50)
        rng = stream(0, "rows")
        user, first = rng.integers(0, 12, 90), rng.integers(0, 3, 90)
        second = np.where(rng.random(90) < 0.6, first, rng.integers(0, 3, 90))
        told = agreement.kappa(user, first, second, 3)
        draws, values = stream(0, "agreement"), []
        for _ in range(50):
            rows = np.concatenate([np.flatnonzero(user == one) for one in draws.integers(12, size=12)])
            values.append(cohen_kappa_score(first[rows], second[rows], weights="quadratic"))
        assert [told.low, told.high] == pytest.approx(np.quantile(values, [0.025, 0.975]).tolist())

    def test_users_who_answer_in_blocks_widen_the_interval(self) -> None:
        """One hundred copies of a row are not a hundred answers."""
        rng = stream(0, "blocks")
        first, second = rng.integers(0, 3, 20), rng.integers(0, 3, 20)
        apart = agreement.kappa(np.arange(2000), np.repeat(first, 100), np.repeat(second, 100), 3)
        together = agreement.kappa(np.repeat(np.arange(20), 100), np.repeat(first, 100), np.repeat(second, 100), 3)
        assert apart.value == pytest.approx(together.value)
        assert together.high - together.low > 3 * (apart.high - apart.low)


class TestAlpha:
    def test_krippendorffs_own_example(self) -> None:
        """Four observers, twelve units, gaps; ordinal alpha .815 (Krippendorff, Computing alpha-reliability, 2011, page 8)."""
        table = [
            [1, 2, 3, 3, 2, 1, 4, 1, 2, NAN, NAN, NAN],
            [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NAN, 3],
            [NAN, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NAN],
            [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NAN],
        ]
        told = agreement.alpha(np.arange(12), np.array(table).T - 1, 5)
        assert told.value == pytest.approx(0.815, abs=5e-4)
        assert told.n == 11  # the last unit has one answer
        assert told.low < told.value < told.high

    @given(gapped)
    def test_it_is_that_of_the_reference(self, rows: list) -> None:
        user, table = answers(rows)
        told = agreement.alpha(user, table, 3)
        paired = table[(~np.isnan(table)).sum(axis=1) >= 2]
        seen = np.unique(paired[~np.isnan(paired)])
        assert told.n == len(paired)
        if len(seen) < 2:
            assert told.value is None
            assert told.how
            return
        assert told.value == pytest.approx(krippendorff.alpha(table.T, level_of_measurement="ordinal", value_domain=[0, 1, 2]))

    @settings(deadline=None)
    @given(gapped, st.randoms())
    def test_the_order_of_pairs_and_raters_changes_nothing(self, rows: list, random: object) -> None:
        before = agreement.alpha(*answers(rows), 3)
        random.shuffle(rows)
        user, table = answers(rows)
        assert vars(agreement.alpha(user, table[:, [2, 0, 1]], 3)) == pytest.approx(vars(before))

    def test_users_are_resampled_whole(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(agreement, "RESAMPLES", 50)
        rng = stream(0, "units")
        user, table = rng.integers(0, 12, 80), rng.integers(0, 3, (80, 3)).astype(float)
        table[:, 1] = np.where(rng.random(80) < 0.7, table[:, 0], table[:, 1])
        table[rng.random((80, 3)) < 0.2] = NAN
        told = agreement.alpha(user, table, 3)
        kept = (~np.isnan(table)).sum(axis=1) >= 2
        user, table = user[kept], table[kept]
        names, draws, values = np.unique(user), stream(0, "agreement"), []
        for _ in range(50):
            rows = np.concatenate([np.flatnonzero(user == names[one]) for one in draws.integers(len(names), size=len(names))])
            values.append(krippendorff.alpha(table[rows].T, level_of_measurement="ordinal", value_domain=[0, 1, 2]))
        assert [told.low, told.high] == pytest.approx(np.quantile(values, [0.025, 0.975]).tolist())


def test_crossed_counts() -> None:
    assert agreement.crossed(np.array([0, 0, 1]), np.array([1, 1, 0]), 2).tolist() == [[0, 2], [1, 0]]
