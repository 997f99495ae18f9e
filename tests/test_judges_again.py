"""Asking a judge again with one thing changed: a real server process, a real store."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core import candidates as finding
from core import counterfactuals, datasets, judges, semantic
from core.artifacts import Home
from core.errors import Fatal, NotFoundError, SettingsError
from core.judges import again, asked
from core.judges.attributes import Attributes
from core.judges.likeness import Likeness
from core.records import Candidates, Dataset
from core.settings import AgainSettings, CandidateSettings, JudgeSettings
from core.store import Store
from core.store.counterfactuals import Change
from tests.judging_fixtures import candidates, catalogue, ollama
from tests.model_server.process import ModelServer

Serve = Callable[..., ModelServer]
PAIR = (0, 10)
IDS = {"user": "u0", "item": "i10"}


@pytest.fixture
def shop() -> Dataset:
    return catalogue()


@pytest.fixture
def pairs(shop: Dataset) -> Candidates:
    return candidates(shop, PAIR, (1, 12))


def judged(store: Store, shop: Dataset, pairs: Candidates, settings: JudgeSettings, cache: Path) -> None:
    judges.run(store, shop, pairs, judges.make(settings, cache), settings)


def ask(store: Store, shop: Dataset, pairs: Candidates, settings: JudgeSettings, cache: Path, **changes: object) -> again.Summary:
    chosen = AgainSettings(**settings.model_dump(), **IDS, annotator="ada", **changes)
    return again.run(store, shop, pairs, judges.make(chosen, cache), chosen)


def sent(rows, change: Change, view: str) -> str:
    [prompt] = rows[(rows["change"] == change) & (rows["view"] == view)]["prompt"]
    return json.loads(prompt)[-1]["content"]


def test_each_change_is_one_change(store: Store, shop: Dataset, pairs: Candidates, serve: Serve, tmp_path: Path) -> None:
    settings = ollama(serve(), history_items=3)
    judged(store, shop, pairs, settings, tmp_path)
    first = store.judgments("shop").set_index(["user_id", "view"])
    past = asked.history(shop, pairs, settings, *PAIR)
    shown, apart = past[1], past[3]
    without = tuple(shop.item_ids[[shown, apart]])
    told = ask(store, shop, pairs, settings, tmp_path, without=without, reverse=True, title_only=True, seeds=2)
    assert (told.answered, told.known, told.failed, told.unread) == (10, 0, 0, [])
    rows = store.counterfactuals("shop", "u0", "i10")
    before = {view: json.loads(first.loc[("u0", view), "prompt"])[-1]["content"] for view in ("user", "item")}
    titles = shop.item_title
    lines = [line for line in before["item"].splitlines() if line.startswith("<past")]
    left = [line for line in sent(rows, Change.WITHOUT, "item").splitlines() if line.startswith("<past")]
    assert [line.split(">", 1)[1] for line in left] == [line.split(">", 1)[1] for line in (lines[0], lines[2])]
    assert titles[apart] in before["user"]
    assert titles[apart] not in sent(rows, Change.WITHOUT, "user")
    assert f"Of {len(past)} items" in before["user"]
    assert f"Of {len(past) - 2} items" in sent(rows, Change.WITHOUT, "user")
    turned = [line.split(">", 1)[1] for line in sent(rows, Change.REVERSED, "item").splitlines() if line.startswith("<past")]
    assert turned == [line.split(">", 1)[1] for line in reversed(lines)]
    for view in ("user", "item"):
        assert "description: unknown" in sent(rows, Change.TITLE, view)
        assert sent(rows, Change.TITLE, view).split("<candidate")[0] == before[view].split("<candidate")[0]
    seeds = rows[rows["change"] == Change.SEED]
    assert (seeds["prompt"].map(json.loads).map(lambda said: said[-1]["content"]).isin(before.values())).all()
    assert sorted(seeds["number"]) == [1, 1, 2, 2]
    assert set(rows["of_key"]) == set(first.loc["u0"]["key"])
    assert set(rows["annotator"]) == {"ada"}


def test_nothing_is_asked_twice_and_nothing_is_a_judgment(
    store: Store, shop: Dataset, pairs: Candidates, serve: Serve, tmp_path: Path
) -> None:
    server = serve()
    settings = ollama(server)
    judged(store, shop, pairs, settings, tmp_path)
    judgments, labels = store.judgments("shop"), store.labels(shop)
    change = {"reverse": True, "title_only": True, "seeds": 1}
    ask(store, shop, pairs, settings, tmp_path, **change)
    revision, n = store.revision("shop"), len(server.calls())
    told = ask(store, shop, pairs, settings, tmp_path, **change)
    assert (told.answered, len(server.calls()), store.revision("shop")) == (0, n, revision)
    assert store.judgments("shop").equals(judgments)
    now = store.labels(shop)
    assert np.array_equal(now.label, labels.label)
    assert np.array_equal(now.source, labels.source)
    judged(store, shop, pairs, settings.model_copy(update={"samples": 1}), tmp_path)
    assert len(server.calls()) == n + 2  # the other pair's: this pair's further answer is there


def test_further_answers_of_a_judging_are_used(
    store: Store, shop: Dataset, pairs: Candidates, serve: Serve, tmp_path: Path
) -> None:
    server = serve()
    settings = ollama(server, samples=1)
    judged(store, shop, pairs, settings, tmp_path)
    n = len(server.calls())
    told = ask(store, shop, pairs, settings, tmp_path, seeds=1)
    assert (told.known, told.answered, len(server.calls())) == (2, 0, n)
    rows = store.counterfactuals("shop")
    assert set(rows["at"]) == set(store.further(rows["key"])["at"])


def test_where_the_texts_are_others_by_now_the_question_itself_comes_first(
    store: Store, shop: Dataset, pairs: Candidates, serve: Serve, tmp_path: Path
) -> None:
    server = serve()
    judged(store, shop, pairs, ollama(server, history_items=2), tmp_path)
    first = store.judgments("shop", "u0", "i10").set_index("view")
    told = ask(store, shop, pairs, ollama(server, history_items=5), tmp_path, title_only=True)
    assert told.answered == 4
    rows = store.counterfactuals("shop")
    anew = rows[rows["change"] == Change.NOTHING].set_index("view")
    assert (anew["before"] == first["rating"].reindex(anew.index)).all()
    changed = rows[rows["change"] == Change.TITLE].set_index("view")
    assert (changed["before"] == anew["rating"].reindex(changed.index)).all()
    assert (rows["of_key"].isin(first["key"])).all()
    assert not rows["base_key"].isin(first["key"]).any()


def test_of_two_askings_with_other_texts_the_newest_is_told(
    store: Store, shop: Dataset, pairs: Candidates, serve: Serve, tmp_path: Path
) -> None:
    server = serve()
    settings = ollama(server, history_items=2)
    judged(store, shop, pairs, settings, tmp_path)
    ask(store, shop, pairs, settings, tmp_path, title_only=True)
    ask(store, shop, pairs, ollama(server, history_items=5), tmp_path, title_only=True)
    rows = store.counterfactuals("shop")
    assert len(rows[rows["change"] == Change.TITLE]) == 4
    [found] = [one for one in counterfactuals.findings(shop, rows) if one.change is Change.TITLE]
    assert len(found.rows) == 2
    assert "further answers" not in found.sentence
    assert found.moved == (found.rows["before"] != found.rows["rating"]).any()


def test_a_profile_that_the_model_wrote_is_read_again(
    store: Store, shop: Dataset, pairs: Candidates, serve: Serve, tmp_path: Path
) -> None:
    server = serve()
    settings = ollama(server, profiles="written")
    judged(store, shop, pairs, settings, tmp_path)
    past = asked.history(shop, pairs, settings, *PAIR)
    n = len(server.calls())
    told = ask(store, shop, pairs, settings, tmp_path, title_only=True, without=(shop.item_ids[past[0]],))
    assert told.unread == [("user", "without")]  # the profile stays as it was written
    rows = store.counterfactuals("shop")
    assert len(server.calls()) - n == len(rows) == 3
    assert set(rows["change"]) == {"title", "without"}  # the question as it stands has its answer


def test_the_settings_of_a_judgment_are_found_again(home: Home, call: Callable, serve: Serve) -> None:
    """Rubric and profiles by its prompt version, the rest by the newest judging of its model."""
    call("demo", "--users", 50, "--items", 60, "--interactions", 600)
    data = datasets.load(home, "demo")
    finding.save(home, data, candidates(data, (0, 1), (1, 17)), CandidateSettings(), "a-run")
    store = Store.open(home)
    url = serve().url
    call("judge", "--judge", "ollama", "--url", url, "--history-items", 4)
    store.add_rubric("demo", user="High, Mid or Low?", item="High, Mid or Low?", annotator="ann")
    pair = str(data.user_ids[0]), str(data.item_ids[1])
    values = asked.settings_of(home, "demo", again.first(store, "demo", *pair).iloc[0])
    expected = {"judge": "ollama", "url": url, "rubric": "built-in", "profiles": "made", "history_items": 4}
    assert {name: values[name] for name in expected} == expected
    told = call("judge", "again", *pair, "--title-only")
    assert (told["answered"], told["counterfactuals"][0]["change"]) == (2, "title")  # the newer rubric is not asked with


def test_a_pair_that_the_newest_search_did_not_find(
    store: Store, shop: Dataset, pairs: Candidates, serve: Serve, tmp_path: Path
) -> None:
    settings = ollama(serve())
    judged(store, shop, pairs, settings, tmp_path)
    told = ask(store, shop, pairs.where(pairs.user == 1), settings, tmp_path, title_only=True)
    assert told.failed == 0
    assert Change.TITLE in store.counterfactuals("shop")["change"].tolist()


def test_bad_answers_have_their_budget_and_are_told(
    store: Store, shop: Dataset, pairs: Candidates, serve: Serve, tmp_path: Path
) -> None:
    server = serve()
    settings = ollama(server)
    judged(store, shop, pairs, settings, tmp_path)
    server.change_faults("malformed:1:3")
    told = ask(store, shop, pairs, settings, tmp_path, title_only=True)
    assert (told.failed, told.answered) == (1, 1)
    assert "JSON" in told.last_error
    assert ask(store, shop, pairs, settings, tmp_path, title_only=True).answered == 1


def test_a_stop_keeps_what_is_done(store: Store, shop: Dataset, pairs: Candidates, serve: Serve, tmp_path: Path) -> None:
    server = serve()
    settings = ollama(server, workers=1)
    judged(store, shop, pairs, settings, tmp_path)
    server.change_faults("hang:1")
    chosen = AgainSettings(**settings.model_dump(), **IDS, title_only=True)
    seen = len(server.calls())
    told = again.run(
        store,
        shop,
        pairs,
        judges.make(chosen, tmp_path),
        chosen,
        should_stop=lambda: len(server.told()["calls"]) > seen,
    )
    assert told.answered == 0
    assert not len(store.counterfactuals("shop"))


def test_without_a_server_it_says_so(store: Store, shop: Dataset, pairs: Candidates, serve: Serve, tmp_path: Path) -> None:
    server = serve()
    settings = ollama(server)
    judged(store, shop, pairs, settings, tmp_path)
    server.process.kill()
    server.process.wait()
    with pytest.raises(Fatal):
        ask(store, shop, pairs, settings, tmp_path, title_only=True)


def test_the_built_in_rater_without_what_it_rests_on(store: Store, shop: Dataset, home: Home, tmp_path: Path) -> None:
    settings = JudgeSettings(judge="builtin", encoder="tfidf")
    clicked = int(shop.train.item[shop.train.user == 0][0])
    pairs = candidates(shop, (0, clicked))
    judged(store, shop, pairs, settings, tmp_path)
    past = asked.history(shop, pairs, settings, 0, clicked)
    ids = {"user": "u0", "item": str(shop.item_ids[clicked])}
    chosen = AgainSettings(**settings.model_dump(), **ids, without=tuple(shop.item_ids[[item for item in past if item != 10]]))
    told = again.run(store, shop, pairs, judges.make(chosen, tmp_path), chosen)
    assert told.answered == 2
    rows = store.counterfactuals("shop")
    assert rows["before"].tolist() == ["High", "High"]
    assert (rows["rating"] != "High").all()  # of all the jazz only a rose is left
    assert all("1 other chosen items" in said or "Rose" in said for said in rows["analysis"])
    found = counterfactuals.findings(shop, rows)
    assert found[0].moved
    assert "the rating rests on them" in found[0].sentence
    with pytest.raises(SettingsError, match="it reads no order"):
        chosen = AgainSettings(**settings.model_dump(), **ids, reverse=True)
        again.run(store, shop, pairs, judges.make(chosen, tmp_path), chosen)


def test_leaving_an_item_out_is_as_if_it_was_never_chosen(shop: Dataset, tmp_path: Path) -> None:
    """Measures with an item left out are those of a dataset without that click."""
    vectors = semantic.encode_items(shop, JudgeSettings(encoder="tfidf"), tmp_path).vectors
    attributes = Attributes(shop)
    less = Likeness(shop, attributes, vectors).without(0, np.array([10, 2]))
    kept = ~((shop.train.user == 0) & np.isin(shop.train.item, [10, 2]))
    smaller = replace(shop, train=shop.train.where(kept))
    rebuilt = Attributes(smaller)
    rebuilt.weight = attributes.weight
    expected = Likeness(smaller, rebuilt, vectors)
    user, item = np.array([0, 0, 1]), np.array([10, 0, 12])
    for view, values in expected.measures(user, item).items():
        np.testing.assert_allclose(less.measures(user, item)[view], values, atol=1e-6)
    assert less.shared(0, 0) == expected.shared(0, 0)
    assert less.nearest(0, 0) == expected.nearest(0, 0)


def test_what_cannot_be_asked(store: Store, shop: Dataset, pairs: Candidates, serve: Serve, tmp_path: Path) -> None:
    settings = ollama(serve())
    with pytest.raises(NotFoundError, match="nothing to compare"):
        ask(store, shop, pairs, settings, tmp_path, reverse=True)
    judged(store, shop, pairs, settings, tmp_path)
    with pytest.raises(SettingsError, match="Nothing is to be changed"):
        ask(store, shop, pairs, settings, tmp_path)
    with pytest.raises(NotFoundError, match="no item"):
        ask(store, shop, pairs, settings, tmp_path, without=("none",))
    with pytest.raises(NotFoundError, match="no user"):
        again.run(store, shop, pairs, judges.make(settings, tmp_path), AgainSettings(user="x", item="i1", reverse=True))


def test_a_simulation_with_another_seed_errs_on_other_pairs(home: Home, call: Callable) -> None:
    call("demo", "--users", 50, "--items", 60, "--interactions", 600)
    data = datasets.load(home, "demo")
    finding.save(home, data, candidates(data, (0, 1), (1, 17)), CandidateSettings(), "a-run")
    call("judge", "--judge", "simulated", "--error", 0.5)
    user, item = data.user_ids[0], data.item_ids[1]
    told = call("judge", "again", user, item, "--seeds", 8)
    assert told["answered"] == 16
    rows = Store.open(home).counterfactuals("demo")
    assert rows["key"].nunique() == 16
    assert set(rows["rating"]) == {"High", "Low"}  # with an error rate of a half
    assert "reads the truth" in call("judge", "again", user, item, "--reverse", code=2)["error"]
