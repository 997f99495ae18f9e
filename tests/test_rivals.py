"""Two raters beside each other: against scikit-learn, SciPy, planted truth, and at the edges."""

import numpy as np
import pytest
from audit_fixtures import Opinion, judged
from judging_fixtures import catalogue
from scipy import stats
from sklearn.metrics import cohen_kappa_score

from core import agreement, assessment, rivals
from core.records import Dataset, Rating
from core.rivals import Rivals
from core.rng import stream
from core.store import Store

WORDS = [rating.value for rating in Rating]


@pytest.fixture
def shop() -> Dataset:
    return catalogue()


def people(store: Store) -> assessment.People:
    standing = store.standing("shop")
    return assessment.people(assessment.audits(store.sampled("shop"), standing), standing)


def compared(store: Store, shop: Dataset) -> Rivals:
    known = rivals.opinions(shop, store.answers("shop"))
    a, b = (known[known["prompt_version"] == version].iloc[0] for version in ("1", "2"))
    return rivals.beside(shop, known, a, b, people(store))


def clicks(shop: Dataset) -> list[tuple[int, int]]:
    return list(zip(shop.train.user.tolist(), shop.train.item.tolist(), strict=True))


def ids(shop: Dataset, pairs: list[tuple[int, int]]) -> list[tuple[str, str]]:
    return [(str(shop.user_ids[user]), str(shop.item_ids[item])) for user, item in pairs]


def test_two_prompt_versions_of_one_model(store: Store, shop: Dataset) -> None:
    rng, pairs = stream(0, "rivals"), clicks(shop)
    opinions = {
        version: [Opinion(*pair, tuple(rng.choice(WORDS, 2, p=[0.6, 0.2, 0.2]))) for pair in pairs] for version in ("1", "2")
    }
    for version, own in opinions.items():
        judged(store, shop, own[version == "2" :], prompt=version)  # the second has not judged the first pair
    store.decide("shop", ids(shop, pairs[:30]), "yes", annotator="ann")
    store.decide("shop", ids(shop, pairs[30:40]), "no", annotator="ann")
    found = compared(store, shop)
    assert len(found.pairs) == len(pairs) - 1
    one, two = (dict(zip(pairs, own, strict=True)) for own in opinions.values())
    for place, view in enumerate(("user", "item")):
        left, right = ([WORDS.index(by[pair].views[place]) for pair in pairs[1:]] for by in (one, two))
        expected = cohen_kappa_score(left, right, weights="quadratic", labels=range(3))
        assert found.kappa[view].value == pytest.approx(expected)
        assert found.views[view].sum() == len(pairs) - 1
        assert found.views[view][0, 1] == sum(a == 0 and b == 1 for a, b in zip(left, right, strict=True))
    high = [[by[pair].views == ("High", "High") for pair in pairs] for by in (one, two)]
    differ = np.array(high[0][1:]) != np.array(high[1][1:])
    interval = stats.binomtest(int(differ.sum()), len(differ)).proportion_ci(method="wilson")
    assert (found.differ.value, found.differ.low, found.differ.high) == pytest.approx((differ.mean(), *interval))
    truth = np.arange(1, 40) < 30
    right = [np.array(part[1:40]) == truth for part in high]
    assert [one.value for one in found.right] == pytest.approx([part.mean() for part in right])
    assert found.difference.value == pytest.approx(right[1].mean() - right[0].mean())
    gained, lost = (right[1] & ~right[0]).sum(), (right[0] & ~right[1]).sum()
    assert (found.outcomes[1, 0], found.outcomes[0, 1]) == (gained, lost)
    assert found.chance == pytest.approx(stats.binomtest(int(lost), int(gained + lost)).pvalue)


def test_who_is_righter_is_told_only_when_it_is_clear(store: Store, shop: Dataset) -> None:
    pairs = clicks(shop)
    judged(store, shop, [Opinion(*pair, ("High", "High")) for pair in pairs], prompt="1")
    judged(store, shop, [Opinion(*pair, ("Low", "High")) for pair in pairs], prompt="2")
    assert "Nobody has answered" in compared(store, shop).verdict
    store.decide("shop", ids(shop, pairs[:2]), "yes", annotator="ann")
    found = compared(store, shop)
    assert found.verdict.startswith("Which is righter cannot be told yet")
    assert found.chance == 0.5
    store.decide("shop", ids(shop, pairs[2:20]), "yes", annotator="ann")
    assert compared(store, shop).verdict.startswith("A is righter")


