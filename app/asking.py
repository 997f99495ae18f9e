"""Step 2 of the Judge page: who judges, whether that judge can work, what all of it would take, and the start."""

from typing import Any

import streamlit as st

from app import forms, lookup, results, state, states, widgets, words, work
from core.candidates import Candidates
from core.judges import JUDGES, Health
from core.judges.pulling import Pulling
from core.labels import SIMULATED
from core.records import Dataset
from core.runs import Run, State
from core.settings import JudgeSettings

BUILTIN, OLLAMA, REPLAY = "builtin", "ollama", "replay"
JUDGE_WORDS = {
    BUILTIN: "built-in rater (no language model)",
    OLLAMA: "Ollama: a language model on your machine",
    "openai": "OpenAI's API: vLLM, llama.cpp, LM Studio, OpenAI",
    REPLAY: "replay (nobody is asked: recorded judgments from a file)",
    SIMULATED: "simulation (no judge: known truth with planted errors)",
}
JUDGE_NOTES = {
    BUILTIN: "The built-in rater compares words, categories and text vectors. It is no language model, and says so everywhere.",
    REPLAY: "Each answer keeps the name of who gave it, and is marked as replayed. A pair that the file lacks stays unjudged.",
    SIMULATED: "A simulation for research: it reads the known truth, is wrong on the share of pairs that you choose, and says so "
    "in every answer. It shows what a judge of that quality would be worth.",
}
FIRST = ("judge", "url", "model", "file", "error", "error_seed", "limit")
APART = ("estimate",)
"""Settings that a button gives."""


def show(data: Dataset, found: Run | None) -> JudgeSettings | None:
    """The whole step; returns the settings once there is something to judge."""
    widgets.section("2 · Judge them")
    candidates = lookup.candidates(data)
    if found is None or candidates is None:
        st.markdown(":gray[Needs candidates.]")
        st.button("Judge candidates", key="judge_candidates", disabled=True, width="stretch")
        return None
    values = forms.settings_form(JudgeSettings, "judge", FIRST, choices={"judge": _judges(data)}, hidden=APART)
    with states.caught():
        settings = JudgeSettings.checked(**values)
        llm = JUDGES[settings.judge].is_llm
        ready = _health(data, settings) if llm else True
        if settings.judge in JUDGE_NOTES:
            st.caption(JUDGE_NOTES[settings.judge])
        kind = "primary" if not len(lookup.labels(data)) else "secondary"
        if _button("Judge candidates", "judge_candidates", ":material/gavel:", ready, kind):
            _start(data, values)
        if llm:
            _try_out(data, values, candidates, ready)
        return settings
    return None


def _judges(data: Dataset) -> dict[Any, str]:
    """Who can be asked about this dataset, the built-in rater first; a simulation only where the truth is known."""
    names = [name for name in JUDGES.names() if name != SIMULATED or data.train.truth is not None]
    return {name: JUDGE_WORDS.get(name, name) for name in sorted(names, key=lambda name: name != BUILTIN)}


def _health(data: Dataset, settings: JudgeSettings) -> bool:
    """Whether the judge can work now, what is known of it, and the way out when it cannot."""
    runs = results.runs_of(data.name, "judge")
    # a run that failed because the server has gone away does not stand beside "it is there"
    health = results.judge_health(settings.model_dump_json(), f"{runs[0].id} {runs[0].state}" if runs else "")
    if health.ok:
        st.success(widgets.plain(health.message), icon=":material/check_circle:")
        facts = [f"{name}: {told}" for name, told in health.facts.items() if told]
        if facts:
            st.caption(widgets.plain(" · ".join(facts)))
        return True
    st.warning(widgets.plain(health.message), icon=":material/cloud_off:")
    widgets.untrusted(health.hint)
    if settings.judge == OLLAMA and health.missing:
        _pull(settings, health)
    with st.container(horizontal=True):
        st.button("Check again", key="check_judge", icon=":material/refresh:", on_click=results.forget_judge_health)
        st.button("Use the built-in rater", key="use_builtin", on_click=_use_builtin)
    return False


