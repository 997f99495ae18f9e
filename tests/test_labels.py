"""Who beats whom, and what an answer makes of a pair."""

import itertools
import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import labels
from core.errors import NotFoundError
from core.labels import LeftOut
from core.records import VIEWS, Dataset, Interactions, Label, LabelSet, Source
from tests.judging_fixtures import catalogue, pairs, texts

OBSERVED, UNOBSERVED, HELD_OUT = (0, 10), (0, 11), (0, 8)


@pytest.fixture(scope="module")
def shop() -> Dataset:
    return catalogue()


def judged(*rows: tuple) -> pd.DataFrame:
    """Rows (pair, view, rating) or (pair, view, rating, judge, asked_at) as the store gives them; asked at 0.0 if unsaid."""
    full = [(*row, *("llm", 0.0)[len(row) - 3 :]) for row in rows]
    frame = pd.DataFrame(full, columns=["pair", "view", "rating", "model", "asked_at"])
    ids = {"user_id": [f"u{u}" for u, _ in frame["pair"]], "item_id": [f"i{i}" for _, i in frame["pair"]]}
    is_llm = ~frame["model"].isin(["builtin", "simulated"])
    return frame.assign(**ids, is_llm=is_llm, judge=frame["model"].mask(is_llm, "ollama"), digest="d", prompt_version="1")


def decided(*rows: tuple[tuple[int, int], str]) -> pd.DataFrame:
    frame = pd.DataFrame([(f"u{u}", f"i{i}", answer) for (u, i), answer in rows], columns=["user_id", "item_id", "relevant"])
    return frame.assign(annotator="ann", at=np.arange(len(frame), dtype=float))


def both(pair: tuple[int, int], rating: str, *more: object) -> list[tuple]:
    return [(pair, view, rating, *more) for view in VIEWS]


def resolved(shop: Dataset, judgments: pd.DataFrame, decisions: pd.DataFrame) -> dict[tuple[int, int], tuple[Label, Source]]:
    found = labels.resolve(shop, judgments, decisions)
    rows = zip(found.user, found.item, found.label, found.source, strict=True)
    return {(int(u), int(i)): (Label(label), Source(source)) for u, i, label, source in rows}


@pytest.mark.parametrize(
    ("observed", "relevant", "label"),
    [
        (True, True, Label.HARD_POSITIVE),
        (True, False, Label.NOISY_POSITIVE),
        (False, True, Label.MISSED_POSITIVE),
        (False, False, Label.HARD_NEGATIVE),
    ],
)
def test_one_question_four_outcomes(shop: Dataset, observed: bool, relevant: bool, label: Label) -> None:
    pair = OBSERVED if observed else UNOBSERVED
    assert labels.label_of(relevant, observed) == label
    assert resolved(shop, judged(*both(pair, "High" if relevant else "Low")), decided()) == {pair: (label, Source.LLM)}
    assert resolved(shop, judged(), decided((pair, "yes" if relevant else "no"))) == {pair: (label, Source.HUMAN)}


@pytest.mark.parametrize("ratings", list(itertools.product(["High", "Mid", "Low"], repeat=2)))
def test_only_two_high_views_are_relevant(shop: Dataset, ratings: tuple[str, str]) -> None:
    rows = [(OBSERVED, view, rating) for view, rating in zip(VIEWS, ratings, strict=True)]
    expected = Label.HARD_POSITIVE if ratings == ("High", "High") else Label.NOISY_POSITIVE
    assert resolved(shop, judged(*rows), decided())[OBSERVED][0] == expected


def test_a_missing_view_is_unjudged_and_never_noisy(shop: Dataset) -> None:
    for rows in ([(OBSERVED, "user", "Low")], [(OBSERVED, "user", "Low"), (OBSERVED, "item", None)]):
        assert resolved(shop, judged(*rows), decided()) == {OBSERVED: (Label.UNJUDGED, Source.NONE)}


def test_views_of_different_raters_are_not_one_opinion(shop: Dataset) -> None:
    rows = [(OBSERVED, "user", "High", "a", 1.0), (OBSERVED, "item", "High", "b", 2.0)]
    assert resolved(shop, judged(*rows), decided())[OBSERVED][0] == Label.UNJUDGED


def test_views_of_two_questionings_are_not_one_opinion(shop: Dataset) -> None:
    """Asked again with other texts and stopped half-way: the older, complete answer counts."""
    older = [(OBSERVED, "user", "Low", "llm", 1.0), (OBSERVED, "item", "High", "llm", 1.0)]
    newer = [(OBSERVED, "user", "High", "llm", 2.0), (OBSERVED, "item", "High", "llm", 2.0)]
    assert resolved(shop, judged(*older, newer[0]), decided())[OBSERVED][0] == Label.NOISY_POSITIVE
    assert resolved(shop, judged(*older, *newer), decided())[OBSERVED][0] == Label.HARD_POSITIVE
    assert resolved(shop, judged(older[1], newer[0]), decided())[OBSERVED][0] == Label.UNJUDGED


