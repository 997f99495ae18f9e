"""What a plane shows: density of all points, and claims about regions that hold on rows that had no part in finding them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from core import regions
from core.records import Label

HARD, NOISY = int(Label.HARD_POSITIVE), int(Label.NOISY_POSITIVE)


@pytest.fixture
def plane() -> tuple[np.ndarray, np.random.Generator]:
    random = np.random.default_rng(3)
    return random.uniform((0, 10), (4, 20), (20_000, 2)).astype(np.float32), random


def test_a_planted_gathering_is_found_where_it_is(plane: tuple[np.ndarray, np.random.Generator]) -> None:
    points, random = plane
    near = ((points - (3, 12)) / (0.4, 1)) ** 2 @ np.ones(2) < 1
    group = np.where(random.random(len(points)) < np.where(near, 0.4, 0.1), NOISY, 0)
    group[random.random(len(points)) < 0.05] = HARD
    found = regions.gathers(points, group, [HARD, NOISY])
    assert (found.group, found.stands_out) == (NOISY, True)
    assert 2 < found.low < found.ratio < 4.5  # 4, less what the circle covers beside it
    assert [found.x.mean(), found.y.mean()] == pytest.approx([3, 12], abs=0.3)
    assert found.inside.n + found.outside.n == pytest.approx(len(points) / 2, rel=0.05)  # the half that had no part in it


def test_without_a_gathering_nothing_stands_out(plane: tuple[np.ndarray, np.random.Generator]) -> None:
    points, random = plane
    told = []
    for _ in range(20):
        found = regions.gathers(points, np.where(random.random(len(points)) < 0.03, NOISY, 0), [NOISY])
        told.append(found.stands_out)
        assert found.low < 1.25
    assert not any(told)


def test_nothing_is_said_of_groups_that_are_not_there(plane: tuple[np.ndarray, np.random.Generator]) -> None:
    points, _ = plane
    assert regions.gathers(points, np.zeros(len(points), np.int8), [NOISY]) is None
    assert regions.gathers(points[:12], np.full(12, NOISY), [NOISY]) is None
    assert regions.gathers(np.ones((500, 2), np.float32), np.arange(500) % 2, [1]) is None


def test_density_counts_all_and_knows_where(plane: tuple[np.ndarray, np.random.Generator]) -> None:
    points, random = plane
    crowd = random.normal((1, 18), 0.02, (20_000, 2))
    seen = regions.density(np.vstack([points, crowd]))
    row, column = np.unravel_index(seen.level.argmax(), seen.level.shape)
    assert [seen.x[column], seen.y[row]] == pytest.approx([1, 18], abs=0.15)
    assert seen.level.max() == 255
    assert (seen.level[8:-8, 8:-8] > 15).mean() > 0.9  # a logarithm: the rest is seen beside the crowd


def test_a_density_fades_out_within_its_margin(plane: tuple[np.ndarray, np.random.Generator]) -> None:
    points, _ = plane
    seen = regions.density(points)
    low, high = regions.corners(points)
    assert seen.x[0] < low[0] < high[0] < seen.x[-1]
    assert seen.y[0] < low[1] < high[1] < seen.y[-1]
    assert not any(edge.any() for edge in (seen.level[0], seen.level[-1], seen.level[:, 0], seen.level[:, -1]))


@settings(max_examples=40, deadline=None)
@given(arrays.arrays(np.float32, (st.integers(1, 40)).map(lambda n: (n, 2)), elements=st.floats(-1e6, 1e6, width=32)))
def test_any_points_have_a_density_and_no_false_gathering(points: np.ndarray) -> None:
    seen = regions.density(points)
    assert seen.level.shape == (regions.BINS, regions.BINS)
    assert np.isfinite(seen.x).all()
    found = regions.gathers(points, np.arange(len(points)) % 2, [1])
    assert found is None or not found.stands_out
    assert 0 <= regions.explained(points, points[:, 0]) <= 1


def test_explained_is_the_share_that_the_place_tells(plane: tuple[np.ndarray, np.random.Generator]) -> None:
    points, random = plane
    noise = random.normal(0, 1, len(points))
    place = (points[:, 0] - 2) / points[:, 0].std()
    assert regions.explained(points, place) > 0.9
    assert regions.explained(points, noise) < 0.02
    values = place + noise
    values[:100] = np.nan
    assert regions.explained(points, values) == pytest.approx(0.5, abs=0.05)
    assert regions.explained(points, np.ones(len(points))) == 0
