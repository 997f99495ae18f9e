"""The plane: points in an outline against brute force, layouts that keep neighbours together, two trainings in one layout."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import datasets, jobs, projection, runs
from core.artifacts import Home
from core.errors import RunError
from core.records import Embeddings, Interactions
from core.rng import stream
from core.settings import DemoSettings, ProjectSettings

SQUARE = ([0.0, 4.0, 4.0, 0.0], [0.0, 0.0, 4.0, 4.0])
COORDINATE = st.integers(-20, 20).map(lambda n: n / 4)


def crossings(point: tuple[float, float], corners: list[tuple[float, float]]) -> bool:
    """The even-odd rule for one point, side by side."""
    odd = False
    for (x1, y1), (x2, y2) in zip(corners, corners[1:] + corners[:1], strict=True):
        if (y1 > point[1]) != (y2 > point[1]):
            odd ^= point[0] < x1 + (point[1] - y1) * (x2 - x1) / (y2 - y1)
    return odd


class TestInside:
    def test_a_square_by_hand(self) -> None:
        points = np.array([[2, 2], [5, 2], [2, 5], [-1, 2], [3.9, 0.1]], np.float32)
        assert projection.inside(points, *SQUARE).tolist() == [True, False, False, False, True]

    def test_a_hole_is_outside(self) -> None:
        x = [0, 9, 9, 0, 0, 3, 3, 6, 6, 3]  # around the square, then around the hole in it
        y = [0, 0, 9, 9, 0, 3, 6, 6, 3, 3]
        points = np.array([[1, 1], [4.5, 4.5], [8, 8]], np.float32)
        assert projection.inside(points, x, y).tolist() == [True, False, True]

    @given(
        st.lists(st.tuples(COORDINATE, COORDINATE), min_size=3, max_size=12),
        st.lists(st.tuples(st.floats(-6, 6, width=32), st.floats(-6, 6, width=32)), min_size=1, max_size=40),
    )
    @settings(deadline=None)
    def test_any_polygon_as_by_brute_force(self, corners: list, points: list) -> None:
        x, y = zip(*corners, strict=True)
        found = projection.inside(np.array(points, np.float32), x, y)
        assert found.tolist() == [crossings(point, corners) for point in points]

    def test_no_point_is_no_answer(self) -> None:
        assert len(projection.inside(np.empty((0, 2), np.float32), *SQUARE)) == 0


def groups(seed: int, n: int = 60, dim: int = 6) -> Embeddings:
    """Two groups of users and of items, far apart: even and odd ones."""
    random = stream(seed, "groups")
    centre = np.where(np.arange(n) % 2 == 0, 4.0, -4.0)[:, None]
    user, item = (np.hstack([centre, random.normal(0, 1, (n, dim - 1))]).astype(np.float32) for _ in range(2))
    return Embeddings(user, item)


PAIRS = Interactions(np.arange(60, dtype=np.int32), np.arange(60, dtype=np.int32)[::-1].copy())


def together(points: np.ndarray) -> float:
    """The share of points whose nearest other point is of their own group."""
    distance = np.linalg.norm(points[:, None] - points[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    return float((distance.argmin(axis=1) % 2 == np.arange(len(points)) % 2).mean())


class TestRows:
    def test_a_pair_is_both_unit_vectors(self) -> None:
        vectors = groups(0)
        found = projection.rows(vectors, "pairs", PAIRS)
        assert found.shape == (60, 12)
        assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
        user = projection.rows(vectors, "users", PAIRS)
        assert np.allclose(found[:, :6], user / np.sqrt(2), atol=1e-6)

    def test_turning_keeps_scores_and_undoes_a_rotation(self) -> None:
        vectors = groups(0)
        rotation, _ = np.linalg.qr(stream(1, "rotation").normal(size=(6, 6)))
        other = Embeddings((vectors.user @ rotation).astype(np.float32), (vectors.item @ rotation).astype(np.float32))
        back = projection.turned(other, vectors)
        assert np.allclose(back.user, vectors.user, atol=1e-4)
        users = np.arange(60)
        assert np.allclose(back.scores(users), other.scores(users), atol=1e-3)

    def test_turning_a_smaller_training(self) -> None:
        small = groups(0, dim=3)
        assert projection.turned(small, groups(1)).user.shape == (60, 6)


class TestProject:
    def test_neighbours_stay_together_and_the_seed_decides(self) -> None:
        first = projection.rows(groups(0), "users", PAIRS)
        chosen = ProjectSettings(neighbours=8, seed=3)
        found, again = (projection.project(first, None, chosen) for _ in range(2))
        assert together(found.points) == 1
        assert found.fitted.all() and found.other is None
        assert np.array_equal(found.points, again.points)

    def test_rows_that_were_not_fitted_lie_among_their_own(self) -> None:
        first = projection.rows(groups(0, n=240), "users", PAIRS)
        found = projection.project(first, None, ProjectSettings(fit_at_most=100))
        assert found.fitted.sum() == 100
        assert np.isfinite(found.points).all()
        assert together(found.points) > 0.98

    def test_two_trainings_share_a_layout(self) -> None:
        first = projection.rows(groups(0), "users", PAIRS)
        moved = first.copy()
        moved[0] = first[1]  # the first user changes sides
        found = projection.project(first, moved, ProjectSettings())
        own = np.linalg.norm(found.points - found.other, axis=1)
        across = np.linalg.norm(found.points[0::2].mean(axis=0) - found.points[1::2].mean(axis=0))
        assert own[0] > across / 2
        assert np.median(own[1:]) < across / 4

    def test_a_stop_leaves_nothing(self) -> None:
        first = projection.rows(groups(0), "users", PAIRS)
        assert projection.project(first, None, ProjectSettings(), lambda phase, done, total: False) is None


def test_the_drawn_rows_are_a_sample_of_every_stratum() -> None:
    code = np.repeat([0, 1, 2], [800, 190, 10])
    found = projection.drawn(1000, 100, code)
    assert len(found) == len(np.unique(found)) == 100
    assert np.bincount(code[found]).tolist() == [45, 45, 10]
    assert np.array_equal(found, np.sort(found))
    assert np.array_equal(projection.drawn(30, 50), np.arange(30))
    assert np.array_equal(found, projection.drawn(1000, 100, code))
    common = projection.drawn(1000, 100)
    assert len(common) == 100
    assert np.bincount(code[common])[0] > 60  # as it is, without strata


def test_typical_pairs_lie_at_the_centre_and_outlying_ones_away_from_it() -> None:
    random = np.random.default_rng(0)
    user, item = random.normal([3, 0, 0], 0.3, (40, 3)), random.normal([0, 3, 0], 0.3, (30, 3))
    user[7], item[5] = [-3, 0, 0], [0, -3, 0]
    vectors = Embeddings(user.astype(np.float32), item.astype(np.float32))
    pairs = Interactions(*(places.ravel().astype(np.int32) for places in np.meshgrid(np.arange(40), np.arange(30))))
    near, far = projection.typical(vectors, pairs, 10)
    assert not set(near) & set(far)
    rows = projection.rows(vectors, "pairs", pairs)
    likeness = rows @ rows.mean(axis=0)
    assert set(near) == set(np.argsort(-likeness)[:10])
    assert set(far) == set(np.argsort(likeness)[:10])
    assert (pairs.user[far[0]], pairs.item[far[0]]) == (7, 5)
    few = projection.typical(vectors, pairs.where(slice(5)), 10)
    assert [len(part) for part in few] == [2, 2]


TRAIN = {"epochs": 4, "min_epochs": 2, "eval_every": 2, "dim": 8, "layers": 1, "batch_size": 512, "device": "cpu"}


def test_the_job_keeps_the_layout(home: Home) -> None:
    datasets.import_demo(home, DemoSettings(users=80, items=60, interactions=1500), "demo")
    trained = [jobs.work(home, jobs.create(home, "train", "demo", TRAIN | {"seed": seed}).id).id for seed in (0, 1)]
    wanted = {"of": "items", "run": trained[0], "other": trained[1]}
    run = jobs.work(home, jobs.create(home, "project", "demo", wanted).id)
    data = datasets.load(home, "demo")
    assert run.state is runs.State.DONE
    assert run.result == {"of": "items", "n": data.n_items, "fitted": data.n_items, "runs": trained}
    kept = projection.Projection(**runs.folder(home, run.id).projection())
    assert kept.points.shape == kept.other.shape == (data.n_items, 2)
    with pytest.raises(RunError, match="was not trained"):
        jobs.create(home, "project", "demo", {"run": run.id})
