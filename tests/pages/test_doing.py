"""What people do on the pages: decide, take back, freeze, train, import."""

import shlex
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from app import pairmodel
from core import candidates, datasets, doubt, jobs, pipeline, runs
from core.__main__ import run
from core.artifacts import Home
from core.records import Dataset, Label, LabelSet, Source
from core.runs import State
from core.store import Store
from tests.pages.helpers import NAME, carry_out, said, sound

Open = Callable[..., AppTest]


@pytest.fixture
def data(ready: Home) -> Dataset:
    return datasets.load(ready, NAME)


def judged_pair(home: Home, data: Dataset, label: Label = Label.NOISY_POSITIVE) -> tuple[str, str]:
    labels = Store.open(home).labels(data)
    row = (labels.label == label).argmax()
    return str(data.user_ids[labels.user[row]]), str(data.item_ids[labels.item[row]])


def label_of(home: Home, data: Dataset, pair: tuple[str, str]) -> tuple[int, int]:
    labels: LabelSet = Store.open(home).labels(data)
    row = ((data.user_ids[labels.user] == pair[0]) & (data.item_ids[labels.item] == pair[1])).argmax()
    return int(labels.label[row]), int(labels.source[row])


def press(page: AppTest, answer: str, pair: tuple[str, str]) -> AppTest:
    return sound(page.button(key=f"decide_{answer}:{pair[0]}:{pair[1]}").click().run())


def test_a_decision_overrides_the_judge_and_undo_brings_it_back(ready: Home, data: Dataset, open_page: Open) -> None:
    pair = judged_pair(ready, data)
    page = open_page("pair", user=pair[0], item=pair[1])
    page.text_input(key="annotator").set_value("ada").run()
    page.text_input(key="note").set_value("knows the author").run()
    press(page, "yes", pair)
    assert label_of(ready, data, pair) == (Label.HARD_POSITIVE, Source.HUMAN)
    [decision] = Store.open(ready).decisions(NAME, *pair)
    assert (decision.annotator, decision.note, decision.saw_judge) == ("ada", "knows the author", True)
    assert page.text_input(key="note").value == ""
    sound(page.button(key=f"undo:{decision.id}").click().run())
    assert label_of(ready, data, pair) == (Label.NOISY_POSITIVE, Source.BUILTIN)
    assert len(Store.open(ready).decisions(NAME, *pair)) == 2


def test_a_decision_that_somebody_was_first_with_is_not_written_over(ready: Home, data: Dataset, open_page: Open) -> None:
    pair = judged_pair(ready, data)
    page = open_page("pair", user=pair[0], item=pair[1])
    Store.open(ready).decide(NAME, [pair], "no", annotator="bob")  # in another tab, after this one was drawn
    press(page, "yes", pair)
    assert [row.annotator for row in Store.open(ready).decisions(NAME, *pair)] == ["bob"]
    assert "bob was first" in page.toast[0].value
    press(page, "yes", pair)  # now it has been seen
    assert label_of(ready, data, pair) == (Label.HARD_POSITIVE, Source.HUMAN)
    assert "bob says not relevant" in page.warning[0].value


def test_blind_hides_the_judge_until_decided(ready: Home, data: Dataset, open_page: Open) -> None:
    pair = judged_pair(ready, data)
    page = open_page("pair", user=pair[0], item=pair[1])
    assert "The judge's two views" in said(page)
    page.toggle(key="blind").set_value(True).run()
    assert "The judge's two views" not in said(page)
    press(page, "no", pair)
    assert "The judge's two views" in said(page)
    assert not Store.open(ready).decisions(NAME, *pair)[0].saw_judge


def click(data: Dataset, user: int, item: int) -> dict[str, str]:
    return {"user": str(data.user_ids[user]), "item": str(data.item_ids[item])}


def test_why_a_click_is_doubted_and_blind_hides_it(ready: Home, data: Dataset, open_page: Open) -> None:
    found, _ = candidates.load(ready, data)
    row = int(np.nanargmax(found.doubt))
    page = open_page("pair", **click(data, found.user[row], found.item[row]))
    assert f"More doubtful than {int(100 * found.doubt[row])}% of the training clicks" in said(page)
    assert "people's answers: not enough labels yet: 0 of 30 noisy clicks" in said(page)
    assert "likely noisy" not in said(page).replace("How likely it is noisy", "")
    [table] = [frame.value for frame in page.dataframe if "in the doubt" in frame.value]
    shares = dict(zip(table["signal"], table[pairmodel.LESS], strict=True))
    assert len(shares) == len(found.signals.named())
    ranks = found.signals.rank[found.observed]
    assert shares[doubt.SIGNALS["rank"]] == pytest.approx(100 * (ranks < found.signals.rank[row]).mean())
    assert set(table["signal"][table["in the doubt"] == "✓"]) == {doubt.SIGNALS[name] for name in doubt.DEFAULT}
    page.toggle(key="blind").set_value(True).run()
    assert "doubtful" not in said(sound(page))


