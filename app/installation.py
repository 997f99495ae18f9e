"""What is installed, reachable and writable here, and what takes the space: for a report when something does not work."""

import json
from dataclasses import asdict

import pandas as pd
import streamlit as st

from app import state, states, widgets
from core import doctor
from core.settings import JudgeSettings

_FOUND = "installation"


def show() -> None:
    """The checks of `python -m core doctor`, when somebody asks for them."""
    with st.expander("This installation", icon=":material/build_circle:", key="installation_box"):
        st.caption("What is installed, which device trains, where data are kept, whether an Ollama server is there.")
        if st.button("Check now", key="installation_check", icon=":material/checklist:"):
            with states.caught(), states.loading("Looking at packages, database, encoder and server"):
                st.session_state[_FOUND] = doctor.examine(state.home(), JudgeSettings())
        if (found := st.session_state.get(_FOUND)) is not None:
            _checks(found)


def _checks(found: list[doctor.Check]) -> None:
    rows = [
        {"what": check.name, "state": "✓" if check.ok else "✗" if check.needed else "–", "found": check.detail} for check in found
    ]
    widths = {"what": st.column_config.Column(width=140), "state": st.column_config.Column(width=50)}
    st.dataframe(pd.DataFrame(rows), hide_index=True, key="installation_checks", height="content", column_config=widths)
    st.caption("✓ is there · ✗ is missing and needed · – is missing, and Winnow works without it")
    for check in found:
        if check.hint:
            widgets.untrusted(f"{check.name}: {check.hint}")
    st.download_button(
        "Download as a report",
        json.dumps([asdict(check) for check in found], indent=2, ensure_ascii=False),
        "winnow-installation.json",
        "application/json",
        key="installation_report",
        icon=":material/download:",
        on_click="ignore",
        help="To go with a report of a fault. It has no data in it, only what the table says.",
    )
