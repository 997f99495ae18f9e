"""Audit samples: random, in strata, with weights that add up, and frozen."""

import numpy as np
import pandas as pd
import pytest
from audit_fixtures import Opinion, judged
from judging_fixtures import catalogue

from core.errors import NotFoundError, SettingsError
from core.records import Dataset
from core.store import Store, audits

HIGH, LOW = ("High", "High"), ("High", "Low")


@pytest.fixture
def shop() -> Dataset:
    return catalogue()


def everything(shop: Dataset) -> list[Opinion]:
    """Every train click and as many other pairs; a third relevant, confidence in three steps."""
    clicks = list(zip(shop.train.user.tolist(), shop.train.item.tolist(), strict=True))
    known = {pair for part in (shop.train, shop.valid, shop.test) for pair in zip(part.user, part.item, strict=True)}
    others = [(user, item) for user in range(shop.n_users) for item in range(shop.n_items) if (user, item) not in known]
    pairs = clicks + others[: len(clicks)]
    return [Opinion(*pair, HIGH if n % 3 == 0 else LOW, (0.5, 0.7, 0.9)[n // 3 % 3]) for n, pair in enumerate(pairs)]


def drawn(store: Store, shop: Dataset, **changes: object) -> pd.DataFrame:
    """The pairs of a new sample."""
    identifier = store.draw(shop, **({"size": 40, "annotator": "ann"} | changes))
    rows = store.sampled(shop.name)
    return rows[rows["sample"] == identifier].reset_index(drop=True)


class TestDrawing:
    def test_weights_add_up_to_the_population(self, store: Store, shop: Dataset) -> None:
        opinions = everything(shop)
        judged(store, shop, opinions)
        rows = drawn(store, shop)
        [sample] = store.samples("shop").to_dict("records")
        assert (sample["population"], sample["size"]) == (len(opinions), 40) == (rows["weight"].sum(), len(rows))
        assert (sample["judge"], sample["model"], sample["digest"], sample["prompt_version"]) == ("ollama", "m", "d", "1")
        assert (sample["annotator"], sample["seed"]) == ("ann", 0)
        counts = audits.population(shop, store.judgments("shop", texts=False))["label"].value_counts()
        assert rows.groupby("label")["weight"].sum().to_dict() == pytest.approx(counts.to_dict())
        assert rows["place"].tolist() == list(range(40))
        assert not rows.duplicated(["user_id", "item_id"]).any()
        assert rows["stratum"].nunique() == 12  # four labels in three bands of confidence
        assert (rows.groupby("stratum").size() >= audits.LEAST_OF_STRATUM).all()
        assert rows.groupby("stratum")["weight"].nunique().eq(1).all()

    def test_the_label_and_the_band_are_those_of_the_opinion(self, store: Store, shop: Dataset) -> None:
        judged(store, shop, everything(shop))
        by_pair = {(shop.user_ids[one.user], shop.item_ids[one.item]): one for one in everything(shop)}
        clicks = set(zip(shop.user_ids[shop.train.user], shop.item_ids[shop.train.item], strict=True))
        for row in drawn(store, shop).itertuples():
            one = by_pair[row.user_id, row.item_id]
            relevant, observed = one.views == HIGH, (row.user_id, row.item_id) in clicks
            names = {(True, True): "hard positive", (False, True): "noisy positive", (True, False): "missed positive"}
            assert row.label == names.get((relevant, observed), "hard negative")
            assert row.stratum == f"{row.label}, {dict(zip((0.5, 0.7, 0.9), audits.BANDS, strict=True))[one.confidence]}"

    def test_only_complete_opinions_about_pairs_that_can_have_a_label(self, store: Store, shop: Dataset) -> None:
        kept = everything(shop)[:20]
        half = Opinion(7, 0, ("High", ""))
        held = Opinion(int(shop.test.user[0]), int(shop.test.item[0]), HIGH)
        judged(store, shop, [*kept, half, held])
        rows = drawn(store, shop, size=100)
        assert len(rows) == 20
        assert set(rows["weight"]) == {1.0}  # all of them
        assert {(row.user_id, row.item_id) for row in rows.itertuples()} == {
            (shop.user_ids[one.user], shop.item_ids[one.item]) for one in kept
        }

    def test_a_small_sample_has_strata_by_label_alone(self, store: Store, shop: Dataset) -> None:
        judged(store, shop, everything(shop))
        rows = drawn(store, shop, size=10)
        assert (rows["stratum"] == rows["label"]).all()
        assert rows["label"].nunique() == 4

    def test_without_confidence_there_is_no_band(self, store: Store, shop: Dataset) -> None:
        judged(store, shop, [one._replace(confidence=None) for one in everything(shop)])
        rows = drawn(store, shop)
        assert (rows["stratum"] == rows["label"]).all()

    def test_what_was_decided_before_counts_for_no_more_than_its_share(self, store: Store, shop: Dataset) -> None:
        """A person has looked at six of the noisy clicks: they stand for six, however many are drawn."""
        judged(store, shop, everything(shop))
        noisy = [one for one in everything(shop)[:60] if one.views == LOW][:6]
        store.decide("shop", [(f"u{one.user}", f"i{one.item}") for one in noisy], "no", annotator="ann")
        rows = drawn(store, shop)
        before = rows[rows["stratum"].str.endswith(audits.DECIDED)]
        assert before["weight"].sum() == pytest.approx(6)
        assert set(before["label"]) == {"noisy positive"}

    def test_draws_differ_by_seed_alone(self, store: Store, shop: Dataset) -> None:
        judged(store, shop, everything(shop))
        first, second, again = drawn(store, shop), drawn(store, shop), drawn(store, shop, seed=0)
        assert store.samples("shop")["seed"].tolist() == [0, 1, 0]
        pair = ["user_id", "item_id"]
        assert first[pair].equals(again[pair])
        assert not first[pair].equals(second[pair])

    def test_every_pair_is_as_likely_as_its_weight_says(self, store: Store, shop: Dataset) -> None:
        opinions = [one._replace(confidence=None) for one in everything(shop)]
        judged(store, shop, opinions)
        times: dict[tuple[str, str], float] = {}
        for seed in range(60):
            for row in drawn(store, shop, seed=seed).itertuples():
                times[row.user_id, row.item_id] = times.get((row.user_id, row.item_id), 0) + row.weight
        counts = np.array([times.get((f"u{one.user}", f"i{one.item}"), 0.0) for one in opinions]) / 60
        assert counts.mean() == pytest.approx(1)
        assert counts.max() < 2.2
        assert (counts > 0).mean() > 0.99

    def test_a_language_model_comes_before_the_builtin_rater(self, store: Store, shop: Dataset) -> None:
        judged(store, shop, everything(shop), judge="builtin", model="words")
        judged(store, shop, everything(shop)[:30])
        drawn(store, shop, size=20)
        drawn(store, shop, size=20, judge="builtin")
        drawn(store, shop, size=20, model="words")
        assert store.samples("shop")["model"].tolist() == ["words", "words", "m"]

    def test_two_prompt_versions_are_two_raters(self, store: Store, shop: Dataset) -> None:
        judged(store, shop, everything(shop))
        judged(store, shop, everything(shop)[:30], prompt="2")  # asked again about these
        found = audits.raters(audits.population(shop, store.judgments("shop", texts=False)))
        assert found[["prompt_version", "pairs"]].values.tolist() == [["1", len(everything(shop)) - 30], ["2", 30]]
        drawn(store, shop)
        assert store.samples("shop")["prompt_version"].item() == "1"
        assert store.samples("shop")["population"].item() == len(everything(shop)) - 30


class TestRefusals:
    def test_nobody_has_judged(self, store: Store, shop: Dataset) -> None:
        with pytest.raises(NotFoundError, match="Nobody has judged a pair"):
            drawn(store, shop)
        judged(store, shop, everything(shop))
        with pytest.raises(NotFoundError, match="gpt"):
            drawn(store, shop, model="gpt")
        assert not len(store.samples("shop"))
        assert not len(store.sampled("shop"))

    @pytest.mark.parametrize("changes", [{"size": 7}, {"annotator": " "}])
    def test_bad_wishes(self, store: Store, shop: Dataset, changes: dict) -> None:
        judged(store, shop, everything(shop))
        with pytest.raises(SettingsError):
            drawn(store, shop, **changes)


def test_a_sample_is_frozen(store: Store, shop: Dataset) -> None:
    judged(store, shop, everything(shop))
    before = drawn(store, shop)
    revision = store.revision("shop")
    judged(store, shop, [one._replace(views=LOW) for one in everything(shop)], prompt="2")
    store.decide("shop", [(row.user_id, row.item_id) for row in before.itertuples()], "no", annotator="ann")
    pd.testing.assert_frame_equal(store.sampled("shop"), before)
    drawn(store, shop)
    assert store.revision("shop") > revision
    rows = store.sampled("shop")
    pd.testing.assert_frame_equal(rows[rows["sample"] == 1].reset_index(drop=True), before)


def test_samples_belong_to_their_dataset(store: Store, shop: Dataset) -> None:
    judged(store, shop, everything(shop))
    drawn(store, shop)
    assert not len(store.samples("other"))
    assert not len(store.sampled("other"))
