"""What pages are put together from: harmless text, forms from any settings, charts."""

import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from streamlit.testing.v1 import AppTest

from app import charts, maps, palette, uploads, widgets, words
from core import dynamics
from core.artifacts import Home
from core.compare import Delta
from core.labels import label_of
from core.records import Label, Rating, Source
from core.runs import Run, State
from core.settings import CandidateSettings, CompareSettings, DemoSettings, ImportSettings, JudgeSettings, Settings, TrainSettings

PIECES = [*"![](){}<>*_~`#+-.|$:\\/ab1 \n\t\"'&;=é", "http://x.y/z", "www.x.y", "a@b.cd", ":red[a]", "<b>", "&amp;"]
MODELS = [TrainSettings, CandidateSettings, JudgeSettings, ImportSettings, DemoSettings, CompareSettings]
LINKED = re.compile(r"https?://|www\.|[-.\w+]@[-\w]+\.[-\w]", re.IGNORECASE)
"""What mdast-util-gfm-autolink-literal makes links of, in text whose escapes are undone already."""
SPANS = [(0.2, "0 s"), (59.4, "59 s"), (60, "1 min 0 s"), (3599, "59 min 59 s"), (7260, "2 h 1 min")]


@given(st.lists(st.sampled_from(PIECES), max_size=25).map("".join))
@settings(max_examples=300, deadline=None)
def test_escaped_text_has_no_markup_in_it(text: str) -> None:
    escaped = widgets.plain(text)
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parseInline(escaped)
    children = [child for token in tokens for child in token.children or []]
    assert {child.type for child in children} <= {"text", "text_special"}
    shown = "".join(child.content for child in children)
    assert shown.replace("\u2060", "") == " ".join(text.split())
    assert not LINKED.search(shown)


def form(model_name: str) -> None:
    import streamlit

    from app import forms
    from core import settings as all_settings

    model = getattr(all_settings, model_name)
    streamlit.session_state["values"] = forms.settings_form(model, "form", list(model.model_fields)[:2])


@pytest.mark.parametrize(
    "model", [TrainSettings, CandidateSettings, JudgeSettings, ImportSettings, DemoSettings, CompareSettings]
)
def test_a_form_begins_with_the_defaults_of_any_settings(model: type[Settings]) -> None:
    app = AppTest.from_function(form, kwargs={"model_name": model.__name__}).run(timeout=30)
    assert not app.exception
    assert model.checked(**app.session_state["values"]) == model()


def test_a_form_keeps_bounds_and_choices() -> None:
    app = AppTest.from_function(form, kwargs={"model_name": "TrainSettings"}).run(timeout=30)
    epochs = app.number_input(key="form_epochs")
    assert (epochs.min, epochs.max, epochs.help) == (1, 5000, TrainSettings.model_fields["epochs"].description)
    assert app.selectbox(key="form_infer_on").options == ["observed", "refined"]
    app.selectbox(key="form_infer_on").set_value("observed")
    app.number_input(key="form_lr").set_value(0.01)
    app.text_input(key="form_labels").set_value("v3").run()
    values = app.session_state["values"]
    assert (values["infer_on"], values["lr"], values["labels"]) == ("observed", 0.01, "v3")


@pytest.mark.parametrize(("relevant", "observed"), [(r, o) for r in ("yes", "no") for o in (True, False)])
def test_buttons_promise_what_labels_resolve_to(relevant: str, observed: bool) -> None:
    assert palette.answer_label(relevant, observed) == label_of(relevant == "yes", observed)


def test_everything_that_can_be_shown_has_a_look() -> None:
    assert set(palette.LABELS) == set(Label)
    assert set(palette.SOURCES) == set(Source)
    assert set(palette.RATINGS) == set(Rating)
    assert set(palette.STATES) == set(State)
    signs = [look.sign for look in palette.LABELS.values()]
    assert len(set(signs)) == len(signs)  # colour is never the only sign


