"""The Review page: what keys write, what blind mode sends to the browser, sessions, people who differ."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core import datasets, queue
from core.artifacts import Home
from core.records import Dataset, Label, fingerprint
from core.store import Store
from tests.pages.helpers import NAME, components, said, sound

Open = Callable[..., AppTest]


@pytest.fixture
def data(ready: Home) -> Dataset:
    return datasets.load(ready, NAME)


def sent(page: AppTest) -> dict[str, Any]:
    """What the browser gets."""
    [component] = components(page, "winnow_review")
    return json.loads(component.proto.json)


def name(page: AppTest, annotator: str) -> AppTest:
    return sound(page.text_input(key="annotator").set_value(annotator).run())


def choose(page: AppTest, order: str) -> AppTest:
    return sound(page.selectbox(key="review_order").set_value(order).run())


class Keys:
    """Sends what app/keyboard.js sends: every action that no snapshot has acknowledged."""

    def __init__(self, page: AppTest, client: str = "c1") -> None:
        self.page, self.client, self.entries = page, client, []

    def press(self, do: str, identifier: int | None = None, **more: Any) -> None:
        seq = len(self.entries) + 1
        entry = {"seq": seq, "token": f"{self.client}-{seq}", "who": self.page.text_input(key="annotator").value, "do": do}
        self.entries.append(entry | {"id": identifier, "saw": True} | more)

    def send(self) -> dict[str, Any]:
        snapshot = sent(self.page)
        acknowledged = snapshot["acks"].get(self.client, 0)
        pending = [entry for entry in self.entries if entry["seq"] > acknowledged]
        log = {"scope": snapshot["scope"], "client": self.client, "entries": pending}
        self.page.session_state["review_keys"] = {"log": log}
        sound(self.page.run())
        return sent(self.page)


def pair_of(data: Dataset, code: int) -> tuple[str, str]:
    return str(data.user_ids[code // data.n_items]), str(data.item_ids[code % data.n_items])


def test_keys_are_written_once_in_order_with_their_annotator(ready: Home, data: Dataset, open_page: Open) -> None:
    page = name(open_page("review"), "ada")
    first = sent(page)["queue"]
    keys = Keys(page)
    keys.press("yes", first[0], note="knows the author", reason="true-taste")
    keys.press("no", first[1])
    keys.press("flag", first[2])
    keys.press("skip", first[3])
    snapshot = keys.send()
    assert snapshot["acks"] == {"c1": 4}
    rows = Store.open(ready).decisions(NAME)
    assert [(row.user_id, row.item_id) for row in rows] == [pair_of(data, code) for code in first[:3]]
    assert [(row.relevant, row.reason, row.annotator) for row in rows] == [
        ("yes", "true-taste", "ada"),
        ("no", "", "ada"),
        ("unsure", queue.SECOND_LOOK, "ada"),
    ]
    assert rows[0].note == "knows the author"
    assert snapshot["queue"] == [*first[4:50], first[3]]  # the skipped one comes last
    page.session_state["review_keys"] = {"log": {"scope": snapshot["scope"], "client": "c1", "entries": keys.entries}}
    page.run()  # sent once more
    page.session_state["review_keys"] = {"log": {"scope": snapshot["scope"], "client": "other life", "entries": keys.entries}}
    page.run()  # and by a page that was loaded anew before it heard of the acknowledgement
    assert Store.open(ready).decisions(NAME) == rows


def test_undo_and_redo_work_in_a_new_session_and_on_bulk(ready: Home, data: Dataset, open_page: Open) -> None:
    page = name(open_page("review"), "ada")
    first = sent(page)["queue"]
    Store.open(ready).decide(NAME, [pair_of(data, code) for code in first[:5]], "no", annotator="ada")
    keys = Keys(page)
    keys.press("yes", first[5])
    keys.send()
    page = name(open_page("review"), "ada")  # a reload: everything but the store is forgotten
    snapshot = sent(page)
    assert [one["n"] for one in snapshot["undo"]] == [5, 1]
    assert not set(first[:6]) & set(snapshot["queue"])
    keys = Keys(page, "c2")
    keys.press("undo", target=snapshot["undo"][1]["batch"])
    keys.press("undo", target=snapshot["undo"][0]["batch"])
    snapshot = keys.send()
    assert set(first[:6]) <= set(snapshot["queue"])
    assert not len(Store.open(ready).standing(NAME))
    assert [one["n"] for one in snapshot["redo"]] == [1, 5]
    keys.press("redo")
    snapshot = keys.send()
    assert len(Store.open(ready).standing(NAME)) == 5
    keys.press("undo")
    keys.press("undo")
    keys.send()
    assert "no decision to undo" in said(page)


def test_blind_sends_nothing_of_the_judge(ready: Home, data: Dataset, open_page: Open) -> None:
    Store.open(ready).decide(NAME, [pair_of(data, sent(open_page("review"))["queue"][0])], "no", annotator="bob")
    page = name(open_page("review"), "ada")
    shown = sent(page)
    assert any(item["judge"] for item in shown["items"].values())
    assert shown["items"][str(shown["queue"][0])]["others"] == [{"who": "bob", "said": "not relevant"}]
    answers = Store.open(ready).judgments(NAME)
    texts = [text for text in answers["analysis"] if text]
    assert any(json.dumps(text)[1:-1] in json.dumps(shown) for text in texts)
    page.toggle(key="blind").set_value(True).run()
    blind = sent(sound(page))
    assert blind["blind"]
    raw = json.dumps(blind)
    assert not any(json.dumps(text)[1:-1] in raw for text in texts)
    for item in blind["items"].values():
        assert (item["judge"], item["doubt"], item["others"], item["settles"]) == (None, "", [], False)
    for order in page.selectbox(key="review_order").options:
        assert order not in ("Views disagree", "Judge against loss")
    page.button_group(key="review_mode").set_value("in bulk").run()
    [table] = [frame.value for frame in sound(page).dataframe]
    assert list(table.columns) == ["user", "title", "category", "clicked"]
    page.button_group(key="review_mode").set_value("one by one").run()
    keys = Keys(page)
    keys.press("yes", blind["queue"][0], saw=False)
    snapshot = keys.send()
    item = snapshot["items"][str(blind["queue"][0])]
    assert item["others"]  # decided: now it may be seen
    assert not Store.open(ready).decisions(NAME)[-1].saw_judge


def test_blind_pair_page_hides_label_source_and_timeline(ready: Home, data: Dataset, open_page: Open) -> None:
    labels = Store.open(ready).labels(data)
    row = int(np.flatnonzero(labels.label == Label.NOISY_POSITIVE)[0])
    code = int(labels.codes(data.n_items)[row])
    user, item = pair_of(data, code)
    page = name(open_page("pair", user=user, item=item), "ada")
    Store.open(ready).decide(NAME, [(user, item)], "yes", annotator="bob", note="secret note")
    page.run()
    for hint in ("hard positive · a person", "bob"):
        assert hint in said(page) + str([frame.value.to_dict() for frame in page.dataframe])
    page.toggle(key="blind").set_value(True).run()
    seen = said(sound(page)) + str([frame.value.to_dict() for frame in page.dataframe])
    for hint in ("built-in rater", "a person", "bob", "secret note", "user view", "Timeline"):
        assert hint not in seen.replace("A person looked", "")
    assert not any("label" in frame.value.columns for frame in page.dataframe)
    page.button(key=f"decide_no:{user}:{item}").click().run()
    assert "Timeline" in said(sound(page))


def test_an_answer_in_another_window_is_told_and_both_are_kept(ready: Home, data: Dataset, open_page: Open) -> None:
    page = name(open_page("review"), "ada")
    code = sent(page)["queue"][0]
    store = Store.open(ready)
    store.decide(NAME, [pair_of(data, code)], "yes", annotator="ada")
    store.decide(NAME, [pair_of(data, code)], "yes", annotator="bob")
    keys = Keys(page)
    keys.press("no", code, seen=0)
    keys.send()
    assert [(row.annotator, row.relevant) for row in store.decisions(NAME)] == [("ada", "yes"), ("bob", "yes"), ("ada", "no")]
    assert "bob had answered" in page.warning[0].value
    page.button(key="notices_seen").click().run()
    assert not page.warning


def test_a_third_person_settles_what_two_differ_about(ready: Home, data: Dataset, open_page: Open) -> None:
    code = sent(open_page("review"))["queue"][0]
    user, item = pair_of(data, code)
    store = Store.open(ready)
    store.decide(NAME, [(user, item)], "yes", annotator="ada")
    store.decide(NAME, [(user, item)], "no", annotator="bob")
    page = choose(name(open_page("review"), "ada"), "differ")
    assert "Nothing to do" in said(page)  # who is one of them cannot
    page = name(page, "cyd")
    snapshot = sent(page)
    assert snapshot["queue"] == [code]
    shown = snapshot["items"][str(code)]
    assert shown["settles"]
    assert {(one["who"], one["said"]) for one in shown["others"]} == {("ada", "relevant"), ("bob", "not relevant")}
    pair = name(open_page("pair", user=user, item=item), "dan")
    assert "your decision settles it" in pair.warning[0].value
    keys = Keys(page)
    keys.press("yes", code, settles=True, reason="one-off", note="asked the user")
    keys.send()
    last = store.decisions(NAME)[-1]
    assert (last.annotator, last.reason, last.note) == ("cyd", queue.SETTLED, "a one-off. asked the user")
    assert len(store.standing(NAME)) == 3
    assert not len(queue.differing(store.standing(NAME)))
    assert "cyd settled it" in pair.run().info[0].value
    assert sent(page)["items"][str(code)]["settles"]  # for cyd, who may think again
    pair = name(open_page("pair", user=user, item=item), "cyd")
    sound(pair.button(key=f"decide_no:{user}:{item}").click().run())
    last = store.decisions(NAME)[-1]
    assert (last.annotator, last.relevant, last.reason) == ("cyd", "no", queue.SETTLED)
    assert not len(queue.differing(store.standing(NAME)))


def test_a_session_ends_with_a_summary_and_agreement_but_not_blind(ready: Home, data: Dataset, open_page: Open) -> None:
    page = name(open_page("review"), "ada")
    page.selectbox(key="review_size").set_value(20).run()
    codes = sent(page)["queue"]
    assert len(codes) == 20
    keys = Keys(page)
    for code in codes[:19]:
        keys.press("no", code)
    keys.send()
    assert "agree with the judge" not in said(page) + str([box.value for box in page.success])
    assert "1 left" in page.get("progress")[0].proto.text
    assert "19 decided today" in page.get("progress")[0].proto.text
    keys.press("yes", codes[19])
    assert keys.send()["queue"] == []
    [summary] = page.success
    assert "20 pairs decided: 1 relevant, 19 not relevant, 0 unsure." in summary.value
    assert "agree with the judge" in summary.value
    page.toggle(key="blind").set_value(True).run()
    assert "agree with the judge" not in page.success[0].value
    page.toggle(key="blind").set_value(False).run()
    page.button(key="review_again").click().run()
    again = sent(sound(page))["queue"]
    assert len(again) == 20
    assert not set(again) & set(codes)


def test_flagged_pairs_are_an_order_until_somebody_decides(ready: Home, data: Dataset, open_page: Open) -> None:
    page = name(open_page("review"), "ada")
    code = sent(page)["queue"][0]
    keys = Keys(page)
    keys.press("flag", code)
    keys.send()
    page = choose(page, "flagged")
    assert sent(page)["queue"] == [code]
    keys.press("no", code)
    keys.send()
    assert sent(page)["queue"] == []


def test_learning_says_what_is_missing_and_then_how_good_it_is(ready: Home, data: Dataset, open_page: Open) -> None:
    page = choose(name(open_page("review"), "ada"), "learned")
    assert "Not enough labels yet (0 of 10 relevant)" in said(page)
    assert sent(page)["queue"]
    store, labels = Store.open(ready), Store.open(ready).labels(data)
    relevant = np.isin(labels.label, (Label.HARD_POSITIVE, Label.MISSED_POSITIVE))
    for answer, chosen in (("yes", relevant), ("no", ~relevant)):
        store.decide(
            NAME, [pair_of(data, int(code)) for code in labels.codes(data.n_items)[chosen][:11]], answer, annotator="ada"
        )
    page.run()
    [told] = [caption.value for caption in sound(page).caption if "held-out AUC" in str(caption.value)]
    assert "11 relevant and 11 not relevant" in told
    assert 0.5 < float(told.split("AUC ")[1][:4]) <= 1


def test_the_audit_sample_is_drawn_and_walked_through_in_its_order(ready: Home, data: Dataset, open_page: Open) -> None:
    page = choose(name(open_page("review"), "ada"), "sample")
    assert "No audit sample yet" in said(page)
    page = sound(page.button(key="audit_draw_sample").click().run())
    drawn = Store.open(ready).sampled(NAME)
    wanted = [(row.user_id, row.item_id) for row in drawn.head(50).itertuples()]
    assert [pair_of(data, code) for code in sent(page)["queue"]] == wanted


def tick(page: AppTest, codes: list[int], *rows: int, blind: bool = False) -> None:
    """As in the table of these pairs, before any tick was taken away."""
    key = f"bulk_table:{blind}:{fingerprint(np.array(codes, np.int64), 0)}"
    page.session_state[key] = {"selection": {"rows": list(rows), "columns": [], "cells": []}}
    sound(page.run())


def test_ticks_outlive_pages_orders_and_filters_and_are_of_pairs(ready: Home, data: Dataset, open_page: Open) -> None:
    page = name(open_page("review"), "ada")
    page.selectbox(key="review_size").set_value(100).run()
    codes = sent(page)["queue"]
    assert len(codes) == 60
    page.button_group(key="review_mode").set_value("in bulk").run()
    tick(page, codes[:50], 1, 4)
    page.session_state["bulk_page"] = 2
    page.run()
    tick(page, codes[50:], 0)
    choose(page, "influence")
    told = [button.label for button in page.button if button.key == "bulk_no"]
    assert told == ["Not relevant · 3"]
    wanted = [codes[1], codes[4], codes[50]]
    page.query_params["f_user"] = pair_of(data, codes[1])[0]
    sound(page.run())
    fitting = [code for code in wanted if pair_of(data, code)[0] == pair_of(data, codes[1])[0]]
    assert page.button(key="bulk_no").label == f"Not relevant · {len(fitting)}"
    assert f"{3 - len(fitting)} more are ticked and not in this list" in said(page)
    page.query_params.pop("f_user")
    choose(sound(page.run()), "doubtful")
    sound(page.button(key="bulk_no").click().run())
    rows = Store.open(ready).decisions(NAME)
    assert {(row.user_id, row.item_id) for row in rows} == {pair_of(data, code) for code in wanted}
    assert "more are ticked" not in said(page)
    assert page.button(key="bulk_no").disabled


def test_bulk_answers_the_chosen_and_undo_takes_them_back_as_one(ready: Home, data: Dataset, open_page: Open) -> None:
    page = name(open_page("review"), "ada")
    codes = sent(page)["queue"]
    page.button_group(key="review_mode").set_value("in bulk").run()
    assert page.button(key="bulk_no").disabled
    tick(page, codes[:50], 0, 2, 3)
    page.text_input(key="bulk_note").set_value("all alike").run()
    sound(page.button(key="bulk_no").click().run())
    rows = Store.open(ready).decisions(NAME)
    assert [(row.user_id, row.item_id) for row in rows] == [pair_of(data, codes[place]) for place in (0, 2, 3)]
    assert {(row.relevant, row.note, row.annotator) for row in rows} == {("no", "all alike", "ada")}
    assert len({row.batch for row in rows}) == 1
    sound(page.button(key="bulk_undo").click().run())
    assert not len(Store.open(ready).standing(NAME))


def test_guidelines_are_edited_for_one_dataset(ready: Home, open_page: Open) -> None:
    page = open_page("review")
    assert "Answer for the user, not for yourself" in said(page)
    page.text_area(key=f"guidelines_text:{NAME}").set_value("Only **books**.").run()
    sound(page.button(key="guidelines_save").click().run())
    assert "Only **books**." in [text.value for text in open_page("review").text]


def test_without_a_name_no_key_counts(ready: Home, open_page: Open) -> None:
    page = name(open_page("review"), " ")
    assert sent(page)["who"] == ""
