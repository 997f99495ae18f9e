"""One judgment as the Pair page shows it: rating, reasons with what they rest on, how sure and how steady, what was asked."""

import html
import json

import pandas as pd
import streamlit as st

from app import state, widgets, words
from core import evidence
from core.errors import BadAnswer
from core.evidence import Ground, Span
from core.store import PROBE

GROUND_WORDS = {
    Ground.BOTH: "in both texts",
    Ground.PERSON: "in what is known of the person",
    Ground.ITEM: "in the item's text",
    Ground.NOWHERE: "in no text that the judge was shown",
}


def show(row: pd.Series) -> None:
    """What one view says."""
    try:
        texts = evidence.shown(row["prompt"])
    except BadAnswer:  # the built-in rater and simulations are shown no texts
        widgets.untrusted(row["analysis"])
    else:
        spans = evidence.grounds(row["analysis"], texts)
        _marked(row["analysis"], spans)
        _legend(spans)
        with st.expander("The texts that it read", icon=":material/find_in_page:"):
            for title, text in (("About the person", texts.person), ("About the item", texts.item)):
                st.caption(title)
                _marked(text, evidence.marks(text, row["analysis"], spans))
    _how_sure(row)
    with st.expander("What was asked and answered", icon=":material/forum:"):
        _asked(row)


def _marked(text: str, spans: list[Span]) -> None:
    """Text of data or models with pieces marked. Every character of it is escaped: nothing in it is markup."""
    parts, at = [], 0
    for span in spans:
        meaning = GROUND_WORDS[span.ground]
        parts.append(html.escape(text[at : span.start]))
        parts.append(f'<mark class="ground-{span.ground}" title="{meaning}">{html.escape(text[span.start : span.end])}</mark>')
        at = span.end
    parts.append(html.escape(text[at:]))
    st.html(f'<div class="judged">{"".join(parts)}</div>')


def _legend(spans: list[Span]) -> None:
    """What the marks mean, of the kinds that are there; a claim without any support is said in words, too."""
    counts = {ground: sum(span.ground is ground for span in spans) for ground in Ground}
    made_up = counts.pop(Ground.NOWHERE)
    told = [f"{n} {GROUND_WORDS[ground]}" for ground, n in counts.items() if n]
    if told:
        st.caption("Marked: " + ", ".join(told) + ".")
    if made_up:
        thing = "one quotation stands" if made_up == 1 else f"{made_up} quotations stand"
        st.warning(f"Unsupported: {thing} {GROUND_WORDS[Ground.NOWHERE]}.", icon=":material/report:")


def _how_sure(row: pd.Series) -> None:
    further = state.store().further([row["key"]])
    probe, again = further[further["number"] == PROBE], further[further["number"] != PROBE]
    told = []
    if pd.notna(row["confidence"]):
        told.append(f"{row['confidence']:.0%} sure when it answered")
    for one in probe.itertuples():
        sure = f" ({one.confidence:.0%} sure)" if pd.notna(one.confidence) else ""
        told.append(f"asked for the rating alone: {one.rating}{sure}")
    if len(again):
        same = int((again["rating"] == row["rating"]).sum())
        told.append(f"the same in {same} of {len(again)} further answers ({', '.join(again['rating'])})")
    if told:
        st.caption(widgets.plain("; ".join(told) + "."))
    if len(probe) and (probe["rating"] != row["rating"]).any():
        st.caption(
            ":orange[:material/psychology_alt:] Without its reasoning the model answers otherwise: a second look is worth it."
        )


def _asked(row: pd.Series) -> None:
    """The messages, the raw answer, and where it comes from."""
    for message in json.loads(row["prompt"]):
        st.caption(f"{message['role']} message")
        st.code(message["content"], language=None, wrap_lines=True)
    st.caption("Answer")
    st.code(row["raw"], language=None, wrap_lines=True)
    facts = {
        "read as": "it is" if row["how"] == "strict" else f"{row['how']} (freed from wrapping or spelling)",
        "texts cut to fit": "yes" if row["truncated"] else "no",
        "profile": row["profile"],
        "prompt version": row["prompt_version"],
        "model": row["model"],
        "weights": row["digest"][:12],
        "server": row["server"],
        "came by": row["origin"],
        "tokens": f"{row['prompt_tokens']:.0f} read, {row['answer_tokens']:.0f} written" if row["prompt_tokens"] else "",
        "took": f"{row['seconds']:.1f} s",
        "at": words.when(row["at"]),
    }
    st.caption(widgets.plain(" · ".join(f"{name}: {value}" for name, value in facts.items() if value)))
