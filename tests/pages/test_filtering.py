"""The filter bar: the same on every page, in every link, kept as views, and silent in blind mode."""

from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qsl

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from app import state
from core import datasets, runs
from core.artifacts import Home
from core.queue import SECOND_LOOK
from core.records import Dataset, Label
from core.settings import DemoSettings
from core.store import Store
from tests.pages.helpers import NAME, carry_out, components, said, sound

Open = Callable[..., AppTest]


@pytest.fixture
def data(ready: Home) -> Dataset:
    return datasets.load(ready, NAME)


@pytest.fixture
def noisy(ready: Home, data: Dataset) -> int:
    """Clicks that are labelled noisy."""
    n = int((Store.open(ready).labels(data).label == Label.NOISY_POSITIVE).sum())
    assert n
    return n


def follow(page: AppTest, name: str, **more: str) -> AppTest:
    """Take the link to a page in the menu."""
    [link] = [link for link in page.get("page_link") if link.proto.page == name and "part" not in link.proto.query_string][:1]
    page.query_params.clear()
    for key, value in (dict(parse_qsl(link.proto.query_string)) | more).items():
        page.query_params[key] = value
    return sound(page.switch_page(f"../pages/{name}.py").run())


def field(widgets: Iterable[Any], name: str) -> Any:
    """Of the form, by its condition."""
    [found] = [widget for widget in widgets if widget.key and widget.key.startswith(f"filter_{name}:")]
    return found


def fill_in(page: AppTest, **values: object) -> AppTest:
    """Choose in the form and send it."""
    kinds = {"loss": page.slider, "doubt": page.slider, "user": page.text_input, "find": page.text_input}
    for name, value in values.items():
        field(kinds.get(name, page.multiselect), name).set_value(value)
    [button] = [button for button in page.button if button.label == "Show what fits"]
    return sound(button.click().run())


def test_every_page_shows_what_fits_and_links_carry_it(ready: Home, data: Dataset, noisy: int, open_page: Open) -> None:
    carry_out(ready, "project", of="pairs")
    every = {
        "explore": f"{len(data.train) + len(data.valid) + len(data.test):,} interactions",
        "losses": f"{len(data.train):,} clicks",
        "embeddings": f"{len(data.train):,} training clicks",
        "board": f"{len(Store.open(ready).labels(data)):,} pairs",
        "review": "60 pairs of this order",
    }
    page = open_page("board", f_label="noisy-positive")
    for name, whole in every.items():
        page = follow(page, name, **({"part": "Interactions"} if name == "explore" else {}))
        assert page.query_params["f_label"] == "noisy-positive"
        assert f"**{noisy:,} of {whole}** · noisy positive" in said(page)
    [component] = components(page, "winnow_review")
    assert f'"left": {noisy}' in component.proto.json or f'"left":{noisy}' in component.proto.json
    pair = Store.open(ready).labels(data).having(Label.NOISY_POSITIVE)
    page = follow(page, "pair", user=str(data.user_ids[pair.user[0]]), item=str(data.item_ids[pair.item[0]]))
    assert f"**{noisy:,} of {every['board']}**" in said(follow(page, "board"))
    page.button(key="filter_clear").click().run()
    assert f":gray[All {every['board']}]" in said(sound(page))
    assert f":gray[All {every['losses']}]" in said(follow(page, "losses"))


def test_the_form_applies_all_conditions_at_once_and_back_takes_them_off(data: Dataset, open_page: Open) -> None:
    page = open_page("explore", part="Interactions")
    user = int(data.train.user[0])
    fill_in(page, user=str(data.user_ids[user]), clicked=["train"])
    expected = int((data.train.user == user).sum())
    assert f"**{expected:,} of" in said(page)
    assert page.query_params["f_user"] == str(data.user_ids[user])
    assert field(page.text_input, "user").value == str(data.user_ids[user])
    for name in ("f_user", "f_clicked"):  # Back: the address of before
        del page.query_params[name]
    sound(page.run())
    assert ":gray[All " in said(page)
    assert field(page.text_input, "user").value == ""


