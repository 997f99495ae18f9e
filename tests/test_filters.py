"""Filters: addresses read back what was written, nonsense is told, and masks agree with a slow look at every pair."""

from dataclasses import replace
from urllib.parse import parse_qsl, urlencode

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import known as known_pairs
from core.errors import SettingsError
from core.filters import CONDITIONS, LONGEST, PREFIX, Filter
from core.known import CLICKED, Known
from core.queue import SECOND_LOOK, SETTLED
from core.records import Candidates, Dataset, Interactions, Label, LabelSet, Source
from core.rng import stream

TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=12).map(str.strip)
RANGES = st.none() | st.tuples(st.integers(0, 100), st.integers(0, 100)).map(sorted).map(tuple)


def filters(texts: st.SearchStrategy[str] = TEXTS, **more: st.SearchStrategy) -> st.SearchStrategy[Filter]:
    parts: dict[str, st.SearchStrategy] = {}
    for name, condition in CONDITIONS.items():
        some = st.lists(st.sampled_from(list(condition.options)), max_size=3) if condition.options else texts
        parts[name] = RANGES if name in ("loss", "doubt") else some
    return st.builds(Filter.of, **(parts | more))


@given(filters())
def test_an_address_gives_the_filter_back(chosen: Filter) -> None:
    query = urlencode(chosen.params() | {"dataset": "demo", "order": "newest"})
    assert Filter.read(dict(parse_qsl(query))) == (chosen, [])
    assert Filter.from_text(chosen.text) == (chosen, [])
    assert bool(chosen.words) == bool(chosen.names) == (chosen != Filter())


@given(
    st.dictionaries(
        st.text(max_size=8).map(lambda name: f"{PREFIX}{name}") | st.sampled_from([f"{PREFIX}{name}" for name in CONDITIONS]),
        st.text(max_size=20),
    )
)
def test_whatever_an_address_says_gives_a_filter_and_sentences(params: dict[str, str]) -> None:
    found, wrong = Filter.read(params)
    assert Filter.read(found.params()) == (found, [])
    assert all(sentence.endswith(".") for sentence in wrong)


def test_what_makes_no_sense_is_left_out_and_told() -> None:
    found, wrong = Filter.read(
        {"f_label": "unsure purple", "f_loss": "90-10", "f_size": "3", "f_find": "x" * (LONGEST + 1), "page": "2"}
    )
    assert found == Filter(label=("unsure",))
    assert [sentence.split(" cannot")[0] for sentence in wrong] == [
        "“Label”",
        "“Loss, percentile”",
        "There is no filter 'size'.",
        "“Item title or id has”",
    ]
    with pytest.raises(SettingsError, match="purple"):
        Filter.of(label=["purple"])


def test_words() -> None:
    chosen = Filter.of(label=["noisy-positive"], user_view=["high"], status=["undecided"], loss=(80, 100))
    assert chosen.words == "noisy positive, rated High by the user view, undecided, the highest 20 % by loss"
    assert Filter.of(item_view=["low", "none"], source=["llm", "human"]).words == (
        "labelled by a language model or a person, rated Low or not at all by the item view"
    )
    assert Filter.of(loss=(0, 100)) == Filter()


@given(filters())
def test_without_what_tells_nothing_tells(chosen: Filter) -> None:
    left = chosen.without(*chosen.telling)
    assert not left.telling
    assert set(left.names) == set(chosen.names) - set(chosen.telling)


# --- masks against a slow look ----------------------------------------------------------------------------------------

USERS, ITEMS = 12, 15
PEOPLE = ("ada", "bob")


