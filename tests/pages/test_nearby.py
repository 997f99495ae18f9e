"""Pair, the model's side: nearest clicks and acting on them, the list without the click, the link, previous and next."""

import shutil
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from app import words
from core import candidates, datasets, dynamics, neighbours, preview, queue, runs, semantic
from core.artifacts import Home
from core.records import Dataset, Interactions, Label, Source
from core.store import Store
from tests.pages.helpers import NAME, TRAIN, carry_out, said, sound

Open = Callable[..., AppTest]


@pytest.fixture
def data(ready: Home) -> Dataset:
    return datasets.load(ready, NAME)


@pytest.fixture
def run_id(ready: Home) -> str:
    return runs.listing(ready, NAME, "train")[0].id


def click(data: Dataset, place: int = 7) -> dict[str, str]:
    return {"user": str(data.user_ids[data.train.user[place]]), "item": str(data.item_ids[data.train.item[place]])}


def near(ready: Home, data: Dataset, run_id: str, n: int, place: int = 7) -> list[tuple[str, str]]:
    """Raw ids of the clicks nearest to a click."""
    vectors = runs.folder(ready, run_id).embeddings()
    found = neighbours.of_pair(vectors, data.train, int(data.train.user[place]), int(data.train.item[place]), n)
    return ids(data, data.train.where(found.place))


def ids(data: Dataset, pairs: Interactions) -> list[tuple[str, str]]:
    return [(str(u), str(i)) for u, i in zip(data.user_ids[pairs.user], data.item_ids[pairs.item], strict=True)]


def listed(page: AppTest, data: Dataset) -> list[tuple[str, str]]:
    """The nearest clicks that Pair remembers for previous and next."""
    [key] = [key for key in page.session_state["pair_lists"] if key.startswith("nearest")]
    return ids(data, page.session_state["pair_lists"][key][2])


def told(page: AppTest) -> str:
    """All words on a page, as they are read."""
    return said(page).replace("\\", "")


def labelling(page: AppTest) -> AppTest:
    """With the box open in which the nearest are labelled."""
    page.session_state["nearest_labelling"] = True
    return sound(page.run())


