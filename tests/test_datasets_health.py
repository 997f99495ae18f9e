"""Health checks: each trouble is planted and must be found with its number; a sound dataset passes them all."""

from dataclasses import replace

import numpy as np
import pytest

from core.datasets.health import Check, health
from core.records import Dataset, Interactions

DAY = 86_400


def texts(prefix: str, n: int) -> np.ndarray:
    return np.array([f"{prefix}{number}" for number in range(n)], dtype=object)


@pytest.fixture
def sound() -> Dataset:
    """120 users, 40 items: 8 positives each in train, 2 in valid and 2 in test, a day apart."""
    n_users, n_items = 120, 40
    user = np.repeat(np.arange(n_users), 12)
    step = np.tile(np.arange(12), n_users)
    item = (user * 7 + step * 3) % n_items
    whole = Interactions(user.astype(np.int32), item.astype(np.int32), time=(step * DAY).astype(np.int64))
    parts = (whole.where(step < 8), whole.where((step >= 8) & (step < 10)), whole.where(step >= 10))
    blank = np.full(n_items, "", dtype=object)
    titles = texts("Title ", n_items)
    return Dataset("sound", texts("u", n_users), texts("i", n_items), texts("", n_users), titles, blank, blank, *parts, "f")


def check(data: Dataset, name: str) -> Check:
    (found,) = [one for one in health(data) if one.name == name]
    return found


def test_a_sound_dataset_passes(sound: Dataset) -> None:
    checks = health(sound)
    assert {one.severity for one in checks} == {"ok"}
    assert len({one.name for one in checks}) == len(checks) >= 10
    assert check(sound, "density").message == "1,440 of 4,800 possible pairs are observed (30.000%)."


def test_a_pair_in_train_and_test_is_an_error(sound: Dataset) -> None:
    test = Interactions(sound.train.user[:3], sound.train.item[:3], time=sound.test.time[:3])
    assert (check(replace(sound, test=test), "duplicates").severity, check(replace(sound, test=test), "duplicates").count) == (
        "error",
        3,
    )


def test_users_with_little_or_nothing_to_learn_from(sound: Dataset) -> None:
    user = sound.train.user
    keep = (
        (user >= 10)
        | ((user >= 4) & (np.arange(len(user)) % 8 < 3))
        | ((user >= 1) & (user < 4) & (np.arange(len(user)) % 8 == 0))
    )
    data = replace(sound, train=sound.train.where(keep))  # user 0: nothing, 1 to 3: one, 4 to 9: three
    few = check(data, "users with few positives")
    assert (few.severity, few.count) == ("note", 9)
    assert "3 of them with a single one" in few.message
    assert (check(data, "users without training").severity, check(data, "users without training").count) == ("warning", 1)


def test_items_that_nobody_trained_on(sound: Dataset) -> None:
    data = replace(sound, train=sound.train.where(sound.train.item >= 4))
    cold = check(data, "items without training")
    assert (cold.severity, cold.count) == ("note", 4)
    assert "4 of them looked for in the test" in cold.message


def test_items_without_text_and_with_one_title(sound: Dataset) -> None:
    titles = sound.item_title.copy()
    titles[:10] = sound.item_ids[:10]
    titles[10:13] = "Same"
    data = replace(sound, item_title=titles)
    assert (check(data, "items without text").severity, check(data, "items without text").count) == ("warning", 10)
    assert (check(data, "shared titles").count, "'Same'" in check(data, "shared titles").message) == (1, True)
    assert check(replace(sound, item_title=sound.item_ids), "items without text").severity == "error"


def test_a_few_items_that_take_everything(sound: Dataset) -> None:
    user = np.repeat(np.arange(120), 2).astype(np.int32)
    item = np.tile([0, 5], 120).astype(np.int32)
    item[1::4] = 9
    popular = check(replace(sound, train=Interactions(user, item)), "popularity")
    assert popular.severity == "warning"
    assert "take 50.0% of the training clicks" in popular.message


def test_time_that_runs_backwards_or_stops(sound: Dataset) -> None:
    past = replace(sound.test, time=sound.test.time - 20 * DAY)
    backwards = check(replace(sound, test=past), "time order")
    assert (backwards.severity, backwards.count) == ("note", len(sound.test))
    later = replace(sound.test, time=sound.test.time + 200 * DAY)
    gap = check(replace(sound, test=later), "time gaps")
    assert (gap.severity, gap.count) == ("warning", 1)
    assert "for 201 days after 1970-01-10" in gap.message
    untimed = [replace(part, time=None) for part in (sound.train, sound.valid, sound.test)]
    assert not [one for one in health(replace(sound, train=untimed[0], valid=untimed[1], test=untimed[2])) if "time" in one.name]


def test_too_few_users_to_measure_on(sound: Dataset) -> None:
    assert check(replace(sound, test=sound.test.where(sound.test.user < 30)), "evaluated users").severity == "warning"
    assert check(replace(sound, test=sound.test.where(sound.test.user < 0)), "evaluated users").severity == "error"


def test_every_trouble_says_what_to_do(sound: Dataset) -> None:
    bare = replace(
        sound,
        item_title=sound.item_ids,
        train=sound.train.where(sound.train.item >= 4),
        test=sound.train.where(sound.train.user < 9),
    )
    for one in health(bare):
        assert one.message.endswith(".")
        assert (one.severity == "ok") == (one.fix == ""), one
