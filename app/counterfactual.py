"""The Pair page's question "would it still say so?": a judge is asked again with something changed, and what came of it."""

import pandas as pd
import streamlit as st

from app import lookup, results, state, states, widgets, words, work
from app.pairview import Pair
from core import browse, counterfactuals
from core.counterfactuals import WORDS
from core.judges import JUDGES, asked
from core.records import Candidates, Dataset
from core.runs import Run, State
from core.settings import AgainSettings
from core.store.counterfactuals import Change

RATER, WITHOUT, SEEDS = "again_rater", "again_without", "again_seeds"
CHECKS = {Change.REVERSED: "again_reversed", Change.TITLE: "again_title"}
"""Session keys of the section's widgets."""


def show(data: Dataset, pair: Pair) -> None:
    """The whole section; nothing while no judge has answered."""
    answers = state.store().judgments(data.name, pair.user_id, pair.item_id)
    if not len(answers):
        return
    widgets.section(
        "Would it still say so?",
        "Ask the judge again with one thing changed. Its answers are kept; they are no judgments and change no label.",
    )
    with states.caught():
        chosen = _rater(answers)
        candidates = lookup.candidates(data)
        if candidates is None:
            st.markdown(":gray[Needs the candidates that the judge was asked about, and there are none of these data now.]")
        elif _can(chosen):
            _form(data, pair, chosen, candidates)
        _at_work(data, pair)
        _answers(data, pair, chosen)


def _rater(answers: pd.DataFrame) -> pd.DataFrame:
    """The answers of one judge and model, at first those that count."""
    who = answers["judge"] + "\x00" + answers["model"]
    counts = browse.ratings(answers).iloc[0]["rater"]
    order = (answers["is_llm"] & (answers["model"] == counts)) | (~answers["is_llm"] & (answers["judge"] == counts))
    names = list(dict.fromkeys([*who[order], *who]))
    state.keep_valid(RATER, names)
    if len(names) > 1:
        labels = words.told_apart({name: name.split("\x00")[1] for name in names})
        st.selectbox("Who is asked", names, format_func=labels.__getitem__, key=RATER, width=320)
    return answers[who == st.session_state[RATER]]


def _can(answers: pd.DataFrame) -> bool:
    """Whether this judge can be asked again at all; says what of it makes no sense."""
    judge = answers["judge"].iloc[0]
    if judge not in JUDGES.names():
        st.markdown(f":gray[{widgets.plain(judge)} cannot be asked from here.]")
        return False
    pointless = JUDGES[judge].pointless
    reasons: dict[str, list[str]] = {}
    for change, why in pointless.items():
        reasons.setdefault(why, []).append(WORDS[change])
    for why, changes in reasons.items():
        st.caption(widgets.plain(f"Makes no sense with {answers['model'].iloc[0]}: {', '.join(changes)}; {why}."))
    return len(pointless) < len(Change) - 1


def _form(data: Dataset, pair: Pair, answers: pd.DataFrame, candidates: Candidates) -> None:
    judge = JUDGES[answers["judge"].iloc[0]]
    values = asked.settings_of(state.home(), data.name, answers.iloc[-1])
    settings = AgainSettings.checked(**values, user=pair.user_id, item=pair.item_id, annotator=state.annotator())
    past = asked.history(data, candidates, settings, pair.user, pair.item)
    likely = asked.likeliest(data, past, answers)
    with st.form("again", border=True):
        left_out = []
        if past:
            left_out = st.multiselect(
                "Leave out of the history",
                past,
                default=likely,
                format_func=words.told_apart({item: str(data.item_title[item]) for item in past}).__getitem__,
                key=f"{WITHOUT}:{pair.user_id}:{pair.item_id}:{answers['judge'].iloc[0]}",
                help="All of these at once. At first the one that the judge's reasons name most.",
            )
        checks, seeds = {}, 0
        with st.container(horizontal=True, vertical_alignment="center"):
            for change, key in CHECKS.items():
                if change not in judge.pointless:
                    checks[change] = st.checkbox(WORDS[change].capitalize(), value=True, key=key, width="content")
            if Change.SEED not in judge.pointless:
                about = AgainSettings.model_fields["seeds"].description
                seeds = st.number_input("Other seeds", 0, 20, 1, key=SEEDS, width=140, help=about)
            pressed = st.form_submit_button("Ask again", key="again_ask", icon=":material/replay:")
        st.caption("One question a view and change; what was asked before is not asked again.")
    if not pressed:
        return
    wanted = {"without": tuple(data.item_ids[left_out]), "seeds": seeds}
    wanted |= {"reverse": checks.get(Change.REVERSED, False), "title_only": checks.get(Change.TITLE, False)}
    if not any(wanted.values()):
        widgets.note("Choose at least one thing to change.")
        return
    work.start("again", data.name, settings.model_copy(update=wanted).model_dump())
    st.rerun()


def _at_work(data: Dataset, pair: Pair) -> None:
    """The newest asking about this pair, while it is at work or when something is left of it to say."""
    own = (run for run in results.runs_of(data.name, "again") if _about(run, pair))
    run = next(own, None)
    if run is None:
        return
    if run.state is not State.DONE:
        work.panel(run)
        return
    if failed := run.result["failed"]:
        widgets.note(widgets.plain(f"{failed} questions got no valid answer: {run.result['last_error']}"), ":material/error:")
    for view, change in run.result["unread"]:
        st.caption(f"Not asked in the {view} view: {WORDS[Change(change)]}. Its question is the same.")


def _about(run: Run, pair: Pair) -> bool:
    return (run.settings["user"], run.settings["item"]) == (pair.user_id, pair.item_id)


def _answers(data: Dataset, pair: Pair, answers: pd.DataFrame) -> None:
    """What came of it: a sentence for each change, and every answer."""
    rows = state.store().counterfactuals(data.name, pair.user_id, pair.item_id)
    rows = rows[rows["of_key"].isin(answers["key"])]
    if not len(rows):
        st.markdown(":gray[Nothing has been tried with this judge yet.]")
        return
    for finding in counterfactuals.findings(data, rows):
        icon = ":orange[:material/swap_vert:]" if finding.moved else ":gray[:material/drag_handle:]"
        st.markdown(f"{icon} {widgets.plain(finding.sentence)}")
    what = [
        (f"without {without}" if without else WORDS[Change(change)]) + (f" ({number})" if number else "")
        for change, without, number in zip(rows["change"], counterfactuals.left_out(data, rows), rows["number"], strict=True)
    ]
    table = pd.DataFrame(
        {
            "changed": what,
            "view": rows["view"].to_numpy(),
            "rating": [f"{one} → {other}" for one, other in zip(rows["before"], rows["rating"], strict=True)],
            "reasons": rows["analysis"].to_numpy(),
            "model": rows["model"].to_numpy(),
            "weights": rows["digest"].str[:12].to_numpy(),
            "asked by": rows["annotator"].to_numpy(),
            "at": rows["at"].map(words.when).to_numpy(),
        }
    )
    st.dataframe(table, hide_index=True, key="again_answers", height="content")
    with st.popover("What was asked", type="tertiary", icon=":material/forum:"):
        labels = words.told_apart({place: f"{what[place]}, {view} view" for place, view in enumerate(rows["view"])})
        place = st.selectbox("Question", list(labels), format_func=labels.__getitem__)
        st.code(rows["prompt"].iloc[place], language="json", wrap_lines=True)
        st.code(rows["raw"].iloc[place], language=None, wrap_lines=True)
