"""The pages, in the order of the loop, and links to them that carry dataset and run, so that every address can be shared."""

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
    help: str


PAGES: dict[str, Entry] = {
    "home": Entry("Home", ":material/home:", "Start", "Where you are in the loop, and what comes next"),
    "explore": Entry("Explore", ":material/explore:", "Data", "Health of the dataset; its users, items and interactions"),
    "pair": Entry("Pair", ":material/compare_arrows:", "Data", "Everything about one user and one item; decide what it is"),
    "train": Entry("Train", ":material/model_training:", "Model", "Train a recommender and watch it"),
    "losses": Entry("Losses", ":material/ssid_chart:", "Model", "What the recorded losses say about noise"),
    "board": Entry("Judge", ":material/gavel:", "Audit", "Find doubtful pairs, have them judged, freeze the labels"),
    "compare": Entry("Compare", ":material/difference:", "Audit", "Two trainings side by side on the same test users"),
}


def page(name: str) -> StreamlitPage:
    """The page with this file name."""
    entry = PAGES[name]
    return st.Page(ROOT / "pages" / f"{name}.py", title=entry.title, icon=entry.icon, url_path=name, default=name == "home")


def link(name: str, label: str | None = None, *, icon: str | None = None, **params: str) -> None:
    """A link to a page in the present context."""
    entry = PAGES[name]
    st.page_link(
        page(name), label=label or entry.title, icon=icon or entry.icon, help=entry.help, query_params=state.context() | params
    )


def go(name: str, **params: str) -> None:
    """Open a page in the present context."""
    st.switch_page(page(name), query_params=state.context() | params)


def menu() -> None:
    """The sidebar's list of pages, in groups."""
    group = ""
    with st.container(key="menu", gap=None):
        for name, entry in PAGES.items():
            if entry.group != group:
                group = entry.group
                st.caption(group)
            link(name)