def test_rows_of_a_page_are_those_that_fit(ready: Home, data: Dataset, open_page: Open) -> None:
    labels = Store.open(ready).labels(data)
    views = Store.open(ready).judgments(NAME).pivot(index=["user_id", "item_id"], columns="view", values="rating")
    wanted = views[(views["user"] == "High") & (views["item"] == "High")].index
    page = open_page("board", f_user_view="high", f_item_view="high")
    assert f"**{len(wanted)} of {len(labels)} pairs**" in said(page)
    _, _, pairs = page.session_state[state.LISTS]["judged"]
    assert set(zip(data.user_ids[pairs.user], data.item_ids[pairs.item], strict=True)) == set(wanted)


@pytest.mark.parametrize("name", ["explore", "losses", "embeddings", "board", "review"])
def test_when_nothing_fits_the_page_says_so_and_clears(ready: Home, open_page: Open, name: str) -> None:
    carry_out(ready, "project", of="users") if name == "embeddings" else None
    more = {"part": "Interactions"} if name == "explore" else {}
    page = open_page(name, f_user="nobody", f_status="flagged", **more)
    assert "None of the " in said(page)
    button = page.button(key="filter_clear_empty")
    assert button.label == "Clear 2 filters"
    sound(button.click().run())
    assert ":gray[All " in said(page)


def test_what_an_address_says_in_vain_is_told(noisy: int, open_page: Open) -> None:
    page = open_page("losses", f_label="noisy-positive purple", f_size="3", view="gone")
    assert f"**{noisy:,} of" in said(page)
    [warning] = page.warning
    for word in ("gone", "purple", "size"):
        assert word in warning.value


class TestLosses:
    def test_the_threshold_is_of_all_clicks_and_the_effect_of_those_that_fit(
        self, ready: Home, data: Dataset, open_page: Open
    ) -> None:
        losses = runs.folder(ready, runs.newest_trained(ready, NAME, data.fingerprint).id).losses()
        labels = Store.open(ready).labels(data).having(Label.HARD_POSITIVE)
        own = set(zip(labels.user.tolist(), labels.item.tolist(), strict=True))
        hard = np.array([pair in own for pair in zip(losses["user"].tolist(), losses["item"].tolist(), strict=True)])
        above = losses["mean"] > np.quantile(losses["mean"].astype(float), 0.85)
        page = open_page("losses", f_label="hard-positive")
        assert f"would take {int((above & hard).sum()):,} of {int(hard.sum()):,} clicks" in said(page)
        for loss in page.selectbox(key="loss").options:
            sound(page.selectbox(key="loss").select(loss).run())
        page = open_page("losses", f_label="hard-positive", tab="Data map")
        page.session_state["data_map_outlines"] = (page.session_state["ctx_run"], [([-1, 99, 99, -1], [-1, -1, 99, 99])])
        assert f"**{int(hard.sum()):,} training clicks are selected**" in said(sound(page.run()))

    def test_an_outline_on_users_counts_their_clicks_that_fit(
        self, ready: Home, data: Dataset, noisy: int, open_page: Open
    ) -> None:
        run = carry_out(ready, "project", of="users")
        page = open_page("embeddings", f_label="noisy-positive")
        page.session_state["map_first_outlines"] = (run, [([-1e3, 1e3, 1e3, -1e3], [-1e3, -1e3, 1e3, 1e3])])
        assert f"**{noisy:,} training clicks of" in said(sound(page.run()))


class TestBlind:
    @pytest.fixture
    def page(self, ready: Home, data: Dataset, open_page: Open) -> AppTest:
        labels = Store.open(ready).labels(data)
        first = str(data.user_ids[labels.user[0]]), str(data.item_ids[labels.item[0]])
        Store.open(ready).decide(NAME, [first], "unsure", annotator="bob", reason=SECOND_LOOK)
        page = open_page(
            "review", f_label="noisy-positive", f_status="flagged", f_annotator="bob", f_doubt="0-1", f_clicked="train"
        )
        page.toggle(key="blind").set_value(True).run()
        return sound(page)

    def test_no_filter_tells_what_blind_hides(self, ready: Home, data: Dataset, page: AppTest) -> None:
        clicked = [pair for pair in _candidates(ready) if pair in _clicks(data)]
        assert f"**{len(clicked)} of 60 pairs of this order** · clicked in training" in said(page)
        assert "Label, Decisions, Decided by, Doubt, percentile" in page.info[0].value
        shown = {
            widget.key.split(":")[0] for kind in (page.multiselect, page.slider, page.text_input) for widget in kind if widget.key
        }
        assert {key for key in shown if key.startswith("filter_")} == {
            f"filter_{name}" for name in ("clicked", "popularity", "history", "user", "item", "find")
        }

    def test_what_is_hidden_stays_for_other_pages(self, page: AppTest) -> None:
        fill_in(page, clicked=[])
        assert ":gray[All 60 pairs of this order]" in said(page)
        assert sorted(filter(state.of_filter, page.query_params)) == ["f_annotator", "f_doubt", "f_label", "f_status"]
        page.toggle(key="blind").set_value(False).run()
        assert "noisy positive, flagged, decided by bob" in said(sound(page))


