"""Long work as the app shows it: start, progress with the time left, stop, resume, failure; and the sign in the sidebar."""

from typing import Any

import streamlit as st

from app import navigation, results, state, states, widgets, words
from app.palette import KINDS
from core import jobs, runs
from core.runs import Run, State

PAGE_OF = {"train": "train", "candidates": "board", "judge": "board", "again": "pair", "project": "embeddings"}
PAIR = ("user", "item")
"""Settings of work on one pair, as the address has them."""
TICK_S = 1.0


def start(kind: str, dataset: str, settings: dict[str, Any]) -> Run:
    """Start a job; the sidebar and the pages follow it from its folder, so a reload loses nothing."""
    run = jobs.start(state.home(), kind, dataset, settings)
    state.flash(f"{KINDS[kind]} has started.", ":material/play_arrow:")
    return run


def panel(run: Run) -> None:
    """Status and controls of one run; refreshes itself while the run is at work."""
    st.fragment(_panel, run_every=TICK_S if run.state.active else None)(run.id, run.state.active)


def _panel(run_id: str, was_active: bool) -> None:
    with states.caught():
        run = runs.folder(state.home(), run_id).read()
        if was_active != run.state.active:  # it ended, or was resumed: begin or stop to refresh
            st.rerun()
        with st.container(border=True, key=f"job_{run.kind}"):
            _status(run)
            _controls(run)
            with st.expander("Log", icon=":material/terminal:"):
                st.code(runs.folder(state.home(), run.id).log_tail(), language=None, wrap_lines=True)


def _status(run: Run) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{KINDS[run.kind]}** · {widgets.plain(run.dataset)} · {words.when(run.created)}", width="content")
        widgets.state_badge(run)
    if run.state.active:
        st.progress(*progress_of(run))
        if told := _figures(run):
            st.caption(widgets.plain(told))
    elif run.state is State.FAILED:
        st.error(widgets.plain(run.error.get("error", "It failed without a message.")), icon=":material/error:")
        widgets.untrusted(run.error.get("hint", ""))
    elif run.state is State.INTERRUPTED:
        st.warning("Its process ended before it was done. Nothing that it had saved is lost.", icon=":material/bolt:")


def _figures(run: Run) -> str:
    """The figures of a judging at work (core.judges.runner), as far as there are any."""
    now = run.progress.detail
    if not now:
        return ""
    if now["asleep"]:
        return f"Waiting for the server, which is looked at every few seconds. Its last error: {now['last error']}"
    parts = [f"{now['a minute']:.0f} answers a minute", f"{now['requests at once']} at once"]
    if now["waiting for a slot"] is not None:
        parts.append(f"{now['waiting for a slot']:.0%} of the server's time is waiting (OLLAMA_NUM_PARALLEL)")
    if now["tokens read"]:
        reused = now["of those re-used"] / now["tokens read"]
        parts.append(f"{now['tokens read']:,} tokens read ({reused:.0%} re-used), {now['tokens written']:,} written")
    if now["cost"] is not None:
        parts.append(f"cost {now['cost']:,.2f}")
    parts += [f"{now['known']:,} known before", f"{now['failed']:,} failed"]
    return " · ".join(parts) + (f" · last error: {now['last error']}" if now["last error"] else "")


def _controls(run: Run) -> None:
    with st.container(horizontal=True):
        if not run.state.active:
            if run.state is not State.DONE and st.button("Resume", key=f"resume_{run.kind}", icon=":material/play_arrow:"):
                jobs.resume(state.home(), run.id)
                st.rerun()
            return
        stopping = run.state is State.STOPPING
        kept = "Ends after the present step and keeps what is done; it can be resumed."
        if st.button("Stop", key=f"stop_{run.kind}", icon=":material/stop:", disabled=stopping, help=kept):
            jobs.cancel(state.home(), run.id)
            st.rerun()
        if stopping and st.button("Stop at once", key=f"kill_{run.kind}", icon=":material/dangerous:"):
            jobs.cancel(state.home(), run.id, force=True)
            st.rerun()


def progress_of(run: Run) -> tuple[float, str]:
    """Share done in [0, 1], and a sentence for it."""
    now = run.progress
    if not now.total:
        return 0.0, "preparing" if run.state is State.RUNNING else now.phase or "starting"
    share = min(now.done / now.total, 1.0)
    counted = f"{now.phase} {now.done:,} of {now.total:,}"
    if run.kind == "train":
        counted = f"epoch {now.done:,} of at most {now.total:,}"
    left = f" · about {words.duration(now.eta_s)} left" if now.eta_s is not None else ""
    return share, counted + left


def pill() -> None:
    """What is at work now, on every page."""
    busy = [run.id for run in results.active_jobs()]
    if busy:
        st.fragment(_pill, run_every=2 * TICK_S)(busy)


def _pill(busy: list[str]) -> None:
    at_work = results.active_jobs()
    if [run.id for run in at_work] != busy:
        st.rerun()
    for run in at_work:
        share, text = progress_of(run)
        with st.container(border=True, key=f"pill_{run.kind}", gap="small"):
            label, about = f"{KINDS[run.kind]} {share:.0%}", {name: run.settings[name] for name in PAIR if name in run.settings}
            if run.kind == "train":
                about["show"] = run.id  # although it may end before the page is there
            navigation.link(PAGE_OF[run.kind], label, icon=":material/progress_activity:", dataset=run.dataset, **about)
            st.progress(share, text)
