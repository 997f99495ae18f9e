"""The context bar: which dataset, which training, and who is deciding. Everything below the sidebar refers to it."""

from urllib.parse import unquote

import streamlit as st

from app import lookup, results, state, widgets, words
from core.artifacts import login_name

_remember = st.components.v2.component(
    "winnow_name",
    js=f"""export default function ({{ data }}) {{
      document.cookie = `{state.NAME_COOKIE}=${{encodeURIComponent(data)}}; path=/; max-age=31536000; samesite=lax`;
    }}""",
)


def choose() -> None:
    """Dataset, training and annotator; the first two are in every address."""
    names = [info.name for info in lookup.infos()]
    _complain("dataset", state.keep_valid(state.DATASET, names))
    if names:
        st.selectbox("Dataset", names, key=state.DATASET, on_change=_other_dataset)
    trainings = {run.id: run for run in results.trained(state.dataset_name())}
    _complain("finished training", state.keep_valid(state.RUN, list(trainings)))
    if trainings:
        labels = words.told_apart({run_id: words.run_label(run) for run_id, run in trainings.items()})
        st.selectbox(
            "Training",
            list(labels),
            format_func=labels.__getitem__,
            key=state.RUN,
            help="The finished training that Losses, Pair and Judge look at; the newest is first.",
        )
    named = st.context.cookies.get(state.NAME_COOKIE)
    st.session_state.setdefault(state.ANNOTATOR, unquote(named) if isinstance(named, str) else login_name())
    st.text_input(
        "Your name",
        key=state.ANNOTATOR,
        max_chars=60,
        help="Stands beside every decision that you take.",
        persist_state="session",
    )
    if state.annotator():
        _remember(key="name_cookie", data=state.annotator())  # shows nothing


def _other_dataset() -> None:
    """The old trainings, filters and lists of pairs belong to the old dataset."""
    st.session_state[state.RUN] = None
    st.session_state[state.FILTERS] = {}
    for key in ("a", "b"):
        st.query_params.pop(key, None)
    st.session_state.pop(state.LISTS, None)


def _complain(what: str, wanted: str | None) -> None:
    if wanted:
        st.warning(
            f"There is no {what} {widgets.plain(wanted)} here; the first one is shown instead.", icon=":material/link_off:"
        )
