"""Health checks: each trouble is planted and must be found with its number; a sound dataset passes them all."""

from dataclasses import replace

import numpy as np
import pytest

from core.datasets.health import Check, health
from core.records import Dataset, Interactions

DAY = 86_400
SPLITS = ("train", "valid", "test")


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


def test_pairs_that_come_twice_or_in_two_parts_are_errors(sound: Dataset) -> None:
    repeated = sound.train.where(np.r_[np.arange(len(sound.train)), 5, 7])
    twice = check(replace(sound, train=repeated), "duplicates")
    assert (twice.severity, twice.count, twice.of) == ("error", 2, "interaction")
    assert twice.rows.tolist() == [len(sound.train), len(sound.train) + 1]
    assert check(replace(sound, train=repeated), "leakage").severity == "ok"
    test = Interactions(sound.train.user[:3], sound.train.item[:3], time=sound.test.time[:3])
    leaked = check(replace(sound, test=test), "leakage")
    assert (leaked.severity, leaked.count) == ("error", 3)
    assert leaked.rows.tolist() == list(range(len(sound.train) + len(sound.valid), len(sound.train) + len(sound.valid) + 3))
    assert check(replace(sound, test=test), "duplicates").severity == "ok"
    held = check(replace(sound, valid=sound.test), "leakage")
    assert held.count == len(sound.test)


def test_one_user_or_one_item_with_a_huge_share(sound: Dataset) -> None:
    more = Interactions(np.full(200, 3, np.int32), np.arange(200, dtype=np.int32) % 40)
    train = Interactions(np.r_[sound.train.user, more.user], np.r_[sound.train.item, more.item])
    user = check(replace(sound, train=train), "one user's share")
    assert (user.severity, user.of, user.rows.tolist()) == ("warning", "user", [3])
    assert "'u3', has 17.9% of the training clicks, 26 times as many" in user.message
    assert check(replace(sound, train=train), "one item's share").severity == "ok"
    train = Interactions(np.r_[sound.train.user, np.arange(120).repeat(3)], np.r_[sound.train.item, np.full(360, 7)])
    item = check(replace(sound, train=train), "one item's share")
    assert (item.severity, item.rows.tolist(), "'Title 7'" in item.message) == ("warning", [7], True)


def test_one_time_for_everything_says_so_and_nothing_else_about_time(sound: Dataset) -> None:
    parts = {name: replace(getattr(sound, name), time=np.zeros(len(getattr(sound, name)), np.int64)) for name in SPLITS}
    still = replace(sound, **parts)
    same = check(still, "same time")
    assert (same.severity, same.count, len(same.rows)) == ("warning", 1440, 1440)
    assert "1970-01-01T00:00:00, stands at 1,440 of 1,440" in same.message
    assert not [one for one in health(still) if one.name in ("time order", "time gaps")]
    parts["train"] = replace(sound.train, time=np.where(np.arange(len(sound.train)) < 320, 0, sound.train.time + 5 * DAY))
    some = check(replace(sound, train=parts["train"]), "same time")
    assert (some.count, some.rows.tolist()) == (320, list(range(320)))


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
    # 901 of 1,381 positives are in train: of eight in all a user has about five there
    assert "core 8," in few.fix
    assert (check(data, "users without training").severity, check(data, "users without training").count) == ("warning", 1)


def test_items_that_nobody_trained_on(sound: Dataset) -> None:
    data = replace(sound, train=sound.train.where(sound.train.item >= 4))
    cold = check(data, "items without training")
    assert (cold.severity, cold.count) == ("note", 4)
    assert "4 of them looked for in the test" in cold.message
    assert cold.rows.tolist() == [0, 1, 2, 3]
    unseen = check(data, "items only in test")
    assert (unseen.count, unseen.of) == (4, "item")
    assert "4 items with 10.0% of the test's positives" in unseen.message


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
        assert (one.rows is None) == (one.of == ""), one
        assert one.severity == "ok" or one.rows is not None or one.name in ("density", "evaluated users"), one