def test_a_click_that_is_no_candidate_has_one_sentence(ready: Home, data: Dataset, open_page: Open) -> None:
    found, _ = candidates.load(ready, data)
    rest = data.train.where(~np.isin(data.train.codes(data.n_items), found.codes(data.n_items)))
    words = said(open_page("pair", **click(data, rest.user[0], rest.item[0])))
    assert "not among the clicks that the newest candidates doubt" in words
    assert "More doubtful" not in words
    row = int(np.flatnonzero(~found.observed)[0])
    assert "Why it is doubted" not in said(open_page("pair", **click(data, found.user[row], found.item[row])))


def test_sixty_answers_calibrate_the_doubt(ready: Home, data: Dataset, open_page: Open) -> None:
    assert "How well the doubt agrees with people: not enough labels yet: 0 of 30 noisy clicks" in said(open_page("board"))
    carry_out(ready, "candidates", budget=120, encoder="tfidf", positive_share=1.0)
    found, _ = candidates.load(ready, data)
    order = np.argsort(-found.doubt[found.observed])
    pairs = list(zip(data.user_ids[found.user[order]], data.item_ids[found.item[order]], strict=True))
    store = Store.open(ready)
    store.decide(NAME, pairs[:32], "no", annotator="ada")
    store.decide(NAME, pairs[-30:], "yes", annotator="ada")
    made = candidates.answered(found, store.labels(data), data.n_items)
    assert made.answers == 62
    assert f"AUC {made.calibration.auc:.2f} by 62 answers" in said(open_page("board"))
    row = order[50]
    page = open_page("pair", **click(data, found.user[row], found.item[row]))
    assert f"By 62 answers: **{made.calibration.probability[row]:.0%} likely noisy**" in said(page)
    store.undo(NAME)
    assert "people's answers: not enough labels yet: 0 of 30 relevant clicks" in said(sound(page.run()))


def test_without_a_name_nobody_decides(ready: Home, data: Dataset, open_page: Open) -> None:
    pair = judged_pair(ready, data)
    page = open_page("pair", user=pair[0], item=pair[1])
    page.text_input(key="annotator").set_value(" ").run()
    assert page.button(key=f"decide_yes:{pair[0]}:{pair[1]}").disabled


def test_unknown_pairs_are_named(ready: Home, data: Dataset, open_page: Open) -> None:
    page = open_page("pair", user=str(data.user_ids[0]), item="no such book")
    assert "has no item" in page.warning[0].value


def test_text_of_data_is_never_markdown(home: Home, open_page: Open) -> None:
    evil = "![x](http://evil/a.png) <b>bold</b> **loud** :red[red] $x$"
    folder = home.path.parent
    rows = [(f"u{u}", f"i{(u * 7 + k) % 20}") for u in range(30) for k in range(6)]
    pd.DataFrame(rows, columns=["user", "item"]).to_csv(folder / "clicks.csv", index=False)
    pd.DataFrame({"item": [f"i{n}" for n in range(20)], "title": evil, "text": evil}).to_csv(folder / "things.csv", index=False)
    datasets.import_path(home, folder / "clicks.csv", name=NAME, items=folder / "things.csv")
    data = datasets.load(home, NAME)
    user, item = data.user_ids[data.train.user[0]], data.item_ids[data.train.item[0]]
    Store.open(home).decide(NAME, [(user, item)], "yes", annotator=evil, note=evil)
    for page in (open_page("pair", user=user, item=item), open_page("explore", part="Interactions"), open_page("board")):
        assert not [element.value for element in (*page.markdown, *page.caption) if "evil/a.png" in str(element.value)]
        assert any(evil in str(element.value) for element in page.text)


def test_labels_are_frozen_once(ready: Home, data: Dataset, open_page: Open) -> None:
    page = open_page("board")
    assert page.button(key="freeze").disabled  # nothing has changed since v1
    Store.open(ready).decide(NAME, [judged_pair(ready, data)], "yes", annotator="ada")
    page = open_page("board")
    page.text_input(key="freeze_note").set_value("after review").run()
    sound(page.button(key="freeze").click().run())
    versions = Store.open(ready).versions(NAME)
    assert versions[["version", "note"]].iloc[0].tolist() == ["v2", "after review"]
    assert page.button(key="freeze").disabled


def finish(home: Home, kind: str) -> runs.Run:
    end = time.monotonic() + 60
    while (run := runs.listing(home, NAME, kind)[0]).state.active and time.monotonic() < end:
        time.sleep(0.2)
    return run