def _candidates(home: Home) -> list[tuple[str, str]]:
    rows = Store.open(home).judgments(NAME, texts=False)
    return list(dict.fromkeys(zip(rows["user_id"], rows["item_id"], strict=True)))


def _clicks(data: Dataset) -> set[tuple[str, str]]:
    return set(zip(data.user_ids[data.train.user], data.item_ids[data.train.item], strict=True))


class TestActing:
    def test_what_fits_is_saved_and_labelled(self, ready: Home, noisy: int, open_page: Open) -> None:
        page = open_page("losses", f_label="noisy-positive")
        page.session_state["filter_act"] = True
        sound(page.run()).text_input(key="filter_name").set_value("misclicks")
        sound(page.button(key="filter_save").click().run())
        [row] = Store.open(ready).selections(NAME).to_dict("records")
        assert (row["name"], row["n"], row["origin"]) == ("misclicks", noisy, "filter: noisy positive")
        page.session_state["filter_labelling"] = True
        sound(page.run().button(key="filter_label_yes").click().run())
        decisions = Store.open(ready).decisions(NAME)
        assert (len(decisions), len({one.batch for one in decisions})) == (noisy, 1)
        assert "None of the " in said(page)  # they are hard positives now


class TestViews:
    def test_saved_opened_by_name_replaced_renamed_and_deleted(self, ready: Home, noisy: int, open_page: Open) -> None:
        store = Store.open(ready)
        page = open_page("board", f_label="noisy-positive")
        page.text_input(key="view_name").set_value("my *noise*")
        sound(page.button(key="view_save").click().run())
        assert page.query_params == {"view": "my *noise*"}
        fresh = open_page("losses", view="my *noise*")
        assert f"**{noisy:,} of" in said(fresh)
        [link] = [link for link in fresh.get("page_link") if "noise" in link.proto.label]
        assert dict(parse_qsl(link.proto.query_string))["view"] == "my *noise*"
        assert link.proto.page == "board"
        fill_in(fresh, label=["hard-positive"])
        assert not fresh.query_params.get("view")
        sound(fresh.text_input(key="view_name").set_value("my *noise*").run())
        assert fresh.button(key="view_save").label == "Replace that view"
        sound(fresh.button(key="view_save").click().run())
        assert store.views(NAME)[["page", "filter"]].to_numpy().tolist() == [["losses", "label=hard-positive"]]
        assert "hard positive" in said(sound(page.run()))  # whoever looks through it sees the new one
        fresh.text_input(key="view_to").set_value("hard")
        sound(fresh.button(key="view_rename").click().run())
        assert fresh.query_params["view"] == "hard"
        sound(fresh.button(key="view_delete").click().run())
        assert not len(store.views(NAME))
        assert "hard positive" in said(fresh)  # what one looks at stays
        sound(fresh.button(key="view_undo").click().run())
        assert store.views(NAME)["name"].tolist() == ["hard"]

    def test_a_name_that_was_taken_meanwhile_is_refused(self, ready: Home, open_page: Open) -> None:
        page = open_page("board", f_label="noisy-positive")
        Store.open(ready).keep_view(NAME, "mine", "losses", "label=unsure", annotator="bob")
        page.text_input(key="view_name").set_value("mine")
        page.button(key="view_save").click().run()
        assert any("already" in toast.value for toast in sound(page).toast)
        assert Store.open(ready).views(NAME)["filter"].tolist() == ["label=unsure"]


def test_another_dataset_begins_without_filters(ready: Home, open_page: Open) -> None:
    datasets.import_demo(ready, DemoSettings(users=60, items=50, interactions=900), "other")
    page = open_page("explore", part="Interactions", dataset=NAME, f_label="clean")
    sound(page.selectbox(key="ctx_dataset").set_value("other").run())
    assert ":gray[All " in said(page)
    assert not page.query_params.get("f_label")
