"""Losses and Embeddings: outlines count all rows, and what is selected can be saved, labelled as one, and taken back."""

import base64
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from app import state
from app.deciding import REASONS
from core import datasets, dynamics, mixture, pipeline, projection, runs
from core.artifacts import Home, read_arrays, write_arrays
from core.queue import SECOND_LOOK, SETTLED
from core.records import Interactions
from core.store import Store
from tests.pages.helpers import NAME, carry_out, said, sound

Open = Callable[..., AppTest]


def outlined(app: AppTest, key: str, drawing: str, x: tuple[float, float], y: tuple[float, float]) -> AppTest:
    """As after a box was drawn: what the chart's callback keeps."""
    corners = ([x[0], x[1], x[1], x[0]], [y[0], y[0], y[1], y[1]])
    app.session_state[f"{key}_outlines"] = (drawing, [corners])
    return sound(app.run())


def selected_points(trace: dict[str, Any]) -> int:
    """How many points of a trace stand out; plotly sends arrays as base64."""
    sent = trace.get("selectedpoints")
    return len(np.frombuffer(base64.b64decode(sent["bdata"]), sent["dtype"])) if sent else 0


@pytest.fixture
def trained(ready: Home) -> runs.Run:
    return runs.newest_trained(ready, NAME, datasets.info(ready, NAME).fingerprint)


class TestDataMap:
    def test_an_outline_counts_every_click_inside(self, ready: Home, trained: runs.Run, open_page: Open) -> None:
        losses = runs.folder(ready, trained.id).losses()
        confidence = np.exp(-losses["mean"])
        low = float(np.quantile(confidence, 0.2))
        page = open_page("losses", tab="Data map")
        assert "Nothing is selected" in said(page)
        page = outlined(page, "data_map", trained.id, (-1, 100), (-1, low))
        assert f"**{int((confidence < low).sum()):,} training clicks are selected**" in said(page)

    def test_labelling_is_one_batch_with_an_undo(self, ready: Home, trained: runs.Run, open_page: Open) -> None:
        store, n = Store.open(ready), len(datasets.load(ready, NAME).train)
        page = outlined(open_page("losses", tab="Data map"), "data_map", trained.id, (-1, 100), (-1, 2))
        page.session_state["data_map_labelling"] = True
        reasons = page.run().selectbox(key="data_map_reason").options
        assert not {REASONS[SECOND_LOOK], REASONS[SETTLED]} & set(reasons)  # these follow from what a person does
        sound(page.button(key="data_map_label_no").click().run())
        page.session_state["data_map_labelling"] = True
        sound(page.run())
        decisions = store.decisions(NAME)
        assert (len(decisions), {row.relevant for row in decisions}, len({row.batch for row in decisions})) == (n, {"no"}, 1)
        assert {row.note for row in decisions} == {"as a set, data map"}
        assert f"{n:,} that a person has decided" in page.checkbox(key="data_map_again").label
        assert page.button(key="data_map_label_yes").disabled  # nothing is left that no person has decided
        sound(page.button(key="data_map_undo").click().run())
        assert len(store.standing(NAME)) == 0
        assert len(store.decisions(NAME)) == 2 * n

    def test_an_outline_on_another_training_is_not_taken_over(self, trained: runs.Run, open_page: Open) -> None:
        page = outlined(open_page("losses", tab="Data map"), "data_map", "another", (-1, 100), (-1, 2))
        assert "Nothing is selected" in said(page)


