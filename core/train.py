"""The one training loop: batches, early stop on valid, loss dynamics of every interaction, checkpoints that resume exactly.

Its signature has `train` and `valid` and no `test`, so nothing can be selected on the test set by accident.
"""

import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from core import losses, metrics
from core.artifacts import atomic
from core.backbones import BACKBONES, Backbone, as_embeddings
from core.denoisers import DENOISERS, Batch, Denoiser
from core.errors import RunError, SettingsError
from core.evaluate import evaluate
from core.records import Embeddings, Interactions, LabelSet, Learned, Relevance, Report, Scorer
from core.references import blended
from core.rng import stream
from core.settings import TrainSettings

log = logging.getLogger(__name__)

CHECKPOINT_S = 20.0
"""A checkpoint is written at every evaluation, and after this long without one."""


@dataclass(frozen=True)
class Epoch:
    """What one epoch did."""

    epoch: int  # from 1
    seconds: float
    loss: dict[str, float]  # mean of each named term over the batches
    valid: dict[str, float] | None  # on evaluated epochs
    best: bool  # the vectors of this epoch are the ones kept so far


@dataclass(frozen=True, eq=False)
class Fit:
    """What a training leaves. `stopped`: somebody asked it to stop; a checkpoint is there to go on from."""

    embeddings: Embeddings
    scorer: Scorer  # what ranks items: the vectors, blended with a closed form when the settings say so
    learned: Learned
    losses: dict[str, np.ndarray]
    valid: Report | None
    epochs: int
    best_epoch: int
    stopped: bool


class LossRecord:
    """The recorded loss of every training interaction: running mean and variance, early and last value, sampled trajectories.

    Averaged over training, the loss tells noise from the rest better than its final value does, at no cost (benchmarks/loop.py).
    """

    def __init__(self, n: int, settings: TrainSettings) -> None:
        self.early_epoch = settings.early_epoch
        self.mean, self.squares, self.early, self.last = (np.zeros(n, np.float32) for _ in range(4))
        size = min(n, settings.trajectories)
        self.rows = np.sort(stream(settings.seed, "trajectories").choice(n, size, replace=False))
        self.trajectory = np.full((size, settings.epochs), np.nan, np.float16)

    def add(self, epoch: int, loss: np.ndarray) -> None:
        """Take epoch's loss (n,), epochs counted from 1 without a gap (Welford's update)."""
        shift = loss - self.mean
        self.mean += shift / epoch
        self.squares += shift * (loss - self.mean)
        self.last[:] = loss
        if epoch <= self.early_epoch:
            self.early[:] = loss
        self.trajectory[:, epoch - 1] = loss[self.rows]

    def arrays(self, positives: Interactions, epochs: int) -> dict[str, np.ndarray]:
        """What runs.RunFolder.losses() gives back."""
        return {
            "user": positives.user,
            "item": positives.item,
            "mean": self.mean,
            "variance": self.squares / max(epochs, 1),
            "early": self.early,
            "last": self.last,
            "rows": self.rows,
            "trajectory": self.trajectory[:, :epochs],
        }


@dataclass
class _State:
    """What a checkpoint holds beside the tensors of model, optimizer and loss record."""

    epoch: int = 0
    best_epoch: int = 0
    best_value: float = -1.0
    misses: int = 0
    best: dict[str, torch.Tensor] = field(default_factory=dict)