def test_an_llm_beats_the_built_in_rater_however_old_it_is(shop: Dataset) -> None:
    rows = [*both(OBSERVED, "High", "llm", 1.0), *both(OBSERVED, "Low", "builtin", 2.0)]
    assert resolved(shop, judged(*rows), decided())[OBSERVED] == (Label.HARD_POSITIVE, Source.LLM)


def test_every_real_rater_beats_a_simulation_however_new_it_is(shop: Dataset) -> None:
    rows = both(OBSERVED, "High", "simulated", 3.0)
    assert resolved(shop, judged(*rows), decided())[OBSERVED] == (Label.HARD_POSITIVE, Source.SIMULATED)
    rows += both(OBSERVED, "Low", "builtin", 2.0)
    assert resolved(shop, judged(*rows), decided())[OBSERVED] == (Label.NOISY_POSITIVE, Source.BUILTIN)
    rows += both(OBSERVED, "High", "llm", 1.0)
    assert resolved(shop, judged(*rows), decided())[OBSERVED] == (Label.HARD_POSITIVE, Source.LLM)
    assert resolved(shop, judged(*rows), decided((OBSERVED, "no")))[OBSERVED] == (Label.NOISY_POSITIVE, Source.HUMAN)


def test_an_llm_without_a_complete_answer_beats_nobody(shop: Dataset) -> None:
    rows = [(OBSERVED, "user", "High", "llm", 2.0), *both(OBSERVED, "Low", "builtin", 1.0)]
    assert resolved(shop, judged(*rows), decided())[OBSERVED] == (Label.NOISY_POSITIVE, Source.BUILTIN)


def test_of_two_llms_the_newest_counts(shop: Dataset) -> None:
    rows = [*both(OBSERVED, "High", "new", 2.0), *both(OBSERVED, "Low", "old", 1.0)]
    assert resolved(shop, judged(*rows), decided())[OBSERVED][0] == Label.HARD_POSITIVE


def test_a_person_beats_everybody_and_the_newest_one_counts(shop: Dataset) -> None:
    llm = judged(*both(OBSERVED, "High"))
    assert resolved(shop, llm, decided((OBSERVED, "no")))[OBSERVED] == (Label.NOISY_POSITIVE, Source.HUMAN)
    assert resolved(shop, llm, decided((OBSERVED, "no"), (OBSERVED, "yes")))[OBSERVED] == (Label.HARD_POSITIVE, Source.HUMAN)
    assert resolved(shop, llm, decided((OBSERVED, "unsure")))[OBSERVED] == (Label.UNSURE, Source.HUMAN)


def test_held_out_and_unknown_pairs_get_no_label(shop: Dataset) -> None:
    """A missed positive from the test set would be an edge that holds the answer."""
    judgments = judged(*both(HELD_OUT, "High"), *both((0, 99), "High"), *both(UNOBSERVED, "High"))
    decisions = decided((HELD_OUT, "yes"), ((99, 0), "no"))
    assert resolved(shop, judgments, decisions) == {UNOBSERVED: (Label.MISSED_POSITIVE, Source.LLM)}
    asked = pd.concat([judgments[["user_id", "item_id"]], decisions[["user_id", "item_id"]]])
    assert labels.left_out(shop, asked) == LeftOut(unknown=2, held_out=1)


def test_no_judgments_and_no_decisions(shop: Dataset) -> None:
    assert len(labels.resolve(shop, judged(), decided())) == 0


ROW = st.tuples(
    st.sampled_from([OBSERVED, UNOBSERVED, (1, 11)]), st.sampled_from(VIEWS), st.sampled_from(["High", "Mid", "Low", None])
)
ANSWER = st.tuples(st.sampled_from([OBSERVED, UNOBSERVED]), st.sampled_from(["yes", "no", "unsure"]))


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(ROW, st.sampled_from(["a", "bb", "builtin", "simulated"]), st.sampled_from([1.0, 2.0])), max_size=14).map(
        lambda rows: [(*row, who, at + 0.1 * len(who)) for row, who, at in rows]  # no two raters are asked at one moment
    ),
    st.lists(ANSWER, max_size=3),
)
def test_the_rule_against_a_plain_loop(rows: list[tuple], answers: list[tuple]) -> None:
    shop = catalogue()
    assert resolved(shop, judged(*rows), decided(*answers)) == by_hand(shop, rows, answers)