class TestLosses:
    @pytest.mark.parametrize("loss", ["early", "variance", "epoch", "model"])
    @pytest.mark.parametrize(("shape", "log"), [("density", False), ("counts", True), ("density", True), ("cumulative", True)])
    def test_every_loss_in_every_shape(self, ready: Home, open_page: Open, loss: str, shape: str, log: bool) -> None:
        page = open_page("losses")
        page.toggle(key="log_loss").set_value(log)
        page.toggle(key="mixture").set_value(True)
        page.selectbox(key="loss").set_value(loss)
        sound(page.segmented_control(key="shape").set_value(shape).run())
        unobserved = "have no click" in said(page)
        assert unobserved == (loss == "model")
        if loss == "epoch":
            first = said(page)
            sound(page.slider(key="epoch").set_value(1).run())
            assert "at epoch 1" in said(page) != first

    def test_what_a_denoiser_throws_away(self, ready: Home, trained: runs.Run, open_page: Open) -> None:
        losses, train = runs.folder(ready, trained.id).losses(), datasets.load(ready, NAME).train
        truth = {(u, i): t for u, i, t in zip(train.user, train.item, train.truth, strict=True)}
        code = np.array([truth[pair] for pair in zip(losses["user"], losses["item"], strict=True)])
        k = int((losses["mean"] > np.quantile(losses["mean"], 0.85)).sum())
        gone = code[np.argsort(losses["mean"])[-k:]]
        caught, lost = ((gone == label).sum() / (code == label).sum() for label in (2, 1))
        assert f"Dropping {k:,} clicks by the averaged loss catches {caught:.0%} of the noise and {lost:.0%} of the hard" in said(
            open_page("losses")
        )

    def test_clicks_above_the_line_are_saved_and_found_again(self, ready: Home, trained: runs.Run, open_page: Open) -> None:
        losses = runs.folder(ready, trained.id).losses()
        n = int((losses["mean"].astype(float) > np.quantile(losses["mean"], 0.85)).sum())
        page = open_page("losses")
        page.text_input(key="above_name").set_value("doubtful ones")
        sound(page.button(key="above_save").click().run())
        [row] = Store.open(ready).selections(NAME).to_dict("records")
        assert (row["name"], row["n"]) == ("doubtful ones", n)
        page = open_page("losses", tab="Selections")
        assert page.selectbox(key="losses_chosen").value == "doubtful ones"
        sound(page.button(key="losses_saved_ask").click().run())
        asked = [run for run in runs.listing(ready, NAME, "judge") if run.settings["pairs"]]
        assert len(asked) == 1
        sound(page.button(key="losses_delete").click().run())
        assert not len(Store.open(ready).selections(NAME))

    def test_the_line_is_put_where_two_components_cross(self, ready: Home, trained: runs.Run, open_page: Open) -> None:
        losses, random = runs.folder(ready, trained.id).losses(), np.random.default_rng(0)
        high = random.random(len(losses["mean"])) < 0.2
        loss = np.exp(random.normal(np.where(high, 0.5, -2), 0.3)).astype(np.float32)
        write_arrays(ready.path / "runs" / trained.id / "losses.npz", **(losses | {"mean": loss}))
        found = mixture.fit(loss)
        page = open_page("losses")
        assert not any(button.key == "snap" for button in page.button)
        sound(page.toggle(key="mixture").set_value(True).run())
        assert f"they cross at {found.crossing:.3g}" in said(page)
        sound(page.button(key="snap").click().run())
        share = page.slider(key="drop").value
        assert share == pytest.approx(100 * (loss > found.crossing).mean(), abs=0.06)
        [flagged] = (tile.value for tile in page.metric if tile.label == "Flagged")
        assert int(flagged.replace(",", "")) == (loss.astype(float) > np.quantile(loss, 1 - share / 100)).sum()

    def test_labels_that_the_line_would_change(self, ready: Home, trained: runs.Run, open_page: Open) -> None:
        losses, data = runs.folder(ready, trained.id).losses(), datasets.load(ready, NAME)
        above = losses["mean"].astype(float) > np.quantile(losses["mean"], 0.85)
        asked = [0, 1, *np.flatnonzero(~above)[:3].tolist()]
        known = Store.open(ready)
        pairs = [(data.user_ids[losses["user"][at]], data.item_ids[losses["item"][at]]) for at in asked]
        known.decide(NAME, pairs, "no", annotator="ann")
        now = pipeline.current_labels(ready, data)
        code = dynamics.codes_of(Interactions(losses["user"], losses["item"]), now.user, now.item, now.label, data.n_items)
        page = open_page("losses")
        [changed] = (tile.value for tile in page.metric if tile.label == "Labels changed")
        assert int(changed.replace(",", "")) == ((code == 2) != above).sum()

    def test_those_nearest_to_the_line_go_to_review(self, ready: Home, trained: runs.Run, open_page: Open) -> None:
        losses, data = runs.folder(ready, trained.id).losses(), datasets.load(ready, NAME)
        loss = losses["mean"].astype(float)
        page = open_page("losses")
        sound(page.segmented_control(key="listed").set_value("nearest to the line").run())
        sound(page.selectbox(key="nearest").set_value(50).run())
        page.button(key="near_send").click().run()
        at = np.argsort(np.abs(loss - np.quantile(loss, 0.85)), kind="stable")[:50]
        codes = losses["user"][at].astype(int) * data.n_items + losses["item"][at]
        sound(page.switch_page("../pages/review.py").run())
        assert page.selectbox(key="review_order").value == "sent"
        [kept] = (ready.cache / "sent" / data.fingerprint).iterdir()
        assert read_arrays(kept)["codes"].tolist() == codes.tolist()
        assert "50 left" in page.get("progress")[0].proto.text

    def test_a_name_that_is_taken_is_refused(self, ready: Home, open_page: Open) -> None:
        Store.open(ready).keep_selection(NAME, "mine", [("u", "i")], annotator="ann")
        page = open_page("losses")
        page.text_input(key="above_name").set_value("mine")
        sound(page.button(key="above_save").click().run())
        assert any("already" in error.value for error in page.error)


