"""A preview against the run itself, against a dense propagation, and on a real run folder."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import datasets, jobs, pipeline, preview, runs, train
from core.artifacts import Home
from core.compare import deltas
from core.denoisers import DENOISERS
from core.errors import NotFoundError, RunError
from core.evaluate import evaluate, top_lists
from core.labels import label_of
from core.preview import Base
from core.records import Dataset, Embeddings, Interactions, Label, LabelSet, Source
from core.settings import CompareSettings, DemoSettings, TrainSettings
from core.store import Store

SHORT = {"epochs": 4, "min_epochs": 1, "eval_every": 2, "dim": 8, "layers": 2, "batch_size": 128, "device": "cpu"}
QUICK = CompareSettings(resamples=100)
RUN = runs.Run("demo-1", "train", "demo", {}, 0.0)


def dataset_of(planted) -> Dataset:  # noqa: ANN001
    """The planted data as a dataset."""
    users, items = (np.array([f"{kind}{place}" for place in range(n)], object) for kind, n in (("u", 40), ("i", 30)))
    blank = [np.full(len(ids), "", object) for ids in (users, items, items)]
    return Dataset("demo", users, items, blank[0], items, *blank[1:], planted.train, planted.valid, planted.test, "x")


def labels_for(data: Dataset, pairs: dict[tuple[int, int], tuple[bool, Source]]) -> LabelSet:
    """Labels of pairs {(user, item): (relevant, source)}."""
    codes = set(data.train.codes(data.n_items).tolist())
    rows = [(u, i, u * data.n_items + i in codes, relevant, source) for (u, i), (relevant, source) in sorted(pairs.items())]
    columns = list(zip(*((u, i, o, label_of(r, o), s) for u, i, o, r, s in rows), strict=True)) or [()] * 5
    kinds = (np.int32, np.int32, bool, np.int8, np.int8)
    return LabelSet(*(np.array(column, kind) for column, kind in zip(columns, kinds, strict=True)))


def trained(planted, own: LabelSet | None = None, **changes: object) -> tuple[train.Fit, Base]:  # noqa: ANN001
    data, chosen = dataset_of(planted), TrainSettings(**SHORT | changes)
    texts = planted.relevance if DENOISERS[chosen.denoiser].text(chosen) else None
    fit = train.fit(data.train, data.valid, data.n_users, data.n_items, chosen, own, texts)
    return fit, preview.base_of(RUN, data, chosen, fit.learned, own)


SOME = {
    (0, 6): (False, Source.HUMAN),
    (1, 1): (False, Source.BUILTIN),
    (2, 4): (False, Source.LLM),
    (3, 0): (True, Source.HUMAN),
    (4, 1): (True, Source.LLM),
}


@pytest.mark.parametrize("backbone", ["lightgcn", "ngcf"])
@pytest.mark.parametrize("denoiser", DENOISERS.names())
@pytest.mark.parametrize("labelled", [False, True])
def test_the_same_labels_give_the_run_itself(planted, backbone: str, denoiser: str, labelled: bool) -> None:  # noqa: ANN001
    own = labels_for(dataset_of(planted), SOME) if labelled else None
    more = {"ramp_epochs": 2, "contrast": 0.1, "noisy_weight": 0.4}
    fit, base = trained(planted, own, backbone=backbone, denoiser=denoiser, **more)
    found = preview.preview(base, base.labels, comparison=QUICK)
    np.testing.assert_array_equal(found.vectors.user, fit.embeddings.user)
    np.testing.assert_array_equal(found.vectors.item, fit.embeddings.item)
    for name, values in fit.valid.per_user.items():
        np.testing.assert_array_equal(found.report.per_user[name], values)
    assert len(found.changes) == 0
    assert not found.replaced().any()
    assert all((delta.delta, delta.low, delta.high) == (0, 0, 0) for delta in found.metrics.values())


def test_a_pruned_click_stays_out_whatever_the_labels_say(planted) -> None:  # noqa: ANN001
    _, base = trained(planted, denoiser="prune", ramp_epochs=2)
    gone = base.learned.taken_out
    assert len(gone) > 0
    kept = labels_for(base.dataset, {(int(code // 30), int(code % 30)): (True, Source.HUMAN) for code in gone})
    assert len(preview.preview(base, kept, comparison=QUICK).changes) == 0


def test_a_blend_is_fitted_again_on_the_refined_graph(planted) -> None:  # noqa: ANN001
    own = labels_for(dataset_of(planted), SOME)
    fit, base = trained(planted, own, blend="ease")
    found = preview.preview(base, own, comparison=QUICK)
    assert found.report.means() == fit.valid.means()
    without = preview.preview(base, preview.labels_by(base.dataset, NONE, DECISIONS, frozenset()), comparison=QUICK)
    plain_fit = train.fit(base.dataset.train, base.dataset.valid, 40, 30, TrainSettings(**SHORT | {"blend": "ease"}))
    assert without.report.means() == plain_fit.valid.means()


NONE = pd.DataFrame(
    columns=["user_id", "item_id", "judge", "is_llm", "rating", "view", "asked_at", "model", "digest", "prompt_version"]
)
DECISIONS = pd.DataFrame(columns=["user_id", "item_id", "relevant"])

ANSWERS = st.dictionaries(
    st.tuples(st.integers(0, 39), st.integers(0, 29)),
    st.tuples(st.booleans(), st.sampled_from([Source.BUILTIN, Source.LLM, Source.HUMAN])),
    max_size=25,
)


def dense(base: Base, labels: LabelSet, noisy_weight: float, add_missed: str) -> tuple[Embeddings, np.ndarray]:
    """LightGCN on the refined graph by its definition: plain dense products, nothing shared with core.graph."""
    n_users, n_items = base.dataset.n_users, base.dataset.n_items
    weight = np.zeros((n_users, n_items))
    weight[base.dataset.train.user, base.dataset.train.item] = 1
    for user, item, label, source in zip(labels.user, labels.item, labels.label, labels.source, strict=True):
        if label == Label.NOISY_POSITIVE:
            weight[user, item] = 0 if source == Source.HUMAN else noisy_weight
        if label == Label.MISSED_POSITIVE and (add_missed == "judges" or (add_missed == "people" and source == Source.HUMAN)):
            weight[user, item] = 1
    whole = np.block([[np.zeros((n_users, n_users)), weight], [weight.T, np.zeros((n_items, n_items))]])
    degree = whole.sum(1)
    scale = np.where(degree > 0, 1 / np.sqrt(np.where(degree > 0, degree, 1)), 0)
    whole = scale[:, None] * whole * scale
    layer = table = base.learned.parameters["table"].astype(float)
    total = table.copy()
    for _ in range(base.settings.layers):
        layer = whole @ layer
        total += layer
    total /= base.settings.layers + 1
    return Embeddings(total[:n_users], total[n_users:]), weight


@pytest.fixture(scope="module")
def plain(planted) -> Base:  # noqa: ANN001
    return trained(planted)[1]


@given(ANSWERS, st.sampled_from([0.0, 0.3, 1.0]), st.sampled_from(["people", "judges", "nobody"]))
@settings(max_examples=40, deadline=None)
def test_any_labels_equal_a_dense_propagation(plain: Base, given: dict, noisy_weight: float, add_missed: str) -> None:
    labels = labels_for(plain.dataset, given)
    found = preview.preview(plain, labels, noisy_weight=noisy_weight, add_missed=add_missed, comparison=QUICK)
    expected, weight = dense(plain, labels, noisy_weight, add_missed)
    np.testing.assert_allclose(found.vectors.user, expected.user, atol=1e-5)
    np.testing.assert_allclose(found.vectors.item, expected.item, atol=1e-5)
    own = np.zeros_like(weight)
    own[plain.dataset.train.user, plain.dataset.train.item] = 1
    changed = set(zip(*(place.tolist() for place in np.nonzero(np.abs(weight - own) > 1e-6)), strict=True))
    changes = found.changes
    assert set(zip(changes.user.tolist(), changes.item.tolist(), strict=True)) == changed
    for user, item, after, source in zip(changes.user, changes.item, changes.after, changes.source, strict=True):
        assert after == pytest.approx(weight[user, item])
        assert source == given[(int(user), int(item))][1]


def test_lists_and_figures_are_those_of_an_ordinary_evaluation(plain: Base) -> None:
    labels = labels_for(plain.dataset, SOME)
    found = preview.preview(plain, labels, comparison=QUICK)
    report = evaluate(found.vectors, plain.dataset.valid, [plain.dataset.train])
    assert found.report.means() == report.means()
    own = evaluate(plain.vectors, plain.dataset.valid, [plain.dataset.train])
    assert found.metrics == deltas(own, report, QUICK)
    np.testing.assert_array_equal(found.after, top_lists(found.vectors, found.users, [plain.dataset.train], preview.DEPTH))
    shown = list(preview.moved(found, 5))
    counts = [len(one.came) for one in shown]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] == found.replaced().max()
    assert all(len(one.came) == len(one.went) for one in shown)


@given(st.integers(0, 39), st.integers(0, 29))
@settings(max_examples=40, deadline=None)
def test_a_turned_edge_equals_a_dense_propagation(plain: Base, user: int, item: int) -> None:
    """A click that a person calls noisy is off the graph, an unseen item that they call missed is on it."""
    train = plain.dataset.train
    clicked = set(train.item[train.user == user].tolist())
    found = preview.turned(plain, user, item, 5)
    assert found.on == (item in clicked)
    labels = labels_for(plain.dataset, {(user, item): (not found.on, Source.HUMAN)})
    own = dense(plain, labels_for(plain.dataset, {}), 0.0, "people")[0]
    other = dense(plain, labels, 0.0, "people")[0]
    open_to = [one for one in range(30) if one == item or one not in clicked]
    assert found.ranked == len(open_to)
    for vectors, place, score, top in zip((own, other), found.place, found.score, (found.before, found.after), strict=True):
        scores = vectors.item @ vectors.user[user]
        assert score == pytest.approx(scores[item], abs=1e-5)
        better = sum(scores[one] > scores[item] + 1e-5 for one in open_to)
        level = sum(abs(scores[one] - scores[item]) <= 1e-5 for one in open_to)
        assert better < place <= better + level
        assert set(top.tolist()) <= set(open_to)
        assert len(set(top.tolist())) == len(top) == min(5, len(open_to))
        np.testing.assert_allclose(scores[top], sorted(scores[open_to], reverse=True)[:5], atol=1e-5)


def test_an_edge_that_the_labels_took_off_is_turned_on_again(planted) -> None:  # noqa: ANN001
    data = dataset_of(planted)
    pair = int(data.train.user[0]), int(data.train.item[0])
    _, base = trained(planted, labels_for(data, {pair: (False, Source.HUMAN)}))
    found = preview.turned(base, *pair)
    assert not found.on
    again = preview.preview(base, labels_for(data, {}), comparison=QUICK).vectors
    assert found.score[1] == pytest.approx(float(again.score(*(np.array([place]) for place in pair))[0]), abs=1e-5)
    assert found.score[1] > found.score[0]


def test_a_turned_edge_reaches_the_closed_form_of_a_blend(planted) -> None:  # noqa: ANN001
    _, base = trained(planted, blend="ease")
    user, item = int(base.dataset.train.user[0]), int(base.dataset.train.item[0])
    vectors, weight = dense(base, labels_for(base.dataset, {(user, item): (False, Source.HUMAN)}), 0.0, "people")
    inverse = np.linalg.inv(weight.T @ weight + 5 * weight.sum() / len(weight) * np.eye(30))
    closed = -inverse / np.diag(inverse)
    np.fill_diagonal(closed, 0)
    parts = vectors.item @ vectors.user[user], weight[user] @ closed
    first, second = ((part - part.mean()) / part.std() for part in parts)
    expected = first + base.settings.blend_weight * second
    found = preview.turned(base, user, item)
    assert found.score[1] == pytest.approx(expected[item], abs=1e-3)
    others = np.flatnonzero(weight[user])
    assert found.place[1] == 1 + sum(expected[one] > expected[item] for one in range(30) if one not in others)


def test_who_did_what_to_the_edges(planted) -> None:  # noqa: ANN001
    data = dataset_of(planted)
    _, base = trained(planted, labels_for(data, {(1, 1): (False, Source.LLM)}))
    assert (1, 1) in set(zip(data.train.user.tolist(), data.train.item.tolist(), strict=True))
    labels = labels_for(data, {(0, 6): (False, Source.HUMAN), (3, 0): (True, Source.HUMAN)})
    changes = preview.preview(base, labels, comparison=QUICK).changes
    told = {
        (int(user), int(item)): (preview.DEEDS[deed], Source(source))
        for user, item, deed, source in zip(changes.user, changes.item, changes.deed, changes.source, strict=True)
    }
    assert told == {
        (0, 6): ("dropped", Source.HUMAN),
        (1, 1): ("put back", Source.LLM),
        (3, 0): ("added", Source.HUMAN),
    }
    half = preview.preview(base, base.labels, noisy_weight=0.5, comparison=QUICK).changes
    assert [preview.DEEDS[deed] for deed in half.deed] == ["put back"]


def test_a_run_that_infers_on_the_clicks_shows_what_inferring_on_the_refined_graph_would_do(planted) -> None:  # noqa: ANN001
    own = labels_for(dataset_of(planted), SOME)
    fit, base = trained(planted, own, infer_on="observed")
    np.testing.assert_array_equal(base.vectors.user, fit.embeddings.user)
    found = preview.preview(base, own, comparison=QUICK)
    assert len(found.changes) == 4
    expected, _ = dense(base, own, 0.0, "people")
    np.testing.assert_allclose(found.vectors.item, expected.item, atol=1e-5)


def test_with_more_users_a_sample_is_measured(planted, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ANN001
    monkeypatch.setattr(preview, "USERS_AT_MOST", 12)
    monkeypatch.setattr(preview, "TOUCHED_AT_MOST", 2)
    _, base = trained(planted)
    assert len(base.users) == 12
    outside = np.setdiff1d(np.unique(base.dataset.train.user), base.users)
    labels = labels_for(
        base.dataset,
        {
            (int(user), int(base.dataset.train.item[base.dataset.train.user == user][0])): (False, Source.HUMAN)
            for user in outside[:5]
        },
    )
    found = preview.preview(base, labels, comparison=QUICK)
    assert len(found.users) == 14
    whole = evaluate(found.vectors, base.dataset.valid, [base.dataset.train])
    np.testing.assert_array_equal(
        found.report.per_user["recall@20"], whole.per_user["recall@20"][np.isin(whole.users, base.users)]
    )


# --- on a home --------------------------------------------------------------------------------------------------------


@pytest.fixture
def run_id(home: Home) -> str:
    datasets.import_demo(home, DemoSettings(users=80, items=60, interactions=1500), "demo")
    return jobs.work(home, jobs.create(home, "train", "demo", SHORT).id).id


def test_a_run_folder_keeps_what_a_preview_needs(home: Home, run_id: str) -> None:
    base = preview.load(home, run_id)
    kept = runs.folder(home, run_id).embeddings()
    np.testing.assert_array_equal(base.vectors.user, kept.user)
    np.testing.assert_array_equal(base.vectors.item, kept.item)
    own = runs.folder(home, run_id).report("valid")
    np.testing.assert_array_equal(base.report.per_user["ndcg@20"], own.per_user["ndcg@20"])


def test_the_retrained_run_starts_from_the_frozen_labels(home: Home, run_id: str) -> None:
    data = datasets.load(home, "demo")
    pair = str(data.user_ids[data.train.user[0]]), str(data.item_ids[data.train.item[0]])
    store = Store.open(home)
    store.decide("demo", [pair], "no", annotator="ada")
    base = preview.load(home, run_id)
    people = preview.labels_by(data, store.judgments("demo", texts=False), store.standing("demo"), frozenset({Source.HUMAN}))
    found = preview.preview(base, people, comparison=QUICK)
    assert [preview.DEEDS[deed] for deed in found.changes.deed] == ["dropped"]
    version = pipeline.freeze(home, "demo", annotator="ada", chosen=people)
    again = jobs.work(home, jobs.create(home, "train", "demo", SHORT | {"labels": version}).id).id
    assert len(preview.preview(preview.load(home, again), people, comparison=QUICK).changes) == 0
    nobody = preview.labels_by(data, store.judgments("demo", texts=False), store.standing("demo"), frozenset({Source.LLM}))
    assert len(nobody) == 0


def test_runs_that_cannot_be_previewed_say_why(home: Home, run_id: str) -> None:
    (runs.folder(home, run_id).path / "learned.safetensors").unlink()
    with pytest.raises(NotFoundError, match="older than previews"):
        preview.load(home, run_id)
    flat = jobs.work(home, jobs.create(home, "train", "demo", SHORT | {"backbone": "mf"}).id).id
    with pytest.raises(RunError, match="does not propagate"):
        preview.load(home, flat)
    waiting = jobs.create(home, "train", "demo", SHORT).id
    with pytest.raises(RunError, match="no finished training"):
        preview.load(home, waiting)


def test_without_validation_clicks_nothing_can_be_measured(planted) -> None:  # noqa: ANN001

    fit, base = trained(planted)
    bare = dataclasses.replace(base.dataset, valid=Interactions(np.empty(0, np.int32), np.empty(0, np.int32)))
    with pytest.raises(RunError, match="held out"):
        preview.base_of(RUN, bare, base.settings, fit.learned, None)
