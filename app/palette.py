"""How every label, source and rating looks: one colour, one symbol and one word each, so that colour is never the only sign."""

from dataclasses import dataclass

from core.records import Label, Rating, Source
from core.runs import State

PRIMARY = "#7A5FD6"
HUMAN = "#CC79A7"
GREY = "#7B8494"


@dataclass(frozen=True)
class Look:
    """`tone` is the name of the theme colour that st.badge and coloured markdown take."""

    word: str
    sign: str
    colour: str
    tone: str
    marker: str  # plotly
    dash: str  # plotly
    means: str


LABELS: dict[Label, Look] = {
    Label.CLEAN: Look("clean", "●", "#009E73", "green", "circle", "solid", "Observed; nobody has doubted it yet. It is kept."),
    Label.HARD_POSITIVE: Look(
        "hard positive", "◆", "#0072B2", "blue", "diamond", "dash", "Observed and relevant, though the model finds it hard. Keep."
    ),
    Label.NOISY_POSITIVE: Look(
        "noisy positive", "✖", "#D55E00", "orange", "x", "dot", "Observed but not relevant, like a misclick. Drop it."
    ),
    Label.MISSED_POSITIVE: Look(
        "missed positive", "◇", "#0072B2", "blue", "diamond-open", "dashdot", "Not observed, yet relevant. It is added."
    ),
    Label.HARD_NEGATIVE: Look(
        "hard negative",
        "✕",
        "#D55E00",
        "orange",
        "x-open",
        "longdash",
        "Not observed and not relevant, though the model likes it.",
    ),
    Label.UNJUDGED: Look("unjudged", "○", "#6B7280", "gray", "circle-open", "solid", "Asked, but without a complete answer yet."),
    Label.UNSURE: Look("unsure", "?", "#6B7280", "gray", "square-open", "solid", "A person looked and could not tell."),
}

SOURCES: dict[Source, str] = {
    Source.NONE: "nobody",
    Source.MODEL: "the model",
    Source.SIMULATED: "simulated judge (research)",
    Source.BUILTIN: "built-in rater",
    Source.LLM: "language model",
    Source.HUMAN: "a person",
}

RATINGS: dict[str, tuple[str, str]] = {
    Rating.HIGH: ("▲", "Fits this user well"),
    Rating.MID: ("■", "Fits in part"),
    Rating.LOW: ("▼", "Does not fit"),
}
"""Sign and meaning of a judge's rating."""

ANSWERS: dict[str, str] = {"yes": "relevant", "no": "not relevant", "unsure": "can't tell"}
"""A person's answer, in words."""

KINDS: dict[str, str] = {
    "train": "Training",
    "candidates": "Finding candidates",
    "judge": "Judging",
    "again": "Asking again",
    "project": "Projection",
}

STATES: dict[State, tuple[str, str, str]] = {
    State.QUEUED: ("waiting", "gray", ":material/hourglass_empty:"),
    State.RUNNING: ("running", "primary", ":material/play_circle:"),
    State.STOPPING: ("stopping", "gray", ":material/stop_circle:"),
    State.DONE: ("done", "green", ":material/check_circle:"),
    State.FAILED: ("failed", "red", ":material/error:"),
    State.CANCELLED: ("stopped", "gray", ":material/stop_circle:"),
    State.INTERRUPTED: ("interrupted", "orange", ":material/bolt:"),
}
"""Word, tone and icon of a run's state."""


def answer_label(relevant: str, observed: bool) -> Label:
    """The label that a person's answer would give; UNSURE for "unsure"."""
    if relevant == "unsure":
        return Label.UNSURE
    if observed:
        return Label.HARD_POSITIVE if relevant == "yes" else Label.NOISY_POSITIVE
    return Label.MISSED_POSITIVE if relevant == "yes" else Label.HARD_NEGATIVE
