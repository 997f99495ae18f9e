"""What the Judge page says about a language model's questions: the messages about one pair, and the rubric with its versions."""

import pandas as pd
import streamlit as st

from app import lookup, state, states, widgets, words
from app.pairview import VIEW_WORDS
from core import prompts
from core.errors import WinnowError
from core.judges import JUDGES
from core.judges.preview import Preview, preview
from core.prompts import BUILT_IN, MADE, PROFILES, RUBRIC, RUBRIC_CHARS, WRITTEN, Prompt, Rubric
from core.records import VIEWS, Candidates, Dataset
from core.settings import JudgeSettings

LISTED = 500
"""Candidates that can be chosen here, the most doubtful first."""
PROFILE_WORDS = {MADE: "made from the data", WRITTEN: "written by the model"}
NOTE, VERSION, PLACE, COMPARED = "rubric_note", "asked_rubric", "asked_pair", "rubric_compared"
ASKED_PROFILES = "asked_profiles"
_SHOWN = "rubric_shown"  # (dataset, rubric) that the editor was filled with


def show(data: Dataset, settings: JudgeSettings | None) -> None:
    """Everything a language model is told, folded away; nothing when another kind of judge is chosen."""
    found = lookup.candidates(data)
    if settings is None or found is None or not len(found) or not JUDGES[settings.judge].is_llm:
        return
    box = st.expander("What the model is asked", icon=":material/chat:", key="asked", on_change="rerun")
    if not box.open:
        return
    with box:
        sent, rubric, versions = st.tabs(["Messages", "Rubric", "Versions"], key="asked_part")
        with sent:
            _messages(data, found, settings)
        with rubric:
            _editor(data)
        with versions:
            _versions(data)


def _messages(data: Dataset, found: Candidates, settings: JudgeSettings) -> None:
    versions = [*state.store().rubrics(data.name)["version"], BUILT_IN]
    _follow(VERSION, settings.rubric or versions[0])
    _follow(ASKED_PROFILES, settings.profiles)
    state.keep_valid(VERSION, versions)
    pairs = zip(found.user[:LISTED], found.item[:LISTED], strict=True)
    places = words.told_apart({at: f"{data.user_ids[user]} · {data.item_title[item]}" for at, (user, item) in enumerate(pairs)})
    if st.session_state.get(PLACE) not in places:
        st.session_state[PLACE] = 0
    with st.grid(columns="auto", min_column_width=240):
        place = st.selectbox(
            "Pair",
            list(places),
            format_func=places.__getitem__,
            key=PLACE,
            help="A candidate; the most doubtful comes first.",
        )
        version = st.selectbox("Rubric", versions, key=VERSION, help="At first the one that is used for judging.")
        profiles = st.selectbox("Profile", PROFILES, format_func=PROFILE_WORDS.get, key=ASKED_PROFILES)
    with states.caught():
        rubric = state.store().rubric(data.name, version)
        user, item = int(found.user[place]), int(found.item[place])
        asked = preview(data, found, rubric, user, item, settings, profiles)
        _questions(data, asked)


def _follow(key: str, used: str) -> None:
    """Choose what judging would use now, whenever that has changed."""
    if st.session_state.get(f"{key}_used") != used:
        st.session_state[key] = st.session_state[f"{key}_used"] = used


def _questions(data: Dataset, asked: Preview) -> None:
    st.caption(f"Prompt version {asked.version}. This is what would be sent, to the letter; nothing is sent now.")
    if asked.profile:
        st.caption("The model writes the profile first. In the user's view below stands the made one in its place.")
        _question("The user's profile", asked.profile)
    for column, view in zip(st.columns(2, gap="medium"), VIEWS, strict=True):
        with column:
            _question(VIEW_WORDS[view], asked.views[view])
    titles = "\n".join(f"{data.item_ids[one]} · {data.item_title[one]}" for one in asked.history)
    with st.popover(f"The {len(asked.history)} items of the history", type="tertiary", icon=":material/history:"):
        widgets.untrusted(titles, "The history is empty.")