def example() -> tuple[Known, pd.DataFrame]:
    """Pairs that are known, and one line each of what is known, made pair by pair."""
    rng = stream(3, "filters")
    codes = rng.permutation(USERS * ITEMS)
    parts = np.split(codes, [70, 90, 110, 140])

    def pairs(some: np.ndarray) -> Interactions:
        return Interactions((some // ITEMS).astype(np.int32), (some % ITEMS).astype(np.int32))

    empty = {name: np.full(n, "", object) for name, n in (("user_text", USERS), ("item_category", ITEMS), ("item_text", ITEMS))}
    data = Dataset(
        name="d",
        user_ids=np.array([f"u{place}" for place in range(USERS)], object),
        item_ids=np.array([f"i{place}" for place in range(ITEMS)], object),
        item_title=np.array([f"{'Red' if place % 3 else 'STRASSE'} thing {place}" for place in range(ITEMS)], object),
        train=pairs(parts[0]),
        valid=pairs(parts[1]),
        test=pairs(parts[2]),
        fingerprint="f",
        **empty,
    )
    train, apart = parts[0], parts[3]
    losses = {"user": data.train.user[:60], "item": data.train.item[:60], "mean": rng.random(60).astype(np.float32).round(1)}
    doubted = np.concatenate([train[:40], apart[:10]])
    doubt = np.where(np.arange(50) < 40, rng.random(50), np.nan).astype(np.float32)
    none = np.zeros(50, np.float32)
    found = Candidates(*_columns(pairs(doubted)), np.isin(doubted, train), none, none, none, doubt)
    judged = np.sort(np.concatenate([train[:30], apart[:20]]))
    label = rng.integers(1, 7, len(judged)).astype(np.int8)
    source = rng.integers(0, 6, len(judged)).astype(np.int8)
    labelled = LabelSet(*_columns(pairs(judged)), np.isin(judged, train), label, source)
    views = [rng.choice(["High", "Mid", "Low", ""], len(judged)) for _ in range(2)]
    ids = pd.DataFrame({"user_id": data.user_ids[judged // ITEMS], "item_id": data.item_ids[judged % ITEMS]})
    rated = ids.assign(**{"user view": views[0], "item view": views[1]})
    rated.loc[len(rated)] = ["nobody", "i1", "High", "High"]
    said = pd.concat(
        [ids.iloc[:20].assign(annotator="ada", relevant="yes"), ids.iloc[10:30].assign(annotator="bob", relevant="no")]
    )
    said["reason"] = np.where(np.arange(40) % 7 == 0, SECOND_LOOK, np.where(np.arange(40) % 5 == 0, SETTLED, ""))
    both = said.groupby(["user_id", "item_id"])["relevant"].transform("nunique") > 1
    standing = said.assign(conflict=both).reset_index(drop=True)

    table = known_pairs.known(known_pairs.ground(data, found, losses), labelled, rated, standing)
    clicks = [np.bincount(place, minlength=n) for place, n in ((data.train.user, USERS), (data.train.item, ITEMS))]
    of_loss = {code: losses["mean"][place] for place, code in enumerate(train[:60])}
    lines = []
    for code in [*train, *parts[1], *parts[2], *doubted[40:], *np.setdiff1d(judged, codes[:120])]:
        user, item = divmod(int(code), ITEMS)
        at = np.flatnonzero(judged == code)
        newest = standing[(standing["user_id"] == f"u{user}") & (standing["item_id"] == f"i{item}")]
        last = newest["reason"].iloc[-1] if len(newest) else ""
        own = of_loss.get(code)
        lines.append(
            {
                "clicked": CLICKED[next((place for place, part in enumerate(parts[:3]) if code in part), 3)],
                "label": (Label(label[at[0]]).word if len(at) else "clean").replace(" ", "-"),
                "source": (Source(source[at[0]]).name if len(at) else "NONE").lower(),
                "user_view": (views[0][at[0]] if len(at) else "").lower() or "none",
                "item_view": (views[1][at[0]] if len(at) else "").lower() or "none",
                "loss": None if own is None else np.float32((losses["mean"] < own).mean()),
                "doubt": doubt[list(doubted).index(code)] if code in doubted and code in train else None,
                "popularity": ("rare", "middle", "popular")[_third(clicks[1], item)],
                "history": ("short", "middle", "long")[_third(clicks[0], user)],
                "people": set(newest["annotator"]),
                "flagged": last == SECOND_LOOK,
                "conflict": bool(len(newest)) and bool(newest["conflict"].iloc[-1]) and last != SETTLED,
                "user": f"u{user}",
                "item": f"i{item}",
                "title": f"{f'i{item}'} {data.item_title[item]}",
            }
        )
    return table, pd.DataFrame(lines)


def _columns(pairs: Interactions) -> tuple[np.ndarray, np.ndarray]:
    return pairs.user, pairs.item


def _third(counts: np.ndarray, place: int) -> int:
    low, high = np.quantile(counts, [1 / 3, 2 / 3])
    return int(counts[place] > low) + int(counts[place] > high)


KNOWN, LINES = example()
FITTING = {
    "user": st.sampled_from(["", "", "u1", "u3", "nobody"]),
    "item": st.sampled_from(["", "", "i2", "I2"]),
    "find": st.sampled_from(["", "red", "thing 1", "straße", "i1"]),
    "annotator": st.sampled_from(["", "", "ada", "bob", "eve"]),
}


def slow(line: pd.Series, chosen: Filter, me: str) -> bool:
    views = (line["user_view"], line["item_view"])
    agree = "missing" if "none" in views else "agree" if views[0] == views[1] else "differ"
    statuses = {
        "undecided": not line["people"],
        "mine": me in line["people"],
        "others": bool(line["people"] - {me}),
        "flagged": line["flagged"],
        "conflict": line["conflict"],
    }
    for name in ("label", "source", "user_view", "item_view", "clicked", "popularity", "history"):
        if getattr(chosen, name) and line[name] not in getattr(chosen, name):
            return False
    for name in ("loss", "doubt"):
        low, high = (np.float32(end / 100) for end in getattr(chosen, name) or (0, 100))
        if getattr(chosen, name) and (pd.isna(line[name]) or not low <= line[name] <= high):
            return False
    return (
        (not chosen.views or agree in chosen.views)
        and (not chosen.status or any(statuses[one] for one in chosen.status))
        and (not chosen.annotator or chosen.annotator in line["people"])
        and chosen.user in ("", line["user"])
        and chosen.item in ("", line["item"])
        and chosen.find.casefold() in line["title"].casefold()
    )


@given(filters(**FITTING), st.sampled_from([*PEOPLE, "eve"]), st.data())
def test_masks_agree_with_a_slow_look(chosen: Filter, me: str, data: st.DataObject) -> None:
    if chosen.names:  # all conditions at once hardly ever let a pair through
        kept = data.draw(st.sets(st.sampled_from(chosen.names), max_size=3))
        chosen = chosen.without(*(name for name in chosen.names if name not in kept))
    expected = [slow(line, chosen, me) for _, line in LINES.iterrows()]
    assert chosen.mask(KNOWN, me).tolist() == expected


@pytest.mark.parametrize("name", CONDITIONS)
def test_the_example_tells_every_condition(name: str) -> None:
    """Of each condition some value lets some pairs through and not others."""
    values = (
        [(value,) for value in CONDITIONS[name].options]
        or {"loss": [(50, 100)], "doubt": [(0, 40)]}.get(name)
        or ["ada", "u1", "i2", "thing 1"]
    )
    counts = {int(replace(Filter(), **{name: value}).mask(KNOWN, "ada").sum()) for value in values}
    assert counts - {0, len(KNOWN)}


@given(st.lists(st.integers(-5, USERS * ITEMS + 5), max_size=30))
def test_places_find_what_is_known(codes: list[int]) -> None:
    own = KNOWN.rows.codes(ITEMS).tolist()
    wanted = [own.index(code) if code in own else -1 for code in codes]
    assert KNOWN.places(np.array(codes, np.int64)).tolist() == wanted


def test_nothing_is_known_of_an_empty_dataset() -> None:
    none = np.zeros(0, object)
    pairs = Interactions(np.zeros(0, np.int32), np.zeros(0, np.int32))
    data = Dataset("e", none, none, none, none, none, none, pairs, pairs, pairs, "f")
    labels = LabelSet(pairs.user, pairs.item, np.zeros(0, bool), np.zeros(0, np.int8), np.zeros(0, np.int8))
    rated = pd.DataFrame({name: pd.Series(dtype=object) for name in ("user_id", "item_id", "user view", "item view")})
    standing = pd.DataFrame({name: pd.Series(dtype=object) for name in ("user_id", "item_id", "annotator", "reason")})
    found = known_pairs.known(known_pairs.ground(data, None, None), labels, rated, standing.assign(conflict=False))
    assert len(Filter.of(label=["clean"], status=["undecided", "conflict"], popularity=["rare"]).mask(found)) == 0
