"""The states of a page beside its content, one helper each: empty, loading, partial, stale, conflict, error."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

import streamlit as st

from app import lookup, navigation, results, state, widgets
from core.errors import WinnowError
from core.records import Dataset
from core.runs import Run

# --- empty: what would be here, why it is not, and the one action that changes that --------------------------------------


def empty(text: str, why: str, icon: str = ":material/inbox:") -> st.delta_generator.DeltaGenerator:
    """What would be here, and why it is not; the caller adds the one action into the returned box."""
    box = st.container(border=True, horizontal_alignment="center", gap="small")
    box.space("small")
    box.markdown(f"## {icon} {text}", text_alignment="center")
    box.markdown(f":gray[{why}]", text_alignment="center")
    return box


def need_dataset() -> Dataset:
    """The dataset of the context, or an empty state that says how to get one."""
    data = lookup.dataset()
    if data is None:
        with empty("No dataset yet", "This page shows one dataset. Load the demo or import your own on Home."):
            navigation.link("home", "Go to Home")
        st.stop()
    return data


def need_training(data: Dataset) -> Run:
    """The training of the context, or an empty state that says how to get one."""
    found = next((run for run in results.trained(data.name) if run.id == state.run_id()), None)
    if found is None:
        with empty("No finished training yet", "A training records the loss of every interaction; this page reads it."):
            navigation.link("train", "Train a model")
        st.stop()
    return found


# --- loading ----------------------------------------------------------------------------------------------------------


def loading(text: str) -> AbstractContextManager[None]:
    """What is being computed, and for how long already."""
    return st.spinner(text, show_time=True)


# --- partial: something is missing, and what is there is shown --------------------------------------------------------


def partial(done: int, total: int, what: str, rest: str) -> None:
    """How much of `what` there is, and what holds for the `rest`; nothing when all is there."""
    if done < total:
        share = min(int(100 * done / total), 99)  # never "100 %" of less than all
        st.info(f"{share} % {what} ({done:,} of {total:,}). {rest}", icon=":material/data_usage:")


# --- stale: shown as it was, and what has changed since ---------------------------------------------------------------


def stale(data: Dataset, run: Run) -> None:
    """What has changed since a training: the dataset was imported anew, or the labels it was trained with are others by now."""
    if run.dataset_fingerprint != data.fingerprint:
        st.warning(
            "This training was made from an earlier import of the dataset; its pairs may differ.", icon=":material/history:"
        )
    version = run.settings.get("labels")
    known = version in set(lookup.versions(data.name)["version"])
    if known and (changed := lookup.changed_since(data, version)):
        st.badge(
            f"{changed:,} label{'s' if changed > 1 else ''} changed since {version}",
            icon=":material/history:",
            color="orange",
            help=f"This was trained with the labels of {version}. Preview shows what the changes would do; freeze the labels as "
            "they stand and train again to have them in.",
        )


# --- conflict: two people, or two windows, said different things; both are kept ---------------------------------------


def conflict(texts: Sequence[str], seen: Callable[[], None] | None = None) -> None:
    """Who said what against whom, and what counts now. With `seen`, a button that puts it away."""
    for text in texts:
        st.warning(widgets.plain(text), icon=":material/group:")
    if texts and seen:
        st.button("Understood", key="notices_seen", on_click=seen)


# --- error: what failed, what still works, what to do -----------------------------------------------------------------


@contextmanager
def caught() -> Iterator[None]:
    """Show an expected error in place, in words, and let the rest of the page go on."""
    try:
        yield
    except WinnowError as error:
        failure(error)


def failure(error: WinnowError) -> None:
    st.error(widgets.plain(error.message), icon=":material/error:")
    if error.hint:
        widgets.untrusted(error.hint)


def crash(page: str) -> None:
    """A fault of ours: what still works, and where the details are."""
    st.error(f"Something went wrong on {page}. This is a fault of Winnow, not of your data.", icon=":material/bug_report:")
    widgets.untrusted(
        "Your data, labels and trainings are safe. Reload the page or go to another one; the details are in the server's log."
    )
