"""What ratings are worth, what raters lean on, and what their reasons say: against scikit-learn, SciPy and planted truth."""

import numpy as np
import pandas as pd
import pytest
from audit_fixtures import Opinion, judged
from judging_fixtures import catalogue
from scipy import stats
from sklearn.calibration import calibration_curve

from core import counterfactuals, phrases, scrutiny
from core.assessment import People
from core.records import Dataset, Rating
from core.rng import stream
from core.store import Store
from core.store.counterfactuals import Change

WORDS = [rating.value for rating in Rating]


@pytest.fixture
def shop() -> Dataset:
    return catalogue()


def said(answers: dict[tuple[str, str], bool]) -> People:
    rows = [(*pair, relevant, 1.0) for pair, relevant in answers.items()]
    return People(pd.DataFrame(rows, columns=["user_id", "item_id", "relevant", "weight"]), "", chosen=True)


def every_pair(shop: Dataset) -> list[tuple[int, int]]:
    return [(user, item) for user in range(shop.n_users) for item in range(shop.n_items)]


def test_the_worth_of_each_rating(store: Store, shop: Dataset) -> None:
    rng, pairs = stream(0, "worth"), every_pair(shop)
    views = {pair: tuple(rng.choice(WORDS, 2)) for pair in pairs}
    judged(store, shop, [Opinion(*pair, views[pair]) for pair in pairs])
    truth = {pair: bool(rng.random() < 0.5) for pair in pairs[::2]}
    people = said({(f"u{user}", f"i{item}"): value for (user, item), value in truth.items()})
    found = scrutiny.worths(scrutiny.newest(store.answers("shop")), people)
    assert [(one.view, one.rating) for one in found] == [(view, word) for view in ("user", "item") for word in WORDS]
    for one in found:
        place = ("user", "item").index(one.view)
        assert one.given == sum(views[pair][place] == one.rating for pair in pairs)
        hits = [(one.rating == "High") == value for pair, value in truth.items() if views[pair][place] == one.rating]
        interval = stats.binomtest(sum(hits), len(hits)).proportion_ci(method="wilson")
        told = (one.confirmed.value, one.confirmed.low, one.confirmed.high, one.confirmed.n)
        assert told == pytest.approx((np.mean(hits), *interval, len(hits)))


def test_the_curve_is_that_of_scikit_learn(store: Store, shop: Dataset) -> None:
    rng, pairs = stream(1, "curve"), every_pair(shop)
    sure = {pair: float(rng.random()) for pair in pairs}
    judged(store, shop, [Opinion(*pair, ("High", "Low"), sure[pair]) for pair in pairs])
    rows = scrutiny.newest(store.answers("shop"))
    rows = rows[rows["view"] == "user"]
    truth = {pair: bool(rng.random() < sure[pair]) for pair in pairs}
    found = scrutiny.curve(rows, said({(f"u{user}", f"i{item}"): value for (user, item), value in truth.items()}))
    share, mean = calibration_curve(list(truth.values()), list(sure.values()), n_bins=5, strategy="quantile")
    np.testing.assert_allclose([one.sure for one in found], mean)
    np.testing.assert_allclose([one.confirmed.value for one in found], share)
    assert sum(one.confirmed.n for one in found) == len(pairs)


@pytest.mark.parametrize(("n", "bins"), [(0, 0), (9, 0), (10, 1), (34, 3), (80, 5)])
def test_a_bin_needs_answers(store: Store, shop: Dataset, n: int, bins: int) -> None:
    pairs = every_pair(shop)
    judged(store, shop, [Opinion(*pair, ("High", ""), 0.5 + place / 400) for place, pair in enumerate(pairs)])
    rows = scrutiny.newest(store.answers("shop"))
    assert len(scrutiny.curve(rows, said({(f"u{user}", f"i{item}"): True for user, item in pairs[:n]}))) == bins