class TestNearest:
    def test_the_list_is_the_engines_and_its_title_counts_noise(
        self, ready: Home, data: Dataset, run_id: str, open_page: Open
    ) -> None:
        page = open_page("pair", **click(data))
        for n in (10, 20, 50):
            sound(page.segmented_control(key="nearest_n").set_value(n).run())
            pairs = near(ready, data, run_id, n)
            assert listed(page, data) == pairs
            labels = Store.open(ready).labels(data)
            noisy = set(ids(data, labels.having(Label.NOISY_POSITIVE)))
            count = len(noisy & set(pairs))
            assert f"{count or 'None'} of the {n} nearest {'are' if count > 1 else 'is'} noisy" in said(page)

    def test_by_texts_when_their_vectors_are_kept(self, ready: Home, data: Dataset, open_page: Open) -> None:
        page = open_page("pair", **click(data))
        sound(page.segmented_control(key="nearest_by").set_value("texts").run())
        vectors, _ = semantic.kept_items(data, ready.cache)
        texts = semantic.profiles(vectors, data.train, data.n_users)
        found = neighbours.of_pair(texts, data.train, int(data.train.user[7]), int(data.train.item[7]), 10)
        assert listed(page, data) == ids(data, data.train.where(found.place))
        shutil.rmtree(ready.cache / "items")
        sound(page.run())
        assert page.segmented_control(key="nearest_by").options == ["the model's vectors"]
        assert "finding candidates makes them" in said(page)

    def test_labelling_writes_the_previewed_pairs_and_one_undo_takes_all_back(
        self, ready: Home, data: Dataset, run_id: str, open_page: Open
    ) -> None:
        store, pairs = Store.open(ready), near(ready, data, run_id, 20)
        store.decide(NAME, pairs[3:5], "yes", annotator="bob")
        before = store.standing(NAME)
        page = open_page("pair", **click(data))
        sound(page.segmented_control(key="nearest_n").set_value(20).run())
        labelling(page)
        assert page.checkbox(key="nearest_again").label == "Also the 2 that a person has decided"
        assert "18: not relevant" in page.button(key="nearest_label_no").label
        page.selectbox(key="nearest_reason").set_value("misclick").run()
        sound(page.button(key="nearest_label_no").click().run())
        written = [row for row in store.decisions(NAME) if row.annotator != "bob"]
        assert [(row.user_id, row.item_id) for row in written] == [pair for pair in pairs if pair not in pairs[3:5]]
        assert {(row.relevant, row.reason, row.saw_judge) for row in written} == {("no", "misclick", True)}
        assert len({row.batch for row in written}) == 1
        assert "18 of the 20 nearest are noisy" in said(page)
        sound(page.button(key="nearest_undo").click().run())
        assert store.standing(NAME).equals(before)

    def test_blind_mode_hides_what_the_nearest_are_called(self, ready: Home, data: Dataset, run_id: str, open_page: Open) -> None:
        pair, store = click(data), Store.open(ready)
        pairs = near(ready, data, run_id, 10)
        store.decide(NAME, pairs[:6], "no", annotator="bob")
        page = open_page("pair", **pair)
        assert "6 of the 10 nearest are noisy" in said(page)
        page.toggle(key="blind").set_value(True).run()
        assert "Nearest clicks" not in said(sound(page))
        sound(page.button(key=f"decide_yes:{pair['user']}:{pair['item']}").click().run())
        words = said(page)
        assert "in blind mode their labels are hidden" in words
        assert "nearest are noisy" not in words
        assert listed(page, data) == pairs
        headings = [caption.value for caption in page.caption if caption.value in ("similarity", "loss", "label", "user view")]
        assert headings == ["similarity"]
        assert "nearest_export" not in {one.key for one in page.get("download_button")}
        labelling(page)
        assert "labels are hidden" in said(page)
        sound(page.button(key="nearest_label_unsure").click().run())
        mine = [row for row in store.decisions(NAME) if row.relevant == "unsure"]
        assert [(row.user_id, row.item_id) for row in mine] == pairs[6:]
        assert not any(row.saw_judge for row in mine)

    def test_the_nearest_are_saved_and_sent_to_review(self, ready: Home, data: Dataset, run_id: str, open_page: Open) -> None:
        pairs = near(ready, data, run_id, 10)
        page = open_page("pair", **click(data))
        page.text_input(key="nearest_name").set_value("like this one")
        sound(page.button(key="nearest_save").click().run())
        kept = Store.open(ready).selection(NAME, "like this one")
        assert list(kept.itertuples(index=False, name=None)) == pairs
        sound(page.button(key="nearest_send").click().run())
        assert page.selectbox(key="review_order").value == "sent"
        assert left(page) == "**10 left** of this session"

        # a reload, or the link in another session, finds them; elsewhere, nothing was sent
        address = dict(page.query_params)
        again = open_page("review", **address)
        assert again.selectbox(key="review_order").value == "sent"
        assert left(again) == "**10 left** of this session"
        user, item = pairs[3]
        walked = open_page("pair", user=user, item=item, list="review-sent", sent=address["sent"])
        assert "4 of 10 · Review\\: Sent here" in said(walked)
        for nothing in ({}, {"sent": "../../x"}, {"sent": "0" * 16}):
            assert "Sent here" not in open_page("review", **nothing).selectbox(key="review_order").options
        sound(again.selectbox(key="review_order").set_value("doubtful").run())
        assert "sent" not in again.query_params
        late = open_page("review", **address)
        shutil.rmtree(ready.cache / "sent")  # a cache may be emptied
        assert sound(late.run()).selectbox(key="review_order").value != "sent"


def left(page: AppTest) -> str:
    """What the bar of progress begins with."""
    [bar] = page.get("progress")
    return str(bar.proto.text).split(" · ")[0]


class TestWithoutTheClick:
    def test_a_click_is_taken_off_and_an_unseen_pair_put_on(
        self, ready: Home, data: Dataset, run_id: str, open_page: Open
    ) -> None:
        base = preview.load(ready, run_id)
        on = int(np.flatnonzero(np.isin(data.train.codes(60), base.edges.codes(60)))[0])
        off = np.setdiff1d(np.arange(data.n_items), data.train.item[data.train.user == data.train.user[0]])[0]
        for pair, way in ((click(data, on), "Without"), (click(data, 0) | {"item": str(data.item_ids[off])}, "With")):
            user, item = list(data.user_ids).index(pair["user"]), list(data.item_ids).index(pair["item"])
            found = preview.turned(base, user, item)
            words = said(open_page("pair", **pair))
            before, after = found.place
            way_told = f"stays at place {before}" if before == after else f"from place {before} to {after}"
            assert f"**{way} this click the item" in words
            assert f"{way_told} of {found.ranked} for this user" in words
            assert f"Score {found.score[0]:.3f} before, {found.score[1]:.3f} after" in words
            assert "Nothing is trained again" in words

    def test_what_a_training_left_out_is_put_on(self, ready: Home, data: Dataset, open_page: Open) -> None:
        labels = Store.open(ready).labels(data).having(Label.NOISY_POSITIVE)  # frozen, and the newest training is on them
        page = open_page("pair", user=str(data.user_ids[labels.user[0]]), item=str(data.item_ids[labels.item[0]]))
        assert "leaves the click out already" in said(page)

    def test_a_training_without_a_graph_says_so(self, ready: Home, data: Dataset, open_page: Open) -> None:
        flat = carry_out(ready, "train", **TRAIN | {"backbone": "mf"})
        page = open_page("pair", run=flat, **click(data))
        assert "(MF) scores by vectors alone" in said(page)
        assert "Came in" not in said(page)


