"""The pages, in the order of the loop, and links to them that carry dataset, run and filters: every address can be shared."""

from dataclasses import dataclass

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from app import state
from core.artifacts import ROOT


@dataclass(frozen=True)
class Entry:
    """One page in the menu."""

    title: str
    icon: str
    group: str


PAGES: dict[str, Entry] = {
    "home": Entry("Home", ":material/home:", "Start"),
    "explore": Entry("Explore", ":material/explore:", "Data"),
    "pair": Entry("Pair", ":material/person_search:", "Data"),
    "files": Entry("Files", ":material/folder_zip:", "Data"),
    "train": Entry("Train", ":material/model_training:", "Model"),
    "losses": Entry("Losses", ":material/ssid_chart:", "Model"),
    "embeddings": Entry("Embeddings", ":material/scatter_plot:", "Model"),
    "method": Entry("Method", ":material/function:", "Model"),
    "board": Entry("Judge", ":material/gavel:", "Audit"),
    "review": Entry("Review", ":material/rate_review:", "Audit"),
    "preview": Entry("Preview", ":material/preview:", "Audit"),
    "compare": Entry("Compare", ":material/difference:", "Audit"),
}


def page(name: str) -> StreamlitPage:
    """The page with this file name."""
    entry = PAGES[name]
    return st.Page(ROOT / "pages" / f"{name}.py", title=entry.title, icon=entry.icon, url_path=name, default=name == "home")


def link(name: str, label: str | None = None, *, icon: str | None = None, **params: str) -> None:
    """A link to a page in the present context."""
    entry = PAGES[name]
    st.page_link(page(name), label=label or entry.title, icon=icon or entry.icon, query_params=_address(params))


def _address(params: dict[str, str]) -> dict[str, str]:
    """The context and what a link adds to it. The training stays behind when the link leads to another dataset, and filters
    do there and when it has its own."""
    here = state.context()
    elsewhere = params.get("dataset", here.get("dataset")) != here.get("dataset")
    if elsewhere:
        here.pop("run", None)
    if elsewhere or any(map(state.of_filter, params)):
        here = {name: value for name, value in here.items() if not state.of_filter(name)}
    blind = {state.BLIND: "true"} if st.session_state.get(state.BLIND) else {}
    return here | blind | params


def go(name: str, **params: str) -> None:
    """Open a page in the present context."""
    st.switch_page(page(name), query_params=_address(params))


def menu() -> None:
    """The sidebar's list of pages, in groups."""
    group = ""
    with st.container(key="menu", gap=None):
        for name, entry in PAGES.items():
            if entry.group != group:
                group = entry.group
                st.caption(group)
            link(name, **(state.last_pair() if name == "pair" else {}))