def test_answers_that_are_equally_sure_share_a_bin_and_without_probabilities_there_is_no_curve(
    store: Store, shop: Dataset
) -> None:
    pairs = every_pair(shop)
    people = said({(f"u{user}", f"i{item}"): True for user, item in pairs})
    judged(store, shop, [Opinion(*pair, ("High", "High"), 0.9) for pair in pairs])
    judged(store, shop, [Opinion(*pair, ("High", "High")) for pair in pairs], prompt="2")
    rows = scrutiny.newest(store.answers("shop"))
    assert [one.sure for one in scrutiny.curve(rows[rows["prompt_version"] == "1"], people)] == [pytest.approx(0.9)]
    assert scrutiny.curve(rows[rows["prompt_version"] == "2"], people) == []


def test_a_rater_that_leans_on_popularity_shows(store: Store, shop: Dataset) -> None:
    count = np.bincount(shop.train.item, minlength=shop.n_items)
    pairs = every_pair(shop)
    liked = {pair: bool(count[pair[1]] > np.median(count)) for pair in pairs}
    judged(store, shop, [Opinion(*pair, ("High" if liked[pair] else "Low", "Mid")) for pair in pairs])
    rows = scrutiny.newest(store.answers("shop"))
    people = said({(f"u{user}", f"i{item}"): True for user, item in pairs[:50]})
    found = scrutiny.rates(shop, rows, people)
    by = [one for one in found if one.by == "popularity of the item" and one.view == "user"]
    assert by[0].high.value < 0.5 < by[-1].high.value == 1
    assert sum(one.high.n for one in by) == len(pairs)
    assert sum(one.relevant.n for one in by) == 50
    assert {one.relevant.value for one in by if one.relevant.n} == {1.0}
    assert {one.high.value for one in found if one.view == "item"} == {0.0}
    length = [one for one in found if one.by == "length of the reasons" and one.view == "user"]
    assert [one.band for one in length] == ["0 characters"]  # all are equally long, so there is one band
    assert scrutiny.rates(shop, rows.head(0), people) == []


def test_flips_are_counted_by_kind_of_change() -> None:
    rows = pd.DataFrame(
        [("reversed", "High", "Low"), ("reversed", "High", "High"), ("reversed", "Mid", "Low"), ("title", "Low", "Low")],
        columns=["change", "before", "rating"],
    )
    found = counterfactuals.flips(rows)
    assert (found[Change.REVERSED].value, found[Change.REVERSED].n) == (pytest.approx(2 / 3), 3)
    assert found[Change.TITLE].value == 0
    assert found[Change.WITHOUT].value is None


class TestPhrases:
    def test_what_was_planted_comes_first(self) -> None:
        rng = stream(0, "phrases")
        fillers = ["the profile names jazz", "both are about gardens", "a quiet book", "maps and rivers"]
        reasons, confirmed = [], np.arange(120) < 70
        for good in confirmed.tolist():
            own = "shares a maker" if good else "same broad genre"
            words = [own] if rng.random() < 0.7 else []
            reasons.append(", ".join([*rng.choice(fillers, 2).tolist(), *words]))
        found = phrases.telling(reasons, confirmed)
        assert "broad genre" in [one.words for one in found.overridden[:3]]
        assert "maker" in found.confirmed[0].words
        best = next(one for one in found.overridden if one.words == "broad genre")
        assert (best.confirmed, best.overridden) == (0, sum("broad genre" in reason for reason in reasons))

    def test_with_too_few_it_says_how_many_are_missing(self) -> None:
        found = phrases.telling(["a maker of maps"] * 30, np.arange(30) < 25)
        assert found.needed == (0, 15)
        assert found.overridden == []

    def test_reasons_without_any_phrase_in_common(self) -> None:
        assert phrases.telling([f"w{number}" for number in range(60)], np.arange(60) < 30).confirmed == []

    def test_log_odds_by_hand(self) -> None:
        """One of two phrases, 8 and 2 times of 10 and 10; the prior gives 5 and 5."""
        z = phrases.log_odds(np.array([8, 2]), np.array([2, 8]))
        odds = np.log((8 + 5) / (2 + 5)) - np.log((2 + 5) / (8 + 5))
        assert z[0] == pytest.approx(odds / np.sqrt(1 / 13 + 1 / 7))
        assert z[0] == pytest.approx(-z[1])

    def test_as_often_in_both_tells_nothing(self) -> None:
        np.testing.assert_allclose(phrases.log_odds(np.array([4, 6]), np.array([4, 6])), 0)