class TestMap:
    def test_the_finding_is_the_share_of_the_recorded_clicks(
        self, ready: Home, data: Dataset, run_id: str, open_page: Open
    ) -> None:
        losses, pair = runs.folder(ready, run_id).losses(), click(data)
        at = int(np.flatnonzero((losses["user"] == data.train.user[7]) & (losses["item"] == data.train.item[7]))[0])
        lower = float((losses["mean"] < losses["mean"][at]).mean())
        steadier = float((losses["variance"] < losses["variance"][at]).mean())
        told = said(open_page("pair", **pair))
        shares = words.beyond(lower), words.beyond(steadier)
        assert "less sure of it than of {} of the clicks, and wavers more than about {}".format(*shares) in told
        path = dynamics.trajectory_of(losses, int(data.train.user[7]), int(data.train.item[7]))
        assert f"Its loss ends at {path[-1]:.2f}: " in told

    def test_a_share_is_rounded_down_as_on_review(self, ready: Home, data: Dataset, run_id: str, open_page: Open) -> None:
        losses = runs.folder(ready, run_id).losses()
        highest = int(losses["mean"].argmax())
        same = (data.train.user == losses["user"][highest]) & (data.train.item == losses["item"][highest])
        page = open_page("pair", run=run_id, **click(data, int(np.flatnonzero(same)[0])))
        assert [tile.value for tile in page.metric if tile.label == "Higher than"] == ["99% of clicks"]  # and not 100 %
        assert "less sure of it than of 99% of the clicks" in said(page)


class TestWalking:
    def test_the_link_names_everything(self, data: Dataset, run_id: str, open_page: Open) -> None:
        page = open_page("pair", **click(data))
        [address] = [code.value for code in page.code if "user=" in code.value]
        assert parse_qs(urlsplit(address).query) == {
            name: [value] for name, value in {"dataset": NAME, "run": run_id, **click(data)}.items()
        }

    def test_the_nearest_of_one_pair_are_walked_through_while_others_are_shown(
        self, ready: Home, data: Dataset, run_id: str, open_page: Open
    ) -> None:
        pairs = near(ready, data, run_id, 10)
        page = open_page("pair", **click(data))
        key = f"nearest_{data.train.user[7]}_{data.train.item[7]}"
        link = {"user": pairs[0][0], "item": pairs[0][1], "list": key}
        sound(page.button(key=f"open:{link}").click().run())
        for place in range(1, 4):
            assert f"{place} of 10 · nearest to user" in said(page)
            assert (page.query_params["user"], page.query_params["item"]) == pairs[place - 1]
            sound(page.button(key="next_pair").click().run())
        sound(page.button(key="previous_pair").click().run())
        assert (page.query_params["user"], page.query_params["item"]) == pairs[2]

    def test_every_list_leads_to_its_own_previous_and_next(self, ready: Home, data: Dataset, open_page: Open) -> None:
        Store.open(ready).keep_selection(NAME, "mine", ids(data, data.train.where(slice(5))), annotator="ann")
        for name, params, key in (("board", {"views": "user High, item High"}, "judged"), ("losses", {}, "losses")):
            page = open_page(name, **params)
            title, _, pairs = page.session_state["pair_lists"][key]
            first = ids(data, pairs)[0]
            page.switch_page("../pages/pair.py")
            page.query_params.update({"user": first[0], "item": first[1], "list": key})
            assert f"1 of {len(pairs):,} · {title}" in told(sound(page.run()))
            sound(page.button(key="next_pair").click().run())
            assert (page.query_params["user"], page.query_params["item"]) == ids(data, pairs)[1]
        page = open_page("losses", tab="Selections")
        sound(page.button(key="losses_saved_walk").click().run())
        assert "1 of 5 · selection mine" in said(page)

    def test_from_review_in_another_tab(self, ready: Home, data: Dataset, open_page: Open) -> None:
        found, _ = candidates.load(ready, data)
        store = Store.open(ready)
        known = queue.gather(data, found, store.judgments(NAME), None)
        order = queue.ordered(known, "doubtful")[:2]
        first, second = ids(data, Interactions(known.user[order], known.item[order]))
        page = open_page("pair", user=first[0], item=first[1], list="review-doubtful", blind="true")
        assert f"1 of {len(known):,} · Review: Most doubtful" in told(page)
        assert page.toggle(key="blind").value
        assert "The judge's two views" not in said(page)
        sound(page.button(key="next_pair").click().run())
        assert (page.query_params["user"], page.query_params["item"]) == second
        assert page.toggle(key="blind").value
        assert Source.HUMAN not in store.labels(data).source