def by_hand(shop: Dataset, rows: list[tuple], answers: list[tuple]) -> dict[tuple[int, int], tuple[Label, Source]]:
    train = set(zip(shop.train.user.tolist(), shop.train.item.tolist(), strict=True))
    found = {}
    for pair in {row[0] for row in rows} | {pair for pair, _ in answers}:
        human = [answer for other, answer in answers if other == pair]
        if human and human[-1] == "unsure":
            found[pair] = (Label.UNSURE, Source.HUMAN)
            continue
        if human:
            found[pair] = (labels.label_of(human[-1] == "yes", pair in train), Source.HUMAN)
            continue
        best = None
        for who, asked in {row[3:] for row in rows if row[0] == pair}:
            newest = {row[1]: row for row in rows if row[0] == pair and row[3:] == (who, asked)}
            if {view for view, row in newest.items() if row[2]} == set(VIEWS):
                source = {"builtin": Source.BUILTIN, "simulated": Source.SIMULATED}.get(who, Source.LLM)
                opinion = (source, asked, all(row[2] == "High" for row in newest.values()))
                best = max(best or opinion, opinion)
        found[pair] = (labels.label_of(best[2], pair in train), best[0]) if best else (Label.UNJUDGED, Source.NONE)
    return found


def test_labels_as_words_and_back(shop: Dataset) -> None:
    judgments = judged(*both(OBSERVED, "High"), *both(UNOBSERVED, "Low"), (((2, 11)), "user", "High"))
    found = labels.resolve(shop, judgments, decided(((0, 0), "no"), ((3, 0), "unsure")))
    frame = labels.to_frame(shop, found)
    assert frame.query("user_id == 'u0' and item_id == 'i0'")[["label", "source"]].values.tolist() == [
        ["noisy positive", "human"]
    ]
    back = labels.from_frame(shop, frame.sample(frac=1, random_state=0))
    for name in ("user", "item", "observed", "label", "source"):
        assert getattr(back, name).tolist() == getattr(found, name).tolist()
        assert getattr(back, name).dtype == getattr(found, name).dtype


def test_a_frozen_answer_follows_the_dataset(shop: Dataset) -> None:
    """The same answer is a missed positive before the click is in the log, and a hard positive after it."""
    frame = labels.to_frame(shop, labels.resolve(shop, judged(*both(UNOBSERVED, "High")), decided()))
    assert frame["label"].tolist() == ["missed positive"]
    now = pairs(*zip(shop.train.user.tolist(), shop.train.item.tolist(), strict=True), UNOBSERVED)
    fields = {name: getattr(shop, name) for name in shop.__dataclass_fields__}
    assert labels.from_frame(Dataset(**fields | {"train": now}), frame).label.tolist() == [Label.HARD_POSITIVE]
    assert len(labels.from_frame(Dataset(**fields | {"test": pairs(UNOBSERVED)}), frame)) == 0


def test_sources_are_kept_as_words_that_older_versions_know(shop: Dataset) -> None:
    """Versions from before there were simulations of their own say "builtin" of both."""
    words = ["none", "model", "simulated", "builtin", "llm", "human"]
    assert [source.name.lower() for source in Source] == words
    for source in Source:
        pair = {"user_id": ["u0"], "item_id": ["i10"], "observed": [True], "label": ["noisy positive"]}
        assert labels.from_frame(shop, pd.DataFrame(pair | {"source": [source.name.lower()]})).source.tolist() == [source]


def test_known_pair(shop: Dataset) -> None:
    assert labels.known_pair(shop, "u2", "i7") == (2, 7)
    with pytest.raises(NotFoundError, match="no item 'i77'"):
        labels.known_pair(shop, "u2", "i77")


def test_twenty_thousand_pairs_resolve_at_once() -> None:
    n_users, n_items, n = 1000, 1000, 20_000
    codes = np.random.default_rng(0).permutation(n_users * n_items)[: n + 60_000]
    as_pairs = [
        Interactions((part // n_items).astype(np.int32), (part % n_items).astype(np.int32)) for part in np.split(codes, [n])
    ]
    ids = texts(*(f"u{k}" for k in range(n_users))), texts(*(f"i{k}" for k in range(n_items)))
    empty = pairs()
    big = Dataset("big", *ids, ids[0], ids[1], ids[1], ids[1], as_pairs[1], empty, empty, "big")
    asked = as_pairs[0]
    frame = pd.DataFrame({"user_id": ids[0][asked.user], "item_id": ids[1][asked.item]})
    common = {
        "rating": "High",
        "is_llm": True,
        "judge": "ollama",
        "model": "m",
        "digest": "d",
        "prompt_version": "1",
        "asked_at": 0.0,
    }
    judgments = pd.concat([frame.assign(view=view, **common) for view in VIEWS], ignore_index=True)
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        found: LabelSet = labels.resolve(big, judgments, decided())
        seconds.append(time.perf_counter() - began)
    assert len(found) == n
    assert set(found.label) == {Label.MISSED_POSITIVE}
    assert min(seconds) < 0.5, "about 0.05 s on two busy cores"