def contrast(colour: str, background: str) -> float:
    """WCAG 2.2 contrast ratio."""

    def luminance(code: str) -> float:
        parts = [int(code[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(colour), luminance(background)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("background", ["#FFFFFF", "#0E1117"])
def test_lines_and_signs_can_be_seen_in_both_themes(background: str) -> None:
    colours = {look.colour for look in palette.LABELS.values()} | {palette.PRIMARY, palette.HUMAN, palette.GREY}
    assert {colour for colour in colours if contrast(colour, background) < 3} == set()


GROUP = np.array([0] * 40 + [2] * 10, np.int8)
LOSS = np.linspace(0.1, 2.0, 50).astype(np.float32)


@pytest.mark.parametrize("density", [True, False])
def test_histogram_areas_are_counts_or_shares(density: bool) -> None:
    counted = dynamics.histogram(LOSS, GROUP, bins=10)
    figure = charts.loss_histogram(counted, 1.0, density)
    heights = {trace.name: np.asarray(trace.y)[::2].sum() for trace in figure.data}
    assert list(heights.values()) == pytest.approx([1, 1] if density else [40, 10])
    assert [name[-5:] for name in heights] == [" (40)", " (10)"]


def test_long_curves_are_thinned_and_keep_their_ends() -> None:
    rows = [{"epoch": epoch, "loss": {"bpr": 1 / epoch}, "valid": {"recall@20": 0.1}} for epoch in range(1, 3001)]
    line = charts.training_loss(rows).data[0]
    assert len(line.x) <= charts.LINE_POINTS
    assert (line.x[0], line.x[-1]) == (1, 3000)


def test_the_legend_of_a_map_is_below_it_where_its_tools_are_not() -> None:
    points = np.random.default_rng(0).random((50, 2))
    figure = maps.plane(points, np.arange(50), np.zeros(50, bool), codes=GROUP)
    assert (figure.layout.legend.y, figure.layout.legend.yanchor) == (0, "top")


def test_differences_draw_the_interval() -> None:
    deltas = {"recall@20": Delta(0.3, 0.32, 0.02, 0.01, 0.03), "mrr@20": Delta(0.4, 0.4, 0.0, -0.1, 0.1)}
    figure = charts.differences(deltas)
    point = figure.data[-1]
    assert (point.x[0], point.error_x.array[0], point.error_x.arrayminus[0]) == pytest.approx((0.02, 0.01, 0.01))
    assert [trace.marker.symbol for trace in figure.data] == ["circle-open", "circle"]  # not clear, clear


FIGURES: list[Callable[[], object]] = [
    lambda: charts.loss_histogram(dynamics.histogram(np.empty(0), np.empty(0, np.int8)), 0.0, True),
    lambda: charts.training_loss([]),
    lambda: charts.validation([], ["recall@20"], None),
    lambda: charts.popularity(np.zeros(3, int)),
    lambda: charts.activity(np.zeros(0, int)),
    lambda: charts.loss_over_time({}, None),
]


@pytest.mark.parametrize("draw", FIGURES)
def test_nothing_to_draw_is_no_error(draw: Callable[[], object]) -> None:
    assert draw() is not None


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("x.csv", "my-data"),
        ("../x.csv", "my-data"),
        ("a/../x.csv", "my-data"),
        ("./x.csv", "my-data"),
        ("a/ml-100k/x.csv", "ml-100k"),
    ],
)
def test_an_upload_stays_in_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, folder: str) -> None:
    monkeypatch.setattr(uploads.state, "home", lambda: Home(tmp_path))
    content = SimpleNamespace(file_id="1", name=name, getbuffer=lambda: b"user,item\n")
    [path] = uploads.put_aside("import", [content])
    aside = tmp_path / "cache" / "uploads"
    assert path.relative_to(aside).parts[1:] == (folder, "x.csv")
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == [path]
    uploads.forget("import")
    assert list(aside.iterdir()) == []


def test_options_with_the_same_words_are_told_apart() -> None:
    """The browser sends words, and Streamlit takes the last option that has them."""
    newest_first = {"c": "Heat", "b": "Heat (2)", "a": "Heat", "z": "Alien"}
    assert words.told_apart(newest_first) == {"c": "Heat (3)", "b": "Heat (2)", "a": "Heat", "z": "Alien"}


@pytest.mark.parametrize(("seconds", "text"), SPANS)
def test_durations(seconds: float, text: str) -> None:
    assert words.duration(seconds) == text


NOW = datetime(2026, 11, 23, 22, 17).timestamp()


@pytest.mark.parametrize(
    ("ago_h", "settings", "label"),
    [
        (0, {"labels": "v1"}, "22:17 · R@20 .336 · v1"),
        (48, {"labels": None}, "21 Nov, 22:17 · R@20 .336 · no labels"),
    ],
)
def test_a_training_is_named_by_its_time_first(
    ago_h: int, settings: dict[str, object], label: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(words.time, "time", lambda: NOW)
    run = Run("r", "train", "d", settings, NOW - ago_h * 3600, result={"metrics": {"test": {"recall@20": 0.3361}}})
    assert words.run_label(run) == label