class TestEmbeddings:
    def test_without_a_map_the_form_offers_one(self, ready: Home, open_page: Open) -> None:
        page = open_page("embeddings")
        assert "No map yet" in said(page)
        assert not page.button(key="start_project").disabled

    @pytest.mark.parametrize("of", ["pairs", "users", "items"])
    def test_an_outline_selects_clicks(self, ready: Home, open_page: Open, of: str) -> None:
        run = carry_out(ready, "project", of=of)
        kept = runs.folder(ready, run).projection()["points"].astype(float)
        x, y = np.median(kept, axis=0)
        inside = (kept[:, 0] < x) & (kept[:, 1] < y)
        train = datasets.load(ready, NAME).train
        n = int((inside if of == "pairs" else inside[train.user if of == "users" else train.item]).sum())
        page = outlined(open_page("embeddings"), "map_first", run, (-1e3, float(x)), (-1e3, float(y)))
        assert f"**{n:,} training clicks" in said(page)
        for colour in page.selectbox(key=f"map_colour_{of}").options:
            sound(page.selectbox(key=f"map_colour_{of}").select(colour).run())
            assert f"**{n:,} training clicks" in said(page)

    def test_two_trainings_side_by_side_share_what_is_outlined(self, ready: Home, open_page: Open) -> None:
        first, second = (run.id for run in runs.listing(ready, NAME, "train"))
        run = carry_out(ready, "project", run=first, other=second)
        points = runs.folder(ready, run).projection()["points"].astype(float)
        x = float(np.quantile(points[:, 0], 0.3))
        page = open_page("embeddings")
        sound(page.segmented_control(key="map_shown").set_value("side by side").run())
        page = outlined(page, "map_first", run, (-1e3, x), (-1e3, 1e3))
        maps = [json.loads(chart.proto.spec)["data"] for chart in page.get("plotly_chart")][:2]
        marked = [sum(selected_points(trace) for trace in traces) for traces in maps]
        assert marked == [int((points[:, 0] < x).sum())] * 2
        assert all(traces[0]["type"] == "heatmap" for traces in maps)

    def test_representative_and_outlying_pairs_come_from_the_vectors(self, ready: Home, open_page: Open) -> None:
        run, train = carry_out(ready, "project", of="items"), datasets.load(ready, NAME).train
        page = outlined(open_page("embeddings"), "map_first", run, (-1e3, 1e3), (-1e3, 1e3))
        base = runs.folder(ready, run).read().result["runs"][0]
        vectors = runs.folder(ready, base).embeddings()
        for which, rows in zip(("representative", "outlying"), projection.typical(vectors, train, 10), strict=True):
            sound(page.segmented_control(key="map_which").set_value(which).run())
            name, _, pairs = page.session_state[state.LISTS]["map_pairs"]
            assert name == f"map of items, {which}"
            assert np.array_equal(pairs.codes(10**6), train.where(rows).codes(10**6))

    def test_the_title_says_what_a_planted_map_shows(self, ready: Home, open_page: Open) -> None:
        run, data = carry_out(ready, "project"), datasets.load(ready, NAME)
        corner = data.train.user < np.quantile(data.train.user, 0.2)
        points = np.random.default_rng(0).uniform(0, 1, (len(data.train), 2)).astype(np.float32)
        points[corner] = points[corner] / 10 + 2  # whom one person calls noisy lie together, and nobody else
        kept = runs.folder(ready, run).projection()
        write_arrays(ready.path / "runs" / run / "projection.npz", **(kept | {"points": points}))
        store = Store.open(ready)
        pairs = [
            (data.user_ids[u], data.item_ids[i]) for u, i in zip(data.train.user[corner], data.train.item[corner], strict=True)
        ]
        store.decide(NAME, pairs, "no", annotator="ann")
        page = open_page("embeddings")
        assert "Noisy positives gather in one region" in said(page)
        sound(page.button(key="map_first_region").click().run())
        assert "training clicks are selected" in said(page)
        assert "Noisy positives are" in said(page)