def test_raters_with_no_pair_in_common(store: Store, shop: Dataset) -> None:
    pairs = clicks(shop)
    judged(store, shop, [Opinion(*pair, ("High", "High")) for pair in pairs[:5]], prompt="1")
    judged(store, shop, [Opinion(*pair, ("High", "High")) for pair in pairs[5:9]], prompt="2")
    found = compared(store, shop)
    assert len(found.pairs) == 0
    assert found.differ.value is None
    assert found.kappa["user"].how == "no pair has both answers"
    assert found.chance is None


def test_the_newest_opinion_of_a_rater_counts_and_every_version_is_there(store: Store, shop: Dataset) -> None:
    pair = clicks(shop)[0]
    judged(store, shop, [Opinion(*pair, ("High", "High"))], prompt="1")
    judged(store, shop, [Opinion(*pair, ("Low", "Low"))], prompt="2")
    assert len(store.judgments("shop", texts=False)) == 2
    assert sorted(rivals.opinions(shop, store.answers("shop"))["prompt_version"]) == ["1", "2"]


def test_random_samples_come_before_what_people_chose(store: Store, shop: Dataset) -> None:
    pairs = clicks(shop)
    judged(store, shop, [Opinion(*pair, ("High", "High") if pair[0] % 2 else ("Low", "Low")) for pair in pairs])
    store.decide("shop", ids(shop, pairs[:7]), "no", annotator="ann")
    chosen = people(store)
    assert chosen.chosen
    assert len(chosen.rows) == 7
    assert set(chosen.rows["weight"]) == {1.0}
    store.draw(shop, size=40, annotator="ann")
    sampled = store.sampled("shop")
    some = sampled.head(35)
    store.decide("shop", list(zip(some["user_id"], some["item_id"], strict=True)), "yes", annotator="bob", saw_judge=False)
    random = people(store)
    assert not random.chosen
    assert set(zip(random.rows["user_id"], random.rows["item_id"], strict=True)) <= set(
        zip(sampled["user_id"], sampled["item_id"], strict=True)
    )
    assert random.rows["relevant"].all()
    assert random.rows["weight"].sum() == pytest.approx(len(pairs))  # they stand for all that the judge has judged
    assert "without seeing" in random.rest


class TestPaired:
    def test_the_difference_is_that_of_the_shares(self) -> None:
        rng = stream(1, "paired")
        first, second, weight = rng.random(200) < 0.6, rng.random(200) < 0.7, rng.random(200) + 0.5
        one = agreement.paired(first, second, weight)
        shares = [np.average(part, weights=weight) for part in (second, first)]
        assert one.value == pytest.approx(shares[0] - shares[1])
        assert one.low < one.value < one.high

    def test_the_interval_covers_as_often_as_it_says(self) -> None:
        """Pairs that go together, with a true difference of .15."""
        rng, covered = stream(2, "paired"), 0
        for _ in range(600):
            cell = rng.choice(4, 60, p=[0.5, 0.05, 0.2, 0.25])  # both, first, second, neither
            one = agreement.paired(cell <= 1, (cell == 0) | (cell == 2), np.ones(60))
            covered += one.low <= 0.15 <= one.high
        assert 0.925 < covered / 600 < 0.985

    @pytest.mark.parametrize(("n", "hit"), [(5, True), (5, False), (1, True)])
    def test_without_any_difference_the_interval_is_not_a_point(self, n: int, hit: bool) -> None:
        same = np.full(n, hit)
        one = agreement.paired(same, same, np.ones(n))
        assert one.value == 0
        assert one.low < 0 < one.high

    def test_the_order_turns_the_sign_alone(self) -> None:
        first, second = np.arange(30) % 3 == 0, np.arange(30) % 2 == 0
        there, back = agreement.paired(first, second, np.ones(30)), agreement.paired(second, first, np.ones(30))
        assert (there.value, there.low, there.high) == pytest.approx((-back.value, -back.high, -back.low))

    @pytest.mark.parametrize(
        ("cells", "low", "high"),
        [
            ((14, 5, 0, 22), 0.011, 0.226),  # Altman et al. 2000, Statistics with Confidence, table 6.2
            ((1, 1, 7, 12), -0.507, -0.026),  # Fagerland et al. 2014, doi 10.1002/sim.6148, on Bentur et al. 2009
        ],
    )
    def test_published_intervals(self, cells: tuple[int, ...], low: float, high: float) -> None:
        """Cells: both, the one alone, the other alone, neither; the difference is the one less the other."""
        cell = np.repeat(np.arange(4), cells)
        one = agreement.paired((cell == 0) | (cell == 2), cell <= 1, np.ones(len(cell)))
        assert (one.low, one.high) == pytest.approx((low, high), abs=5.1e-4)

    def test_of_nothing(self) -> None:
        assert agreement.paired(np.zeros(0, bool), np.zeros(0, bool), np.zeros(0)).value is None
