"""The app: `streamlit run app/main.py` from the repository root."""

import logging
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))  # Streamlit puts only app/ there, and the packages lie beside it

import streamlit as st  # noqa: E402

from app import context, navigation, state, states, work  # noqa: E402
from core.errors import WinnowError  # noqa: E402

st.set_page_config(page_title="Winnow", page_icon=str(ROOT / "app" / "icon.svg"), layout="wide")
st.html(ROOT / "app" / "style.css")

page = st.navigation([navigation.page(name) for name in navigation.PAGES], position="hidden")
try:
    state.read_address()
    st.logo(ROOT / "app" / "logo.svg", size="large")
    with st.sidebar:
        navigation.menu()
        work.pill()
        context.choose()
    state.write_address()
    state.show_flashes()
    page.run()
except WinnowError as error:
    states.failure(error)
except Exception:
    logging.getLogger("winnow").exception("page %s failed", page.title)
    states.crash(page.title)
