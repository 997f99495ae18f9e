"""What pages are put together from: titles, texts, badges, and charts with their table. States of a page: app.states."""

import re
from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from app import navigation
from app.palette import LABELS, RATINGS, SOURCES, STATES
from core.compare import Delta
from core.records import Label, Source
from core.runs import Run

_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~$:&@/])")
_LINKED = re.compile(r"(?<=http)(?=s?://)|(?<=www)(?=\.)|(?=@)", re.IGNORECASE)
"""Where the browser's markdown finds an address in text, escaped or not; a word joiner there shows nothing and ends that."""


def plain(text: object) -> str:
    """Text from data or people, made harmless where only markdown is taken (labels of links, badges and tabs)."""
    return _MARKDOWN.sub(r"\\\1", _LINKED.sub("\u2060", " ".join(str(text).split())))


def title(text: str, lead: str) -> None:
    """A page's heading and the one sentence that says what it is for."""
    st.title(text, anchor=False)
    st.markdown(f":gray[{lead}]")


def section(text: str, lead: str = "") -> None:
    st.header(text, anchor=False)  # right below the title for those who hear the page by its headings
    if lead:
        st.markdown(f":gray[{lead}]")


def untrusted(text: str, empty: str = "") -> None:
    """Text from data, a person or a judge, exactly as it is: no markdown, no HTML, no images."""
    if text:
        st.text(text)
    elif empty:
        st.markdown(f":gray[{empty}]")


def categories(text: object) -> str:
    """An item's categories, which data part by bars, as people read them."""
    return str(text).replace("|", " · ")


# --- small signs ------------------------------------------------------------------------------------------------------


def label_badge(code: int, source: int | None = None) -> None:
    """A label with its symbol; the source is in words, and a person's label carries a ring."""
    look = LABELS[Label(code)]
    by = f" · {SOURCES[Source(source)]}" if source else ""
    ring = "◉ " if source == Source.HUMAN else ""
    st.badge(f"{ring}{look.sign} {look.word}{by}", color=look.tone, help=look.means)


def rating_badge(rating: str | None) -> None:
    if rating in RATINGS:
        sign, means = RATINGS[rating]
        st.badge(f"{sign} {rating}", color="primary" if rating == "High" else "gray", help=means)
    else:
        st.badge("○ not rated", color="gray", help="This view has no answer yet.")


def state_badge(run: Run) -> None:
    word, tone, icon = STATES[run.state]
    st.badge(word, icon=icon, color=tone)


def legend() -> None:
    """What every label means, for people who meet the words for the first time."""
    with st.popover("What the labels mean", icon=":material/help:", type="tertiary"):
        for look in LABELS.values():
            st.markdown(f":{look.tone}[**{look.sign} {look.word}**]  \n{look.means}")


def note(text: str, icon: str = ":material/info:") -> None:
    st.info(text, icon=icon)


def next_step(text: str, page: str | None, label: str = "", **params: str) -> None:
    """What comes next in the loop; the last thing on every page. No link when it is done on this very page."""
    with st.container(border=True, horizontal=True, vertical_alignment="center", key="next_step"):
        st.markdown(f"**Next** · {text}", width="content")
        if page:
            navigation.link(page, label, icon=":material/arrow_forward:", **params)


# --- charts and tables ------------------------------------------------------------------------------------------------


def chart(key: str, finding: str, figure: go.Figure, table: pd.DataFrame, about: str = "") -> None:
    """A figure under the sentence that it shows, with the same numbers as a table."""
    with st.container(border=True, key=f"chart_{key}", gap="small"):
        st.markdown(f"**{finding}**" + (f"  \n:gray[{about}]" if about else ""))
        st.plotly_chart(figure, key=key, alt=f"{finding} {about}".strip(), config={"displaylogo": False})
        with st.popover("Show as table", type="tertiary", icon=":material/table:"):
            st.dataframe(table, hide_index=True, height=320)


def delta_table(named: dict[str, Delta], first: str, a: str = "A", b: str = "B") -> pd.DataFrame:
    """Paired differences, one line each; `first` heads the names."""
    return pd.DataFrame(
        [
            {
                first: name,
                a: delta.a,
                b: delta.b,
                "change": delta.delta,
                "from": delta.low,
                "to": delta.high,
                "interval leaves out 0": delta.clear,
            }
            for name, delta in named.items()
        ]
    )


def tiles(values: Sequence[tuple[str, str, str]]) -> None:
    """Numbers in a row: (name, value, what it means)."""
    with st.grid(columns=len(values), min_column_width=160, gap="small"):
        for name, value, meaning in values:
            st.metric(name, value, help=meaning or None, border=True)


def pages_of(n: int, size: int, key: str) -> slice:
    """The rows of the page that is turned to."""
    count = max((n + size - 1) // size, 1)
    page = st.pagination(count, key=key) if count > 1 else 1
    start = (page - 1) * size
    return slice(start, min(start + size, n))
