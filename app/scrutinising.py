"""A closer look at the judges, on the Judge page: two side by side, what ratings are worth, what they lean on, their words."""

from typing import Any

import pandas as pd
import streamlit as st

from app import caching, judgecharts, lookup, rivalry, state, widgets, words
from core import assessment, counterfactuals, labels, phrases, rivals, scrutiny
from core.assessment import People
from core.counterfactuals import WORDS
from core.labels import RATER
from core.phrases import Phrase, Phrases
from core.records import Dataset
from core.scrutiny import LEAST_OF_BIN, Rate, Worth
from core.store import audits
from core.store.counterfactuals import Change

Key = tuple[Any, ...]
"""A rater: the values of RATER."""
TABS = ("Two raters side by side", "High, Mid and Low", "Bias", "Reasons")
CHOSEN = "scrutiny_rater"


@caching.per_asked
def _answers(data: Dataset) -> pd.DataFrame:
    return state.store().answers(data.name)


@caching.per_asked
def _newest(data: Dataset, rater: Key | None = None) -> pd.DataFrame:
    """The newest answers, of one rater or of all."""
    rows = scrutiny.newest(_answers(data))
    return rows if rater is None else rows[labels.of_rater(rows, pd.Series(rater, RATER))].reset_index(drop=True)


@caching.per_revision
def _people(data: Dataset) -> People:
    return assessment.people(lookup.audit_pairs(data), lookup.standing(data))


@caching.per_asked
def _opinions(data: Dataset) -> pd.DataFrame:
    return rivals.opinions(data, _answers(data))


@caching.per_revision
def _beside(data: Dataset, a: Key, b: Key) -> rivals.Rivals:
    return rivals.beside(data, _opinions(data), pd.Series(a, RATER), pd.Series(b, RATER), _people(data))


@caching.per_revision
def _worths(data: Dataset) -> list[Worth]:
    return scrutiny.worths(_newest(data), _people(data))


@caching.per_revision
def _rates(data: Dataset, rater: Key) -> list[Rate]:
    return scrutiny.rates(data, _newest(data, rater), _people(data))


@caching.per_revision
def _phrases(data: Dataset, rater: Key) -> Phrases:
    said = scrutiny.with_people(_newest(data, rater), _people(data))
    return phrases.telling(said["analysis"].tolist(), said["confirmed"].to_numpy(bool))


def show(data: Dataset) -> None:
    known = audits.raters(_opinions(data))
    if not len(known):
        return
    widgets.section(
        "A closer look at the judges", "Each model, its weights and its version of the prompts is a rater of its own."
    )
    names = _names(known)
    tabs = st.tabs(TABS, key="scrutiny", on_change="rerun")
    for tab, part in zip(tabs, (_two, _worth, _bias, _reasons), strict=True):
        if tab.open:
            with tab:
                part(data, names)


def _names(known: pd.DataFrame) -> dict[Key, str]:
    """Raters by name; the weights are told where the rest is the same."""
    keys = [tuple(row) for row in known[RATER].itertuples(index=False)]
    who = zip(keys, known["model"], known["is_llm"], strict=True)
    short = [f"{model}, prompts {key[3]}" if is_llm else model for key, model, is_llm in who]
    return words.told_apart(
        {key: name if short.count(name) == 1 else f"{name}, weights {key[2][:8]}" for key, name in zip(keys, short, strict=True)}
    )


def _two(data: Dataset, names: dict[Key, str]) -> None:
    if len(names) < 2:
        st.markdown(
            ":gray[There is one rater yet. Ask another model about the same candidates, or save another version of the rubric "
            "and ask again; then both are compared here.]"
        )
        return
    chosen = []
    with st.grid(columns="auto", min_column_width=280):
        for place, name in enumerate("AB"):
            key = f"rival_{name}"
            if st.session_state.get(key) not in names:
                st.session_state[key] = list(names)[place]
            chosen.append(st.selectbox(name, list(names), format_func=names.__getitem__, key=key))
    if chosen[0] == chosen[1]:
        st.markdown(":gray[Choose two different ones.]")
        return
    rivalry.show(data, _beside(data, *chosen), _people(data))


def _rater(names: dict[Key, str]) -> Key:
    """Whose answers a part is about; the same in all parts."""
    state.keep_valid(CHOSEN, list(names))
    if len(names) == 1:
        return next(iter(names))
    return st.selectbox("Rater", list(names), format_func=names.__getitem__, key=CHOSEN, width=420)