def fit(
    train: Interactions,
    valid: Interactions,
    n_users: int,
    n_items: int,
    settings: TrainSettings,
    labels: LabelSet | None = None,
    relevance: Relevance | None = None,
    *,
    checkpoint: Path | None = None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Fit:
    """Train until valid no longer improves, and keep the vectors of the best epoch.

    `relevance`: the text vectors that the denoiser asks for (Denoiser.text).

    With `checkpoint`, goes on from that file if it exists: on a CPU to the same numbers as an unbroken training, bit by bit
    (random streams are named by epoch, nothing depends on when it was stopped). Without valid pairs the last epoch is kept.
    Raises SettingsError before any work for unknown names and missing texts, RunError with the epoch when the loss is no
    longer a number or all items have come to score alike; the last checkpoint is then left as it was.
    """
    loop = _Loop(train, valid, n_users, n_items, settings, labels, relevance)
    if checkpoint and checkpoint.exists():
        loop.load(checkpoint)
        log.info("going on after epoch %d", loop.state.epoch)
    saved = time.monotonic()
    while not (finished := loop.finished()) and not should_stop():
        epoch = loop.run_epoch()
        on_epoch(epoch)  # before the checkpoint: what is noted twice can be told, what is never noted is lost
        if checkpoint and (epoch.valid is not None or time.monotonic() - saved > CHECKPOINT_S):
            loop.save(checkpoint)
            saved = time.monotonic()
    if checkpoint:
        loop.save(checkpoint)
    return loop.result(stopped=not finished)


def checkpoint_epoch(path: Path) -> int:
    """The epoch after which a checkpoint was written; 0 without one."""
    if not path.exists():
        return 0
    with safe_open(path, "pt") as stored:
        return json.loads(stored.metadata()["state"])["epoch"]


def check(settings: TrainSettings, *, has_text: bool = True) -> None:
    """SettingsError, before any work, for a name that does not exist here, or for texts that a denoiser needs in vain."""
    BACKBONES[settings.backbone]
    if DENOISERS[settings.denoiser].text(settings) and not has_text:
        free = [name for name in DENOISERS.names() if not DENOISERS[name].text(settings)]
        raise SettingsError(
            f"The denoiser {settings.denoiser!r} with these settings needs item texts, and this dataset has none.",
            f"Import an item table with titles or descriptions, or choose one of: {', '.join(free)}.",
        )
    pick_device(settings.device)
    if settings.monitor not in metrics.NAMES:
        raise SettingsError(f"There is no metric {settings.monitor!r}.", f"Choose one of: {', '.join(metrics.NAMES)}.")


def pick_device(name: str) -> torch.device:
    """auto: a CUDA device when there is one."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise SettingsError("There is no CUDA device here.", "Use device auto or cpu.")
    if name not in ("cpu", "cuda"):
        raise SettingsError(f"There is no device named {name!r}.", "Choose one of: auto, cpu, cuda.")
    return torch.device(name)


class _Loop:
    """One training's moving parts: backbone, denoiser, optimizer, loss record."""

    def __init__(
        self,
        train: Interactions,
        valid: Interactions,
        n_users: int,
        n_items: int,
        settings: TrainSettings,
        labels: LabelSet | None,
        relevance: Relevance | None,
    ) -> None:
        check(settings, has_text=relevance is not None)
        self.train, self.valid, self.n_users, self.settings = train, valid, n_users, settings
        self.device = pick_device(settings.device)
        self.denoiser: Denoiser = DENOISERS[settings.denoiser](train, labels, n_users, n_items, settings, relevance)
        self.denoiser.to(self.device)
        self.backbone: Backbone = BACKBONES[settings.backbone](n_users, n_items, settings).to(self.device)
        self.learned = nn.ModuleDict({"model": self.backbone, "denoiser": self.denoiser})
        self.optimizer = torch.optim.Adam(self.learned.parameters(), lr=settings.lr, fused=True)
        self.record = LossRecord(len(self.denoiser.positives), settings)
        self.state = _State()

    def finished(self) -> bool:
        state, settings = self.state, self.settings
        patient = state.misses < settings.patience or state.epoch < settings.min_epochs
        return state.epoch >= settings.epochs or not patient

    def run_epoch(self) -> Epoch:
        began = time.monotonic()
        epoch = self.state.epoch + 1
        terms = self._optimise(epoch)
        self.state.epoch = epoch
        valid = None
        if epoch % self.settings.eval_every == 0 or epoch == self.settings.epochs:
            valid = self._evaluate()
        return Epoch(epoch, time.monotonic() - began, terms, valid, self.state.best_epoch == epoch)

    def _optimise(self, epoch: int) -> dict[str, float]:
        """One pass over the positives; returns each loss term's mean over the batches."""
        denoiser, backbone = self.denoiser, self.backbone
        positives = denoiser.positives
        denoiser.begin_epoch(epoch, backbone)
        order = stream(self.settings.seed, "order", epoch).permutation(len(positives))
        pairs = np.stack([positives.user, positives.item + self.n_users])[:, order]
        pairs = torch.from_numpy(pairs.astype(np.int64)).to(self.device)
        negatives = torch.from_numpy(denoiser.negatives()[order].astype(np.int64) + self.n_users).to(self.device)
        graph = denoiser.training_graph()
        recorded = torch.empty(len(positives), device=self.device)
        sums: dict[str, torch.Tensor] = {}
        starts = range(0, len(positives), self.settings.batch_size)
        for denoiser.step, start in enumerate(starts):
            part = slice(start, start + self.settings.batch_size)
            user, positive = pairs[:, part]
            forward = denoiser.forward(backbone, graph)
            negative = negatives[part]
            if negative.ndim > 1:
                negative = denoiser.pick(user, negative, forward.vectors.detach())
            anchor = forward.vectors[user]
            bpr = losses.bpr((anchor * forward.vectors[positive]).sum(1), (anchor * forward.vectors[negative]).sum(1))
            batch = Batch(order[part], user, positive, negative, backbone.table, forward, bpr)
            terms = denoiser.terms(batch, backbone)
            self.optimizer.zero_grad(set_to_none=True)
            sum(terms.values()).backward()
            self.optimizer.step()
            recorded[part] = bpr.detach()
            for name, value in terms.items():
                sums[name] = sums.get(name, 0) + value.detach()
        means = {name: float(value) / len(starts) for name, value in sums.items()}
        if not all(np.isfinite(list(means.values()))):
            raise RunError(
                f"The loss was no longer a number in epoch {epoch} ({means}).",
                f"Lower lr (now {self.settings.lr:g}) or init_std; the last good checkpoint is kept.",
            )
        loss = np.empty(len(positives), np.float32)
        loss[order] = recorded.cpu().numpy()
        self.record.add(epoch, loss)
        denoiser.end_epoch(loss)
        return means

    def _evaluate(self) -> dict[str, float] | None:
        """Metrics on valid; keeps what is learned when it is the best so far. Without valid pairs, the newest is.

        The denoiser's part is kept too: the graph that the vectors are inferred on may hang on it (prune).
        """
        state = self.state
        learned = {name: value.detach().clone() for name, value in self.learned.state_dict().items()}
        if not len(self.valid):
            state.best, state.best_epoch = learned, state.epoch
            return None
        means = self._report().means()
        if means[self.settings.monitor] > state.best_value:
            state.best, state.best_epoch, state.misses = learned, state.epoch, 0
            state.best_value = means[self.settings.monitor]
        else:
            state.misses += 1
        return means

    @torch.no_grad()
    def _vectors(self) -> Embeddings:
        return as_embeddings(self.denoiser.inferred(self.backbone), self.n_users)

    def _report(self) -> Report:
        vectors = self._vectors()
        if _collapsed(vectors):
            raise RunError(
                f"By epoch {self.state.epoch} all items had come to score alike: the vectors have collapsed.",
                f"Lower contrast, lr ({self.settings.lr:g}) or reg ({self.settings.reg:g}); the last good checkpoint is kept.",
            )
        return evaluate(vectors, self.valid, [self.train])

    def result(self, *, stopped: bool) -> Fit:
        """The best epoch's vectors; the newest when none has been evaluated yet."""
        if self.state.best:
            self.learned.load_state_dict(self.state.best)
        vectors = self._vectors()
        scorer = vectors if stopped else blended(vectors, self.denoiser.inference_edges(), self.settings)
        return Fit(
            vectors,
            scorer,
            Learned(
                {name: value.cpu().numpy() for name, value in self.backbone.state_dict().items()},
                self.denoiser.first_layer,
                self.denoiser.taken_out(),
            ),
            self.record.arrays(self.denoiser.positives, self.state.epoch),
            evaluate(scorer, self.valid, [self.train]) if len(self.valid) else None,
            self.state.epoch,
            self.state.best_epoch or self.state.epoch,
            stopped,
        )

    def save(self, path: Path) -> None:
        """Everything a resumed training needs, in one file that is replaced whole."""
        tensors = {name: value.detach() for name, value in self.learned.state_dict().items()}
        tensors |= {f"best.{name}": p for name, p in self.state.best.items()}
        for index, moments in self.optimizer.state_dict()["state"].items():
            tensors |= {f"adam.{index}.{name}": value for name, value in moments.items()}
        for name in ("mean", "squares", "early", "last"):
            tensors[f"loss.{name}"] = torch.from_numpy(getattr(self.record, name))
        tensors["loss.trajectory"] = torch.from_numpy(self.record.trajectory[:, : self.state.epoch].copy())
        state = {name: value for name, value in vars(self.state).items() if name != "best"}
        metadata = {"state": json.dumps(state), "settings": self.settings.digest()}
        with atomic(path) as temporary:
            save_file({name: value.contiguous().cpu() for name, value in tensors.items()}, temporary, metadata)

    def load(self, path: Path) -> None:
        with safe_open(path, "pt") as stored:
            metadata = stored.metadata()
            if metadata["settings"] != self.settings.digest():
                raise RunError(f"{path} was written under other settings.", "Start a new run instead of resuming this one.")
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118  not a dictionary
        self.state = _State(**json.loads(metadata["state"]))
        self.state.best = {name: value.to(self.device) for name, value in _under(tensors, "best.").items()}
        self.learned.load_state_dict({n: t for n, t in tensors.items() if n.startswith(("model.", "denoiser."))})
        moments: dict[int, dict[str, torch.Tensor]] = {}
        for name, value in _under(tensors, "adam.").items():
            index, kind = name.split(".")
            moments.setdefault(int(index), {})[kind] = value
        self.optimizer.load_state_dict(self.optimizer.state_dict() | {"state": moments})
        for name in ("mean", "squares", "early", "last"):
            getattr(self.record, name)[:] = tensors[f"loss.{name}"].numpy()
        self.record.trajectory[:, : self.state.epoch] = tensors["loss.trajectory"].numpy()


def _collapsed(vectors: Embeddings) -> bool:
    """Whether no user of a sample tells one item from another: the spread of the scores is nothing beside their size."""
    scores = vectors.scores(np.linspace(0, len(vectors.user) - 1, 64).astype(np.int64)).astype(np.float64)
    return bool((scores.std(axis=1) <= 1e-4 * np.abs(scores).max(axis=1) + 1e-12).all())


def _under(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