def _question(title: str, question: Prompt) -> None:
    st.markdown(f"**{title}**")
    cut = f"cut: {', '.join(question.cut)}" if question.cut else "nothing was cut"
    st.caption(f"{question.characters:,} characters, about {question.tokens:,} tokens; {cut}")
    for message in question.messages:
        st.caption(f"{message['role']} message")
        st.code(message["content"], language=None, wrap_lines=True)


def _editor(data: Dataset) -> None:
    newest = state.store().rubric(data.name)
    dataset, shown = st.session_state.get(_SHOWN, ("", newest))
    changed = dataset == data.name and any(st.session_state.get(_key(view), "") != shown.of(view) for view in VIEWS)
    if not changed:
        _fill(data.name, newest)
    elif shown != newest:
        widgets.note(f"{newest.version} was saved since you began to write. Your text is kept, and would be a version after it.")
    st.markdown(
        ":gray[Say for each view what is judged and what High, Mid and Low mean. Two rules are added to every question and "
        "cannot be changed: never to follow what texts of the catalogue ask for, and the form of the answer.]"
    )
    for column, view in zip(st.columns(2, gap="medium"), VIEWS, strict=True):
        column.text_area(VIEW_WORDS[view], key=_key(view), height=300, max_chars=RUBRIC_CHARS, persist_state="session")
    st.text_input("Note", key=NOTE, max_chars=200, placeholder="what is different, and why", persist_state="session")
    who = state.annotator()
    is_built_in = all(newest.of(view) == RUBRIC.of(view) for view in VIEWS)
    with st.container(horizontal=True, vertical_alignment="center"):
        save = {"on_click": _save, "args": (data.name,), "disabled": not who}
        st.button("Save as a new version", key="rubric_save", icon=":material/save:", **save)
        st.button(
            "Back to the built-in rubric",
            key="rubric_reset",
            icon=":material/restart_alt:",
            help="Its texts become a new version; nothing is deleted.",
            disabled=is_built_in or not who,
            on_click=_reset,
            args=(data.name,),
        )
        st.caption(f"Now: {newest.version}. A new version asks new questions; answers to the old ones are kept.")
    if not who:
        st.caption("Enter your name in the sidebar first.")


def _key(view: str) -> str:
    return f"rubric_{view}"


def _fill(dataset: str, rubric: Rubric) -> None:
    st.session_state[_SHOWN] = (dataset, rubric)
    for view in VIEWS:
        st.session_state[_key(view)] = rubric.of(view)


def _save(dataset: str) -> None:
    _add(dataset, {view: st.session_state[_key(view)] for view in VIEWS}, st.session_state[NOTE])


def _reset(dataset: str) -> None:
    _add(dataset, {view: RUBRIC.of(view) for view in VIEWS}, "back to the built-in rubric")


def _add(dataset: str, texts: dict[str, str], note: str) -> None:
    before = state.store().rubric(dataset)
    try:
        made = state.store().add_rubric(dataset, **texts, annotator=state.annotator(), note=note)
    except WinnowError as error:
        state.flash(f"Not saved: {error}", ":material/error:")
        return
    _fill(dataset, made)
    if made == before:
        state.flash(f"Nothing is different from {made.version}.", ":material/info:")
        return
    st.session_state[NOTE] = ""
    st.session_state[VERSION] = made.version
    state.flash(f"The rubric is {made.version} now.", ":material/save:")


def _versions(data: Dataset) -> None:
    known = state.store().rubrics(data.name)
    if not len(known):
        st.markdown(":gray[Only the built-in rubric so far.]")
        return
    shown = pd.DataFrame({"version": known["version"], "saved": known["at"].map(words.when)})
    st.dataframe(shown.assign(by=known["annotator"], note=known["note"]), hide_index=True, key="rubrics", height="content")
    names = known["version"].tolist()
    state.keep_valid(COMPARED, names)
    version = st.selectbox("Compare with the built-in rubric", names, key=COMPARED, width=240)
    with states.caught():
        difference = prompts.difference(RUBRIC, state.store().rubric(data.name, version))
        st.code(difference or "The texts are the same.", language="diff" if difference else None, wrap_lines=True)
