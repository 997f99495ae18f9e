"""Loss distributions, thresholds and trajectories, against hand-made values and brute force."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from core import dynamics
from core.records import Embeddings, Interactions, Label

CLEAN, HARD, NOISY = Label.CLEAN, Label.HARD_POSITIVE, Label.NOISY_POSITIVE


def losses_and_groups() -> st.SearchStrategy[tuple[np.ndarray, np.ndarray]]:
    def both(n: int) -> st.SearchStrategy[tuple[np.ndarray, np.ndarray]]:
        loss = hnp.arrays(np.float32, n, elements=st.floats(0, 8, width=32))
        return st.tuples(loss, hnp.arrays(np.int8, n, elements=st.sampled_from([CLEAN, HARD, NOISY])))

    return st.integers(1, 60).flatmap(both)


@given(losses_and_groups(), st.floats(-1, 9))
@settings(max_examples=80, deadline=None)
def test_every_view_counts_every_interaction_once(data: tuple[np.ndarray, np.ndarray], threshold: float) -> None:
    loss, group = data
    for log in (False, True):
        counted = dynamics.histogram(loss, group, bins=7, log=log)
        assert sum(counts.sum() for counts in counted.counts.values()) == len(loss)
    for code, (x, part) in dynamics.ecdf(loss, group).items():
        mine = loss[group == code]
        assert part[-1] == 1
        assert x[-1] == mine.max()
        assert np.all(np.diff(part) > 0)
        assert np.all(part <= [(mine <= value).mean() for value in x])  # equal losses: the share grows up to theirs
    noisy = group == NOISY
    drop = dynamics.drop_above(loss, group, threshold, noisy)
    assert sum(drop.by_group.values()) == drop.dropped == sum(value > threshold for value in loss.tolist())
    right = sum(v > threshold and n for v, n in zip(loss.tolist(), noisy, strict=True))
    assert drop.precision.hits == drop.recall.hits == right
    assert 0 <= drop.f1 <= 1


def test_a_threshold_by_hand() -> None:
    loss = np.array([0.1, 0.2, 0.7, 0.8, 0.9])
    group = np.array([CLEAN, NOISY, HARD, NOISY, NOISY], np.int8)
    drop = dynamics.drop_above(loss, group, 0.5, group == NOISY)
    assert (drop.n, drop.dropped, drop.by_group) == (5, 3, {CLEAN: 0, HARD: 1, NOISY: 2})
    assert drop.precision.value == pytest.approx(2 / 3)
    assert drop.recall.value == pytest.approx(2 / 3)
    assert drop.f1 == pytest.approx(2 / 3)
    # Wilson's interval for 2 of 3, from the closed formula
    z, p, n = 1.959963984540054, 2 / 3, 3
    centre, half = p + z * z / (2 * n), z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    assert drop.precision.low == pytest.approx((centre - half) / (1 + z * z / n))
    assert drop.precision.high == pytest.approx((centre + half) / (1 + z * z / n))


def test_nothing_above_the_threshold_has_no_precision() -> None:
    drop = dynamics.drop_above(np.array([0.1]), np.array([NOISY], np.int8), 1.0, np.array([True]))
    assert np.isnan(drop.precision.value)
    assert drop.recall.value == 0
    assert dynamics.drop_above(np.array([0.1]), np.array([NOISY], np.int8), 1.0).precision is None


def test_the_curve_passes_through_the_operating_points() -> None:
    generator = np.random.default_rng(0)
    noisy = generator.random(500) < 0.3
    loss = generator.normal(noisy * 0.8, 1.0)
    curve = dynamics.precision_recall(loss, noisy, points=50)
    assert len(curve.threshold) <= 50
    assert np.all(np.diff(curve.threshold) < 0)
    for threshold, precision, recall in zip(curve.threshold, curve.precision, curve.recall, strict=True):
        kept = loss >= threshold
        assert precision == pytest.approx(noisy[kept].mean())
        assert recall == pytest.approx(noisy[kept].sum() / noisy.sum())
    assert curve.base_rate == pytest.approx(noisy.mean())
    assert dynamics.precision_recall(loss, np.zeros(500, bool)) is None


def test_separation_is_the_share_of_pairs_in_the_right_order() -> None:
    generator = np.random.default_rng(1)
    group = generator.choice([CLEAN, HARD, NOISY], 80).astype(np.int8)
    loss = np.round(generator.normal(0, 1, 80), 1)
    pairs = [(a > b) + 0.5 * (a == b) for a in loss[group == NOISY] for b in loss[group == HARD]]
    assert dynamics.separation(loss, group, NOISY, HARD) == pytest.approx(np.mean(pairs))
    assert dynamics.separation(loss, np.full(80, HARD, np.int8), NOISY, HARD) is None


@given(st.sets(st.tuples(st.integers(0, 6), st.integers(0, 4)), min_size=1), st.data())
@settings(max_examples=60, deadline=None)
def test_labels_are_found_by_pair(pairs: set[tuple[int, int]], data: st.DataObject) -> None:
    listed = sorted(pairs)
    everything = [(u, i) for u in range(7) for i in range(5)]
    labelled = data.draw(st.dictionaries(st.sampled_from(everything), st.sampled_from(list(Label))))
    columns = [np.array([pair[side] for pair in listed], np.int32) for side in (0, 1)]
    keys = data.draw(st.permutations(list(labelled)))
    user, item = (np.array([pair[side] for pair in keys], np.int32) for side in (0, 1))
    label = np.array([labelled[pair] for pair in keys], np.int8)
    found = dynamics.codes_of(Interactions(*columns), user, item, label, n_items=5)
    assert found.tolist() == [labelled.get(pair, CLEAN) for pair in listed]


def test_bands_and_the_trajectory_of_one_pair() -> None:
    trajectory = np.array([[1, 2], [3, 4], [5, 6], [9, 9]], np.float16)
    found = dynamics.bands(trajectory, np.array([CLEAN, CLEAN, CLEAN, NOISY], np.int8))
    assert found[CLEAN].median.tolist() == [3, 4]
    assert found[CLEAN].low.tolist() == [2, 3]
    assert found[CLEAN].high.tolist() == [4, 5]
    assert found[NOISY].n == 1
    losses = {
        "user": np.array([0, 0, 1, 2]),
        "item": np.array([3, 4, 3, 0]),
        "rows": np.array([1, 3]),
        "trajectory": trajectory[[1, 3]],
    }
    assert dynamics.trajectory_of(losses, 2, 0).tolist() == [9, 9]
    assert dynamics.trajectory_of(losses, 0, 3) is None  # trained, not sampled
    assert dynamics.trajectory_of(losses, 1, 4) is None  # never trained on


def test_composition_by_hand() -> None:
    group = np.array([CLEAN, CLEAN, CLEAN, NOISY, HARD], np.int8)
    rows = dynamics.composition(group, np.array([True, False, False, True, False])).set_index("group")
    assert rows["n"].to_dict() == {CLEAN: 1, HARD: 0, NOISY: 1}
    assert rows.loc[NOISY, ["share", "of all", "lift"]].tolist() == pytest.approx([0.5, 0.2, 2.5])
    assert rows.loc[HARD, ["lift", "low"]].tolist() == [0, 0]
    assert rows.loc[NOISY, ["low", "high"]].tolist() == pytest.approx([0.0945 / 0.2, 0.9055 / 0.2], rel=1e-3)  # Wilson, 1 of 2
    nothing = dynamics.composition(group, np.zeros(5, bool))
    assert nothing["share"].tolist() == [0, 0, 0]
    assert nothing["low"].isna().all()


def test_what_a_score_throws_away() -> None:
    hard, noisy = np.array([1, 0, 0, 1, 0], bool), np.array([0, 1, 1, 0, 0], bool)
    scores = {"good": np.array([0, 3, 2, 0, 0.0]), "bad": np.array([3, 0, 1, 2, 0.0])}
    good, bad = dynamics.thrown_away(scores, 2, hard, noisy)
    assert (good["by"], good["hard"], good["noisy"], good["all hard"], good["all noisy"]) == ("good", 0, 2, 2, 2)
    assert (bad["hard"], bad["noisy"], bad["dropped"]) == (2, 0, 2)


@pytest.mark.parametrize("log", [False, True])
@given(losses_and_groups())
@settings(max_examples=50, deadline=None)
def test_a_density_is_at_most_one_in_all(log: bool, data: tuple[np.ndarray, np.ndarray]) -> None:
    """At the ends of the range a kernel may reach over."""
    for x, height in dynamics.density(*data, log=log).values():
        assert (height >= 0).all()
        width = np.log10(x[1] / x[0]) if log else x[1] - x[0]
        assert 0.4 <= height.sum() * width <= 1.001


def test_a_logarithmic_histogram_by_hand() -> None:
    loss = np.array([0.0, 0.01, 0.05, 0.5, 1.0])
    counted = dynamics.histogram(loss, np.zeros(5, np.int8), bins=2, log=True)
    assert counted.edges == pytest.approx([0.01, 0.1, 1])
    assert counted.counts[CLEAN].tolist() == [3, 2]


def test_changes_by_hand() -> None:
    group = np.array([CLEAN, NOISY, HARD, NOISY, NOISY], np.int8)
    assert dynamics.changes(group, np.array([True, True, True, False, False])) == (2, 2)


def test_the_epoch_that_tells_best() -> None:
    group = np.array([HARD, HARD, NOISY, NOISY, CLEAN], np.int8)
    trajectory = np.array([[1, 1, 4], [2, 2, 3], [1, 3, 2], [2, 4, 1], [9, 9, 9]])
    epoch, auc = dynamics.best_told(trajectory, group, NOISY, HARD)
    assert (epoch, auc.tolist()) == (2, [0.5, 1, 0])
    assert dynamics.best_told(trajectory, np.zeros(5, np.int8), NOISY, HARD) is None


def test_the_loss_of_a_finished_model_orders_pairs_as_their_scores() -> None:
    vectors = Embeddings(np.ones((1, 1), np.float32), np.array([[3.0], [0.0], [-3.0]], np.float32))
    pairs = Interactions(np.zeros(3, np.int32), np.arange(3, dtype=np.int32))
    loss = dynamics.model_loss(vectors, pairs, negatives=400)
    assert np.all(np.diff(loss) > 0)
    expected = np.logaddexp(0, vectors.item[:, 0] - 3.0).mean()  # each of the three items is a negative equally often
    assert loss[0] == pytest.approx(expected, rel=0.15)


@given(st.integers(0, 1000), st.integers(1, 60))
def test_how_clicks_were_learnt(seed: int, n: int) -> None:
    course = np.random.default_rng(seed).random((n, 5)).astype(np.float32)
    points = dynamics.learnt({"mean": course.mean(axis=1), "variance": course.var(axis=1)})
    np.testing.assert_allclose(points, [(row.std(), np.exp(-row.mean())) for row in course], rtol=1e-4)
