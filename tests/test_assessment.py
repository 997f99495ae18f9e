"""What audits say of a judge: against planted truth, and at the edges."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from audit_fixtures import Opinion, judged
from judging_fixtures import catalogue, texts

from core import assessment
from core.assessment import Assessment
from core.errors import NotFoundError
from core.records import Dataset, Interactions
from core.rng import stream
from core.store import Store
from core.store.audits import population

HIGH, LOW = ("High", "High"), ("Mid", "Low")


@pytest.fixture
def shop() -> Dataset:
    return catalogue()


@pytest.fixture
def large() -> Dataset:
    """Sixty users who clicked twenty items each."""
    user, item = np.repeat(np.arange(60, dtype=np.int32), 20), np.tile(np.arange(20, dtype=np.int32), 60)
    ids = texts(*(f"u{user}" for user in range(60)))
    return dataclasses.replace(catalogue(), user_ids=ids, user_text=ids, train=Interactions(user, item))


def assess(store: Store, data: Dataset, sample: int | None = None) -> Assessment:
    standing = store.standing(data.name)
    found = assessment.audits(store.sampled(data.name), standing)
    opinions = population(data, store.judgments(data.name, texts=False))
    return assessment.assess(data, store.samples(data.name), found, standing, opinions, sample)


def clicks(data: Dataset) -> list[tuple[int, int]]:
    return list(zip(data.train.user.tolist(), data.train.item.tolist(), strict=True))


def test_the_estimate_is_unbiased_where_that_of_triage_is_not(store: Store, large: Dataset) -> None:
    """The judge errs where it is not confident, and people look there first. Estimates from a random sample (a half-audited one
    too, beside earlier triage) scatter about the truth; what people looked at says twice as much."""
    rng = stream(0, "planted")
    pairs, wrong, opinions = clicks(large), {}, []
    for user, item in pairs:
        confident, relevant = rng.random() < 0.8, rng.random() < 0.6
        wrong[f"u{user}", f"i{item}"] = errs = bool(rng.random() < (0.1 if confident else 0.5))
        opinions.append(Opinion(user, item, HIGH if relevant != errs else LOW, 0.95 if confident else 0.4))
    judged(store, large, opinions)
    truth = np.mean(list(wrong.values()))
    triage = [(f"u{one.user}", f"i{one.item}") for one in opinions if one.confidence < 0.5][:100]
    assert np.mean([wrong[pair] for pair in triage]) > 2 * truth
    store.decide("shop", triage, "no", annotator="ann")
    estimates: dict[str, list[float]] = {"all": [], "half": [], "unweighted": []}
    for seed in range(40):
        identifier = store.draw(large, size=60, annotator="ann", seed=seed)
        rows = store.sampled("shop")
        own = rows[rows["sample"] == identifier].reset_index(drop=True)
        errs = np.array([wrong[pair] for pair in zip(own["user_id"], own["item_id"], strict=True)])
        early = own["stratum"].str.endswith("decided before").to_numpy()
        for name, used in (("all", np.ones(60, bool)), ("half", early | (own["place"] < 30).to_numpy())):
            estimates[name].append(np.average(errs, weights=assessment.weights(own, used)))
        estimates["unweighted"].append(errs.mean())
    for name in ("all", "half"):
        scatter = np.std(estimates[name]) / np.sqrt(40)
        assert abs(np.mean(estimates[name]) - truth) < 3 * scatter, name
    assert np.mean(estimates["unweighted"]) > truth + 5 * np.std(estimates["unweighted"]) / np.sqrt(40)


class TestCounting:
    @pytest.fixture
    def sample(self, store: Store, shop: Dataset) -> pd.DataFrame:
        """Twelve judged clicks and four other pairs, all drawn, by their label."""
        opinions = [Opinion(*pair, HIGH if n % 2 else LOW) for n, pair in enumerate(clicks(shop)[:12])]
        opinions += [Opinion(1, item, HIGH) for item in range(4)]
        judged(store, shop, opinions)
        store.draw(shop, size=16, annotator="ann")
        return store.sampled("shop").sort_values(["label", "place"], ignore_index=True)

    def say(self, store: Store, rows: pd.DataFrame, answer: str, **changes: object) -> None:
        pairs = list(zip(rows["user_id"], rows["item_id"], strict=True))
        store.decide("shop", pairs, answer, **({"annotator": "ann", "saw_judge": False} | changes))

    def test_nothing_is_audited_yet(self, store: Store, shop: Dataset, sample: pd.DataFrame) -> None:
        told = assess(store, shop)
        assert (told.audited, told.blind, told.seen) == (0, 0, 0)
        assert {one.how for one in vars(told.quality).values()} == {"no pair is audited yet"}
        assert told.prune.good is None
        assert told.add.good is None
        assert "no pair is audited yet" in told.prune.sentence
        assert told.raters_alpha.value is None
        assert told.views.tolist() == [[10, 0, 0], [0, 0, 6], [0, 0, 0]]
        assert told.kappa.n == 16

    def test_no_sample_yet(self, store: Store, shop: Dataset) -> None:
        with pytest.raises(NotFoundError, match="no audit sample yet"):
            assess(store, shop)

    def test_shares_and_confusion_by_hand(self, store: Store, shop: Dataset, sample: pd.DataFrame) -> None:
        hard, noisy, missed = (sample[sample["label"] == f"{name} positive"] for name in ("hard", "noisy", "missed"))
        assert (len(hard), len(noisy), len(missed)) == (6, 6, 4)
        for rows, yes in ((hard, 5), (noisy, 2), (missed, 1)):
            self.say(store, rows[:yes], "yes")
            self.say(store, rows[yes:], "no")
        told = assess(store, shop)
        got = {name: (one.value, one.n) for name, one in vars(told.quality).items()}
        assert got["error"] == (pytest.approx(3 / 12), 12)
        assert got["relevant"] == (pytest.approx(5 / 6), 6)
        assert got["dropped"] == (pytest.approx(2 / 6), 6)
        assert got["added"] == (pytest.approx(1 / 4), 4)
        assert told.confusion.tolist() == [[6, 4], [2, 4]]
        for by in ("popularity of the item", "history of the user", "model and prompt"):
            assert sum(one.n for one in told.segments if one.by == by) == 16
        assert told.segments[-1].part == "m, prompt version 1"
        assert told.segments[-1].quality == told.quality

    def test_unsure_says_nothing_and_the_newest_of_two_people_counts(
        self, store: Store, shop: Dataset, sample: pd.DataFrame
    ) -> None:
        hard = sample[sample["label"] == "hard positive"]
        self.say(store, hard[:4], "yes")
        self.say(store, hard[4:5], "unsure")
        self.say(store, hard[:1], "no", annotator="bob", saw_judge=True)
        told = assess(store, shop)
        assert (told.audited, told.unsure, told.disputed, told.blind, told.seen) == (5, 1, 1, 3, 1)
        assert (told.quality.relevant.value, told.quality.relevant.n) == (pytest.approx(3 / 4), 4)
        assert told.raters_alpha.n == 4

    def test_an_undone_decision_is_no_audit(self, store: Store, shop: Dataset, sample: pd.DataFrame) -> None:
        self.say(store, sample[:5], "yes")
        store.undo("shop")
        assert assess(store, shop).audited == 0

    def test_decisions_outside_the_sample_change_nothing(self, store: Store, shop: Dataset, sample: pd.DataFrame) -> None:
        self.say(store, sample, "yes")
        before = assess(store, shop)
        outside = pd.DataFrame({"user_id": [f"u{user}" for user in (3, 5, 7)], "item_id": ["i1", "i2", "i3"]})
        self.say(store, outside, "no")
        told = assess(store, shop)
        assert told.quality == before.quality
        assert told.raters_alpha == before.raters_alpha

    def test_one_kind_of_answer_only(self, store: Store, shop: Dataset, sample: pd.DataFrame) -> None:
        noisy = sample[sample["label"] == "noisy positive"]
        self.say(store, noisy, "no")
        told = assess(store, shop)
        assert (told.quality.dropped.value, told.quality.dropped.low) == (0.0, 0.0)
        assert told.quality.dropped.high > 0.3
        assert told.quality.error.value is None
        assert told.quality.error.how == "no pair that it calls hard positive is audited yet"
        assert told.quality.relevant.how == told.quality.error.how  # others are audited, so not "no answers yet"

    def test_one_answer_is_no_plural(self, store: Store, shop: Dataset, sample: pd.DataFrame) -> None:
        self.say(store, sample.head(1), "yes")
        standing = store.standing(shop.name)
        people = assessment.people(assessment.audits(store.sampled(shop.name), standing), standing)
        assert people.rest.startswith("By 1 answer of people, about pairs")

    def test_constant_ratings_have_no_kappa(self, store: Store, shop: Dataset) -> None:
        judged(store, shop, [Opinion(*pair, HIGH) for pair in clicks(shop)[:10]])
        store.draw(shop, size=8, annotator="ann")
        told = assess(store, shop)
        assert (told.kappa.value, told.views_alpha.value) == (None, None)
        assert "the same" in told.kappa.how
        assert told.quality.added.how == "no pair is audited yet"
        self.say(store, store.sampled("shop"), "yes")
        assert assess(store, shop).quality.added.how == "it calls no sampled pair missed positive"

    def test_other_judges_count_as_raters_and_have_segments(self, store: Store, shop: Dataset, sample: pd.DataFrame) -> None:
        judged(store, shop, [Opinion(*pair, LOW) for pair in clicks(shop)[:12]], judge="builtin", model="words")
        told = assess(store, shop)
        assert told.raters_alpha.n == 12
        assert told.raters_alpha.value < 0.1
        store.draw(shop, size=8, annotator="ann", judge="builtin")
        parts = [one.part for one in assess(store, shop, sample=1).segments if one.by == "model and prompt"]
        assert parts == ["words, prompt version 1", "m, prompt version 1"]
        assert assess(store, shop).sample["model"] == "words"

    def test_a_dataset_imported_anew_may_have_lost_pairs(self, store: Store, shop: Dataset, sample: pd.DataFrame) -> None:
        self.say(store, sample, "yes")
        gone = sample["item_id"].iloc[0]
        less = dataclasses.replace(shop, item_ids=np.where(shop.item_ids == gone, "new", shop.item_ids))
        told = assess(store, less)
        assert told.audited == (sample["item_id"] != gone).sum() < 16


def test_estimates_rest_on_blind_audits_when_there_are_enough(store: Store, large: Dataset) -> None:
    judged(store, large, [Opinion(*pair, HIGH) for pair in clicks(large)])
    store.draw(large, size=100, annotator="ann")
    pairs = list(zip(store.sampled("shop")["user_id"], store.sampled("shop")["item_id"], strict=True))
    store.decide("shop", pairs[:40], "yes", annotator="ann", saw_judge=True)
    store.decide("shop", pairs[40:69], "no", annotator="ann", saw_judge=False)
    told = assess(store, large)
    assert (told.blind, told.seen, told.blind_only, told.quality.relevant.n) == (29, 40, False, 69)
    assert "fewer than 30 are blind" in told.about.lower()
    store.decide("shop", pairs[69:70], "no", annotator="ann", saw_judge=False)
    told = assess(store, large)
    assert (told.blind, told.blind_only, told.quality.relevant.n, told.quality.relevant.value) == (30, True, 30, 0.0)
    assert "blind ones alone" in told.about


def test_weights_add_up_whoever_was_audited(store: Store, large: Dataset) -> None:
    """A stratum nobody audited is stood for by the rest of its label; a label nobody audited by nobody."""
    judged(store, large, [Opinion(*p, HIGH if n % 4 else LOW, n % 7 / 7) for n, p in enumerate(clicks(large))])
    store.draw(large, size=60, annotator="ann")
    own = store.sampled("shop")
    total = own.groupby("label")["weight"].sum()
    used = (own["stratum"] == "hard positive, low confidence").to_numpy()
    weight = pd.Series(assessment.weights(own, used))
    assert weight[~used].eq(0).all()
    assert weight.sum() == pytest.approx(total["hard positive"])
    rng = stream(0, "used")
    for _ in range(20):
        used = rng.random(60) < 0.3
        weight = pd.Series(assessment.weights(own, used))
        for label, audited in pd.Series(used).groupby(own["label"]).any().items():
            assert weight[own["label"] == label].sum() == pytest.approx(total[label] if audited else 0)
    assert assessment.weights(own, np.ones(60, bool)) == pytest.approx(own["weight"].to_numpy())
