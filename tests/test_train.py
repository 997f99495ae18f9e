"""Training: it learns what was planted, records every loss, and resumes as if it had never stopped."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from core import train
from core.denoisers import Denoiser
from core.errors import RunError, SettingsError
from core.evaluate import evaluate
from core.records import Interactions, Label, LabelSet, Report, Source
from core.settings import TrainSettings

SMALL = {"dim": 16, "epochs": 12, "min_epochs": 12, "batch_size": 128, "eval_every": 4, "device": "cpu"}


def run(planted, **options) -> train.Fit:  # noqa: ANN001, ANN003
    settings = TrainSettings.checked(**SMALL | options.pop("settings", {}))
    return train.fit(planted.train, planted.valid, planted.n_users, planted.n_items, settings, **options)


def test_it_finds_the_planted_groups(planted) -> None:  # noqa: ANN001
    fit = run(planted, settings={"epochs": 60, "min_epochs": 30})
    means = evaluate(fit.embeddings, planted.test, [planted.train, planted.valid]).means()
    assert means["recall@10"] > 0.95  # a user has about 3 test items among the 6 unseen of its group


def test_every_epoch_of_every_interaction_is_in_the_record(planted) -> None:  # noqa: ANN001
    seen: list[train.Epoch] = []
    fit = run(planted, settings={"trajectories": 50, "early_epoch": 3}, on_epoch=seen.append)
    record, n = fit.losses, len(planted.train)
    assert record["trajectory"].shape == (50, 12)
    assert np.isfinite(record["trajectory"]).all()
    rows, trajectory = record["rows"], record["trajectory"].astype(np.float64)
    np.testing.assert_allclose(record["mean"][rows], trajectory.mean(1), atol=2e-3)
    np.testing.assert_allclose(record["variance"][rows], trajectory.var(1), atol=2e-3)
    np.testing.assert_allclose(record["early"][rows], trajectory[:, 2], atol=2e-3)
    np.testing.assert_allclose(record["last"][rows], trajectory[:, -1], atol=2e-3)
    assert all(len(record[name]) == n for name in ("user", "item", "mean", "variance", "early", "last"))
    assert record["mean"].mean() == pytest.approx(np.mean([e.loss["bpr"] for e in seen]), rel=0.05)


@pytest.mark.parametrize("stop_after", [1, 4, 5, 11])
def test_resumed_equals_unbroken_bit_by_bit(planted, tmp_path: Path, stop_after: int) -> None:  # noqa: ANN001
    whole = run(planted)
    path, epochs = tmp_path / "checkpoint", []
    first = run(
        planted, checkpoint=path, on_epoch=lambda e: epochs.append(e.epoch), should_stop=lambda: len(epochs) >= stop_after
    )
    assert first.stopped
    assert train.checkpoint_epoch(path) == stop_after
    second = run(planted, checkpoint=path)
    assert not second.stopped
    np.testing.assert_array_equal(whole.embeddings.user, second.embeddings.user)
    np.testing.assert_array_equal(whole.embeddings.item, second.embeddings.item)
    for name, values in whole.losses.items():
        np.testing.assert_array_equal(values, second.losses[name], err_msg=name)
    assert whole.best_epoch == second.best_epoch


def test_seeds_differ_and_the_same_seed_repeats(planted) -> None:  # noqa: ANN001
    a, b, c = (run(planted, settings={"seed": seed}).embeddings.user for seed in (0, 0, 1))
    np.testing.assert_array_equal(a, b)
    assert not np.allclose(a, c)


def test_early_stop_keeps_the_best_epoch(planted) -> None:  # noqa: ANN001
    seen: list[train.Epoch] = []
    fit = run(planted, settings={"epochs": 400, "min_epochs": 1, "eval_every": 1, "patience": 2}, on_epoch=seen.append)
    values = [epoch.valid["recall@20"] for epoch in seen]
    assert fit.best_epoch == int(np.argmax(values)) + 1
    assert fit.epochs == fit.best_epoch + 2 < 400
    assert fit.valid.means()["recall@20"] == pytest.approx(max(values))


def test_without_valid_pairs_the_last_epoch_is_kept(planted) -> None:  # noqa: ANN001
    nothing = Interactions(np.empty(0, np.int32), np.empty(0, np.int32))
    fit = train.fit(planted.train, nothing, planted.n_users, planted.n_items, TrainSettings.checked(**SMALL))
    assert (fit.epochs, fit.best_epoch, fit.valid) == (12, 12, None)


def one_label(planted, label: Label, observed: bool) -> LabelSet:  # noqa: ANN001
    user, item = planted.train.user[:1], planted.train.item[:1] if observed else planted.train.item[:1] + 1
    return LabelSet(user, item, np.array([observed]), np.array([label], np.int8), np.array([Source.HUMAN], np.int8))


@pytest.mark.parametrize("label", [Label.NOISY_POSITIVE, Label.MISSED_POSITIVE])
def test_labels_change_inference_alone_when_trained_on_the_observed_graph(planted, label: Label) -> None:  # noqa: ANN001
    labels = one_label(planted, label, observed=label is Label.NOISY_POSITIVE)
    options = {"settings": {"epochs": 4, "min_epochs": 4}}
    plain = run(planted, **options)
    observed = run(planted, labels=labels, settings=options["settings"] | {"infer_on": "observed"})
    refined = run(planted, labels=labels, **options)
    if label is Label.NOISY_POSITIVE:
        np.testing.assert_array_equal(plain.embeddings.user, observed.embeddings.user)
    assert not np.array_equal(observed.embeddings.user, refined.embeddings.user)


def test_training_on_the_refined_graph_trains_on_its_pairs(planted) -> None:  # noqa: ANN001
    fit = run(planted, labels=one_label(planted, Label.NOISY_POSITIVE, observed=True), settings={"train_on": "refined"})
    assert len(fit.losses["user"]) == len(planted.train) - 1


def test_a_loss_that_is_no_number_stops_with_the_epoch_and_keeps_the_checkpoint(planted, tmp_path: Path, monkeypatch) -> None:  # noqa: ANN001
    path = tmp_path / "checkpoint"
    real = train.losses.bpr
    calls = {"n": 0}

    def breaks(positive: torch.Tensor, negative: torch.Tensor) -> torch.Tensor:
        calls["n"] += 1
        return real(positive, negative) * (float("nan") if calls["n"] > 20 else 1.0)

    monkeypatch.setattr(train.losses, "bpr", breaks)
    with pytest.raises(RunError, match=r"epoch \d+") as caught:
        run(planted, checkpoint=path)
    assert "lr" in caught.value.hint
    assert train.checkpoint_epoch(path) == 4


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"backbone": "resnet"}, "lightgcn"),
        ({"denoiser": "magic"}, "plain"),
        ({"monitor": "recall@7"}, "recall@20"),
        ({"device": "tpu"}, "cuda"),
        ({"dim": 0}, "dim"),
        ({"depth": 3}, "layers"),
    ],
)
def test_wrong_settings_are_one_sentence_with_the_choices(planted, wrong: dict, says: str) -> None:  # noqa: ANN001
    with pytest.raises(SettingsError, match=says):
        run(planted, settings=wrong)


def test_a_checkpoint_of_other_settings_is_refused(planted, tmp_path: Path) -> None:  # noqa: ANN001
    run(planted, checkpoint=tmp_path / "checkpoint")
    with pytest.raises(RunError, match="other settings"):
        run(planted, checkpoint=tmp_path / "checkpoint", settings={"lr": 0.1})


@pytest.mark.parametrize(("source", "trusted"), [(Source.HUMAN, {"people", "judges"}), (Source.LLM, {"judges"})])
def test_missed_positives_are_added_only_for_those_who_are_trusted_but_never_drawn_as_negatives(
    planted,  # noqa: ANN001
    source: Source,
    trusted: set[str],
) -> None:
    labels = one_label(planted, Label.MISSED_POSITIVE, observed=False)
    labels = dataclasses.replace(labels, source=np.array([source], np.int8))
    for add in ("people", "judges", "nobody"):
        settings = TrainSettings.checked(**SMALL, add_missed=add)
        made = Denoiser(planted.train, labels, planted.n_users, planted.n_items, settings)
        edges = made.inference_graph().matrix.nnz // 2
        assert edges == len(planted.train) + (add in trusted)
        assert labels.codes(planted.n_items)[0] in made.never_negative


def test_valid_is_ranked_without_the_training_items(planted) -> None:  # noqa: ANN001
    fit = run(planted)
    expected = evaluate(fit.embeddings, planted.valid, [planted.train]).means()
    assert fit.valid.means() == pytest.approx(expected)
    assert expected != pytest.approx(evaluate(fit.embeddings, planted.valid, []).means())


def test_patience_counts_anew_after_every_improvement(planted, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ANN001
    scores = iter([0.1, 0.05, 0.2, 0.15, 0.1, 0.9, 0.9])
    users = np.array([0], np.int32)
    monkeypatch.setattr(train, "evaluate", lambda *args: Report(users, {"recall@20": np.array([next(scores)])}))
    fit = run(planted, settings={"epochs": 50, "min_epochs": 1, "eval_every": 1, "patience": 2})
    assert (fit.epochs, fit.best_epoch) == (5, 3)