def _pull(settings: JudgeSettings, health: Health) -> None:
    """Have the server fetch the model that it lacks. It goes on while the page is reloaded or left."""
    key = (settings.url, health.missing)
    pulling: Pulling | None = results.pulls().get(key)
    if pulling is not None and pulling.active:
        st.fragment(_pull_progress, run_every=1.0)(key)
        return
    if pulling is not None and pulling.error is not None:
        st.error(widgets.plain(str(pulling.error)), icon=":material/error:")
    if st.button(f"Pull {widgets.plain(health.missing)} onto the server", key="pull_model", icon=":material/download:"):
        results.pulls()[key] = Pulling(*key)
        st.rerun()


def _pull_progress(key: tuple[str | None, str]) -> None:
    pulling = results.pulls()[key]
    if not pulling.active:
        results.forget_judge_health()
        st.rerun()
    at = pulling.at
    told = (
        f"{widgets.plain(at.status)} · {at.done / 1e9:.2f} of {at.total / 1e9:.2f} GB" if at.total else widgets.plain(at.status)
    )
    st.progress(min(at.done / at.total, 1.0) if at.total else 0.0, told)
    st.button("Stop pulling", key="stop_pull", icon=":material/stop:", on_click=pulling.stop, help="What is loaded stays.")


def _use_builtin() -> None:
    st.session_state["judge_judge"] = BUILTIN


def _try_out(data: Dataset, values: dict[str, Any], candidates: Candidates, ready: bool) -> None:
    """One question to see an answer, and a few to see what all would take; both are real answers and are kept."""
    with st.container(horizontal=True):
        if _button("Try one pair", "judge_one", ":material/science:", ready):
            first = (data.user_ids[candidates.user[0]], data.item_ids[candidates.item[0]])
            _start(data, values | {"pairs": (first,)})
        if _button("Estimate", "judge_estimate", ":material/timer:", ready):
            _start(data, values | {"estimate": True})
    done = [run for run in results.runs_of(data.name, "judge") if run.state is State.DONE]
    own = [run for run in done if all(run.settings.get(name) == values[name] for name in ("judge", "model"))]
    tried = next((run for run in own if len(run.settings.get("pairs") or ()) == 1), None)
    if tried:
        st.caption(_tried(data, tried))
    estimated = next((run for run in own if run.result.get("estimate")), None)
    if estimated:
        st.caption(_estimated(estimated))


def _tried(data: Dataset, run: Run) -> str:
    user_id, item_id = run.settings["pairs"][0]
    rows = state.store().judgments(data.name, user_id, item_id, texts=False)
    rows = rows[(rows["judge"] == run.settings["judge"]) & (rows["model"] == run.settings["model"])]
    told = f"Tried {words.when(run.created)}: user {user_id}, item {item_id}"
    if run.result["unjudged"]:
        why = state.store().unanswered(data.name, user_id, item_id)["detail"].dropna()
        return widgets.plain(f"{told}: no valid answer in both views. " + (f"Last: {why.iloc[-1]}" if len(why) else ""))
    answers = ", ".join(f"{row.view} view {row.rating} in {row.seconds:.1f} s" for row in rows.itertuples())
    return widgets.plain(f"{told}: {answers}.")


def _estimated(run: Run) -> str:
    """What the open questions take, as `Estimate` of core.judges.runner tells it."""
    made = run.result["estimate"]
    span = f"{words.duration(made['low_s'])} to {words.duration(made['high_s'])}"
    text = f"Estimate of {words.when(run.created)}: {made['questions']:,} open questions take {span} with one request at a time"
    text += f", read {made['tokens_in']:,.0f} and write {made['tokens_out']:,.0f} tokens"
    text += f", and cost {made['cost']:,.2f}" if made["cost"] is not None else ""
    return widgets.plain(f"{text}. A server that works on several at once is that much faster.")


def _button(label: str, key: str, icon: str, ready: bool, kind: Any = "secondary") -> bool:
    return st.button(label, key=key, type=kind, icon=icon, width="stretch", disabled=not ready)


def _start(data: Dataset, values: dict[str, Any]) -> None:
    work.start("judge", data.name, values)
    st.rerun()