def test_a_training_is_started_from_the_form_and_ends_on_the_page(ready: Home, open_page: Open) -> None:
    page = open_page("train", labels="v1")
    page.button_group(key="train_preset").set_value("quick").run()
    for name, value in (("epochs", 4), ("min_epochs", 2), ("dim", 6), ("seed", 5)):
        page.number_input(key=f"train_{name}").set_value(value)
    page.run()
    assert any("--epochs 4" in code.value and "--labels v1" in code.value for code in page.code)
    sound(page.button(key="start_training").click().run())
    run = finish(ready, "train")
    assert run.state is State.DONE
    chosen = ("epochs", "min_epochs", "dim", "seed", "layers", "labels")
    assert [run.settings[name] for name in chosen] == [4, 2, 6, 5, 2, "v1"]
    shown = {metric.label: metric.value for metric in sound(page.run()).metric}
    assert shown["Recall@20"] == f"{run.metrics['test']['recall@20']:.4f}"


def test_the_training_form_shows_what_the_denoiser_reads(ready: Home, open_page: Open) -> None:
    page = open_page("train")

    def shown() -> set[str]:
        return {field.key for field in (*page.number_input, *page.selectbox)}

    assert not {"train_temperature", "train_drawn"} & shown()
    page.selectbox(key="train_denoiser").set_value("sgl").run()
    assert "train_temperature" in shown()
    assert "train_drawn" not in shown()
    assert page.number_input(key="train_contrast").placeholder == "automatic"
    page.number_input(key="train_temperature").set_value(0.5).run()
    assert any("--denoiser sgl --temperature 0.5" in code.value for code in page.code)
    page.selectbox(key="train_denoiser").set_value("plain").run()
    assert not any("--temperature" in code.value for code in sound(page).code)  # what is hidden keeps its default


def test_a_preset_says_what_it_adds_and_its_command_is_valid(ready: Home, open_page: Open) -> None:
    page = open_page("train")
    assert "denoiser llmhni" not in said(page)
    page.button_group(key="train_preset").set_value("default").run()
    assert "trains with the denoiser llmhni and adds the scores of EASE" in said(page)
    page.button_group(key="train_preset").set_value("paper").run()
    assert "trains with the denoiser llmhni." in said(sound(page))
    [command] = [code.value for code in page.code if "core train" in code.value]
    assert "--graph-contrast automatic --drop-contrast automatic" in command
    quickly = ["--epochs", "1", "--min-epochs", "1", "--hard-negatives", "dynamic", "--device", "cpu", "--json"]
    assert run([*shlex.split(command)[3:], *quickly]) == 0


def test_a_dead_training_can_be_resumed_here(ready: Home, open_page: Open) -> None:
    folder = jobs.create(ready, "train", NAME, {"epochs": 3, "min_epochs": 1, "dim": 4, "device": "cpu"})
    folder.update(state=State.RUNNING, pid=2**22 + 1, pid_started=1.0)
    page = open_page("train", show=folder.id)
    assert "ended before it was done" in page.warning[0].value
    sound(page.button(key="resume_train").click().run())
    assert finish(ready, "train").state is State.DONE


def test_candidates_and_judge_are_started_from_their_forms(ready: Home, open_page: Open) -> None:
    page = open_page("board")
    page.number_input(key="find_budget").set_value(30).run()
    page.selectbox(key="find_encoder").set_value("tfidf").run()
    sound(page.button(key="find_candidates").click().run())
    assert finish(ready, "candidates").result["n"] == 30
    page = open_page("board")
    page.selectbox(key="judge_encoder").set_value("tfidf").run()
    sound(page.button(key="judge_candidates").click().run())
    assert finish(ready, "judge").state is State.DONE


def test_the_encoders_address_is_asked_for_only_where_it_is_used(ready: Home, open_page: Open) -> None:
    page = open_page("board")
    for encoder, shown in (("tfidf", set()), ("ollama", {"url"}), ("openai", {"url", "key_env"}), ("auto", set())):
        page.selectbox(key="find_encoder").set_value(encoder).run()
        keys = {field.key for field in page.text_input}
        assert {name for name in ("url", "key_env") if f"find_encoder_{name}" in keys} == shown
    page.selectbox(key="find_encoder").set_value("ollama").run()
    page.text_input(key="find_encoder_url").set_value("http://127.0.0.1:9").run()
    page.button(key="find_candidates").click().run()
    assert "Nothing answers at" in said(page)


def test_without_ollama_the_builtin_rater_is_offered(ready: Home, open_page: Open) -> None:
    page = open_page("board")
    assert "no language model" in said(page)
    page.selectbox(key="judge_judge").set_value("ollama").run()
    page.text_input(key="judge_url").set_value("http://127.0.0.1:9").run()
    assert page.button(key="judge_candidates").disabled
    assert "ollama serve" in said(page)
    sound(page.button(key="use_builtin").click().run())
    assert not page.button(key="judge_candidates").disabled


