"""The Method page: what it says comes from the code, and measurements are shown as they are."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from app import charts, measured, method, results
from core.artifacts import Home
from core.backbones import BACKBONES
from core.denoisers import DENOISERS
from core.references import REFERENCES
from core.registry import Registry
from tests.pages.helpers import said, sound

Open = Callable[..., AppTest]
MEMBERS, MEASURED = "Presets and members", "What we measured"


def row(name: str, mean: float, change: tuple[float, float, float] | None) -> dict[str, Any]:
    metrics = {metric: {"mean": mean, "by_seed": [mean - 0.01, mean + 0.01]} for metric in ("recall@20", "ndcg@20")}
    difference = change and dict(zip(("recall@20", "low", "high"), change, strict=True))
    known = {"table": "A table", "case": "ml", "protocol": "All are ranked.", "row": name, "settings": {}}
    known |= {"metrics": metrics, "difference": difference}
    return known | {"best_epochs": [0, 0] if name == "EASE" else [30, 35], "seconds": [2.0, 4.0]}


TABLE = [
    row("LightGCN", 0.32, None),
    row("worse", 0.30, (-0.02, -0.03, -0.01)),
    row("better", 0.35, (0.03, 0.01, 0.05)),
    row("EASE", 0.33, (0.01, -0.01, 0.02)),
]
CURVE = [
    {"curve": "Growing", "protocol": "Masked alike.", "row": name, "percent": percent, "recall@20": values}
    for name, percent, values in (
        ("LightGCN", 0, [0.34, 0.36]),
        ("LightGCN", 20, [0.30, 0.32]),
        ("judge", 0, []),
        ("judge", 20, [0.33]),
    )
]
SIGNALS = [{"final": {"AUC": auc, "AP": 0.4, "AUC, top-loss fifth": 0.5, "AP, top-loss fifth": 0.4}} for auc in (0.5, 0.6)]
RECORDS = [*TABLE, *CURVE, {"detection": "dislikes", "protocol": "Dislikes as clicks.", "by_seed": SIGNALS}]


@pytest.fixture
def quality(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the page looks for measurements; nothing is there yet."""
    path = tmp_path / "quality.json"
    monkeypatch.setattr(results, "QUALITY", path)
    return path


def test_every_part_has_its_formula(home: Home, open_page: Open) -> None:
    page = open_page("method")
    assert [heading.value for heading in page.header] == [
        *(part.title for part in list(method.PARTS.values())[:6]),
        "What an answer means",
        *(part.title for part in list(method.PARTS.values())[6:]),
    ]
    assert len(page.latex) == sum(len(part.formulas) for part in method.PARTS.values())


def test_presets_are_compared_by_what_they_set() -> None:
    table = method.preset_table().set_index("setting")
    assert table.loc["Blend"].tolist() == ["none", "ease", "none", "no"]
    assert table.loc["Graph contrast"].tolist() == ["–", "0", "automatic", "no"]
    assert table.loc["Denoiser"].tolist() == ["plain", "llmhni", "llmhni", "yes"]
    assert "Epochs at most" not in table.index  # the same in all three


@pytest.mark.parametrize("registry", [DENOISERS, BACKBONES, REFERENCES], ids=lambda registry: registry.family)
def test_members_come_from_the_registries(registry: Registry[Any], home: Home, open_page: Open) -> None:
    tables = [table.value for table in open_page("method", part=MEMBERS).table]
    [table] = [table for table in tables if [name.replace("\\", "") for name in table.index] == registry.names()]
    assert all(table["what it is"])


def test_what_a_base_does_otherwise_is_said_of_its_members(home: Home, open_page: Open) -> None:
    table = next(table.value for table in open_page("method", part=MEMBERS).table if "tce" in table.value.index)
    for name in ("tce", "rce"):
        assert "the means over clicks and over negatives are added" in table.loc[name, "differs from the paper"]


def test_a_denoiser_is_listed_with_the_settings_of_its_own(home: Home, open_page: Open) -> None:
    table = next(table.value for table in open_page("method", part=MEMBERS).table if "sgl" in table.value.index)
    assert table.loc["sgl", "settings of its own"] == "contrast, temperature, edges dropped"
    assert table.loc["plain", "settings of its own"] == "none of its own"


@pytest.mark.parametrize(
    ("words", "first", "differs"),
    [
        ("A mean (Ann et al., 2019, eq. 4). More.\n\nOther.", "A mean (Ann et al., 2019, eq. 4).", ""),
        ("By `x`\nand y.\n\nWhy. Differs from the paper: no `z`;\nso.\n\nEnd.", "By x and y.", "no z; so."),
        ("", "", ""),
    ],
)
def test_docstrings_are_read(words: str, first: str, differs: str) -> None:
    assert (method.first_sentence(words), method.deviation(words)) == (first, differs)


def test_without_measurements_it_says_how_to_make_them(quality: Path, home: Home, open_page: Open) -> None:
    assert "make bench-quality" in said(open_page("method", part=MEASURED))


def test_losses_are_shown_like_wins(quality: Path, home: Home, open_page: Open) -> None:
    quality.write_text(json.dumps(RECORDS))
    page = open_page("method", part=MEASURED)
    assert page.selectbox(key="measurement").options == ["A table", "Growing", "Telling noise: dislikes"]
    assert "All are ranked" in said(page)  # the protocol
    table = page.dataframe[0].value
    assert table["row"].tolist() == ["LightGCN", "worse", "better", "EASE"]
    assert table["95 % interval"].tolist()[1:] == ["-0.0300 to -0.0100", "+0.0100 to +0.0500", "-0.0100 to +0.0200"]
    assert "Of 3 rows, 1 are clearly above LightGCN in Recall@20, 1 clearly below, 1 neither" in said(page)
    assert table["best epochs"].tolist()[0] == "30, 35"
    sound(page.selectbox(key="measurement").set_value("Growing").run())
    assert "At 20 % judge is highest" in said(page)
    sound(page.selectbox(key="measurement").set_value("Telling noise: dislikes").run())
    assert page.dataframe[0].value["AUC"].tolist() == pytest.approx([0.55])


def test_a_curve_draws_the_mean_and_the_reach_of_the_seeds() -> None:
    figure = charts.noise_curves({"one": {20: [0.3, 0.32], 0: [0.34, 0.36]}})
    [line] = figure.data
    assert list(line.x) == [0, 20]
    assert list(line.y) == pytest.approx([0.35, 0.31])
    assert list(line.error_y.array) == pytest.approx([0.01, 0.01])


def test_the_table_keeps_every_row_in_its_order() -> None:
    assert measured.quality_table(TABLE)["row"].tolist() == [one["row"] for one in TABLE]


def test_a_best_of_the_prototype_is_not_said_to_be_the_best_of_the_tables() -> None:
    rows = [row for row in results.quality() if row.get("table") == "Amazon-book, trained on train"]
    best = max(rows, key=lambda row: row["metrics"]["ndcg@20"]["mean"])["row"]
    assert best == "Winnow, preset default"  # EASE was the best of the prototype
    assert "NDCG@20 of the prototype" in method.PARTS["blend"].measured