def _worth(data: Dataset, names: dict[Key, str]) -> None:
    people = _people(data)
    st.caption(people.rest)
    st.markdown("**What people confirm**  \n:gray[High is confirmed by “relevant”, Mid and Low by “not relevant”]")
    rows = [
        {
            "rater": names.get(tuple(one.rater), one.rater["model"]),
            "view": one.view,
            "rating": one.rating,
            "given": one.given,
            "confirmed": words.share(one.confirmed),
        }
        for one in _worths(data)
    ]
    st.dataframe(pd.DataFrame(rows), hide_index=True, key="worths", height=min(36 * (len(rows) + 1), 470))
    rater = _rater(names)
    own = _newest(data, rater)
    if own["confidence"].isna().all():
        st.markdown(":gray[This rater tells no probabilities, so there is no curve of how sure it is and how often right.]")
        return
    bins = scrutiny.curve(own, people)
    if not bins:
        answered = len(scrutiny.with_people(own, people).dropna(subset="confidence"))
        st.markdown(f":gray[How sure it is and how often right: needs {LEAST_OF_BIN} answers of people, {answered} so far.]")
        return
    table = pd.DataFrame([{"sure": f"{one.sure:.0%}", "confirmed": words.share(one.confirmed)} for one in bins])
    ends = [f"{one.confirmed.value:.0%}" for one in (bins[0], bins[-1])]
    finding = f"People confirm {ends[0]} where it is least sure" + (f" and {ends[1]} where it is surest" if len(bins) > 1 else "")
    about = f"Both views; n = {sum(one.confirmed.n for one in bins):,}"
    widgets.chart("reliability", finding, judgecharts.reliability(bins), table, about)


def _bias(data: Dataset, names: dict[Key, str]) -> None:
    rater = _rater(names)
    st.markdown(
        "**How often it says High**  \n:gray[In thirds. A rise is a bias only where people's answers do not rise with it]"
    )
    rows = [
        {
            "by": one.by,
            "third": one.band,
            "view": one.view,
            "High": words.share(one.high),
            "relevant by people": words.share(one.relevant),
        }
        for one in _rates(data, rater)
    ]
    st.dataframe(pd.DataFrame(rows), hide_index=True, key="rates", height="content")
    st.caption(_people(data).rest)
    st.markdown("**How often a rating moves when the question is changed**  \n:gray[From what was asked again on Pair]")
    kept = state.store().counterfactuals(data.name)
    flips = counterfactuals.flips(kept[labels.of_rater(kept, pd.Series(rater, RATER))])
    told = {WORDS[change]: one for change, one in flips.items() if one.n}
    if flips[Change.REVERSED].value is None:
        st.markdown(":gray[Nobody has asked it yet with the history in the opposite order, so its flip rate cannot be told.]")
    if told:
        table = pd.DataFrame([{"changed": word, "rating moves": words.share(one)} for word, one in told.items()])
        st.dataframe(table, hide_index=True, key="flips", height="content")


def _reasons(data: Dataset, names: dict[Key, str]) -> None:
    rater = _rater(names)
    found = _phrases(data, rater)
    if max(found.needed):
        more = [f"{n} more {kind}" for n, kind in zip(found.needed, ("confirmed", "overridden"), strict=True) if n]
        st.markdown(
            f":gray[Phrases that come with good and with bad ratings: people have confirmed {found.n_confirmed} and overridden "
            f"{found.n_overridden} of its ratings; it takes {' and '.join(more)}.]"
        )
        return
    if not found.confirmed and not found.overridden:
        st.markdown(":gray[No phrase comes back often enough to be compared.]")
        return
    left, right = st.columns(2, gap="medium")
    for column, kind, rows in ((left, "confirmed", found.confirmed), (right, "overridden", found.overridden)):
        with column:
            st.markdown(f"**Phrases of ratings that people {'confirm' if kind == 'confirmed' else 'override'}**")
            st.dataframe(_phrase_table(rows), hide_index=True, key=f"phrases_{kind}", height="content")
    st.caption(
        f"{found.n_confirmed:,} confirmed and {found.n_overridden:,} overridden ratings. z is that of the log-odds ratio with a "
        f"prior; from about 2 on it is hardly chance, though of many phrases some reach it by chance. {_people(data).rest}"
    )


def _phrase_table(rows: list[Phrase]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"phrase": one.words, "confirmed": one.confirmed, "overridden": one.overridden, "z": f"{abs(one.z):.1f}"}
            for one in rows
        ],
        columns=["phrase", "confirmed", "overridden", "z"],
    )