def test_a_simulated_judge_is_called_a_simulation_everywhere(ready: Home, data: Dataset, open_page: Open) -> None:
    carry_out(ready, "candidates", budget=90, encoder="tfidf")  # 30 at least that the built-in rater has not rated
    page = open_page("board")
    assert "simulation (no judge: known truth with planted errors)" in page.selectbox(key="judge_judge").options
    assert "judge_error" not in [field.key for field in page.number_input]
    page.selectbox(key="judge_judge").set_value("simulated").run()
    assert "A simulation for research" in said(page)
    assert "judge_url" not in [field.key for field in page.text_input]
    page.number_input(key="judge_error").set_value(0.0).run()
    sound(page.button(key="judge_candidates").click().run())
    assert finish(ready, "judge").result["asked"] == 180
    labels = Store.open(ready).labels(data)
    alone = np.flatnonzero(labels.source == Source.SIMULATED)
    assert 30 <= len(alone) < 90  # what the built-in rater said of the others stands
    ids = {"user": str(data.user_ids[labels.user[alone[0]]]), "item": str(data.item_ids[labels.item[alone[0]]])}
    page = open_page("pair", **ids)
    assert "simulation, not a judge" in said(page)
    assert any("simulated judge (research)" in text.value for text in page.markdown)
    page = open_page("board", f_source="simulated")
    assert f"{len(alone)} of {len(labels):,} pairs" in said(page)
    assert {metric.label: metric.value for metric in page.metric}["Simulated judge"] == f"{len(alone)}"
    pipeline.freeze(ready, NAME, annotator="ada")
    assert (Store.open(ready).version(NAME, "v2")["source"] == "simulated").sum() == len(alone)


def test_without_known_truth_no_simulation_is_offered(ready: Home, open_page: Open) -> None:
    """The newest candidates are those of the demo whose truth is taken away."""
    path = ready.datasets / NAME / "dataset.json"
    path.write_text(path.read_text().replace('"has_truth": true', '"has_truth": false'))
    page = open_page("board")
    assert not [words for words in page.selectbox(key="judge_judge").options if "simulation" in words]


def write_clicks(folder: Path) -> Path:
    rows = [(f"u{u}", f"i{(u * 7 + k) % 20}", 1 + (u + k) % 5) for u in range(30) for k in range(6)]
    path = folder / "clicks.csv"
    pd.DataFrame(rows, columns=["who", "item", "stars"]).to_csv(path, index=False)
    return path


def test_a_file_is_checked_before_it_is_imported(home: Home, open_page: Open) -> None:
    path = write_clicks(home.path.parent)
    page = open_page()
    page.button_group(key="import_where").set_value("A path on this computer").run()
    page.text_input(key="import_path").set_value(str(path)).run()
    assert not page.error  # nothing is wrong yet: no column is plainly the user
    assert "Choose the user column above" in said(page)
    page.selectbox(key="import_user").set_value("who").run()
    page.number_input(key="import_threshold").set_value(3.0).run()
    assert "180 of 180 rows kept" in said(page)
    assert datasets.listing(home) == []
    page.text_input(key="import_name").set_value("mine").run()
    sound(page.button(key="import_commit").click().run())
    [info] = datasets.listing(home)
    assert (info.name, info.threshold, info.users) == ("mine", 3.0, 30)
    assert page.selectbox(key="ctx_dataset").value == "mine"


def test_bad_files_end_in_one_sentence(home: Home, open_page: Open) -> None:
    empty = home.path.parent / "empty.csv"
    empty.write_text("")
    page = open_page()
    page.button_group(key="import_where").set_value("A path on this computer").run()
    for path in (str(empty), "/no/such/file.csv"):
        sound(page.text_input(key="import_path").set_value(path).run())
        assert len(page.error) == 1
        assert not [button for button in page.button if button.key == "import_commit"]
    assert datasets.listing(home) == []


def test_uploads_are_put_aside_and_thrown_away_after_the_import(home: Home, open_page: Open) -> None:
    content = write_clicks(home.path.parent).read_bytes().replace(b"who", b"user")
    titles = b"item,title\n" + b"".join(f"i{n},Thing {n}\n".encode() for n in range(20))
    page = open_page()
    files = [("interactions.csv", content, "text/csv"), ("items.csv", titles, "text/csv")]
    page.file_uploader(key="import_files_0").set_value(files).run()
    sound(page.button(key="import_commit").click().run())
    [info] = datasets.listing(home)
    assert datasets.load(home, info.name).item_title[0].startswith("Thing")
    assert list((home.cache / "uploads").iterdir()) == []
