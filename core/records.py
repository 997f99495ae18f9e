"""The frozen records that flow between modules.

Column records hold equal-length arrays of positions (0..n-1); row records hold raw ids, as databases, files and URLs do.
numpy only: torch stays inside the training modules.
"""

import dataclasses
import hashlib
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Protocol, Self

import numpy as np


class Label(IntEnum):
    """What a pair is. Judges and people only answer "is this item relevant to this user?"; `labels.resolve` derives this."""

    CLEAN = 0  # not examined
    HARD_POSITIVE = 1  # observed and relevant: keep, the model finds it difficult
    NOISY_POSITIVE = 2  # observed and not relevant: a misclick, drop
    MISSED_POSITIVE = 3  # unobserved and relevant: add the edge, never a negative
    HARD_NEGATIVE = 4  # unobserved and not relevant: the best kind of negative
    UNJUDGED = 5  # asked, but no complete answer; changes nothing
    UNSURE = 6  # a person looked and could not tell; changes nothing

    @property
    def word(self) -> str:
        return self.name.lower().replace("_", " ")


class Source(IntEnum):
    """Who gave a label; the higher beats the lower. What is kept is the word, never the number."""

    NONE = 0
    MODEL = 1
    SIMULATED = 2  # a simulation of a judge, for research: whoever really rates beats it
    BUILTIN = 3
    LLM = 4
    HUMAN = 5


class Rating(StrEnum):
    """A judge's answer in one view."""

    HIGH = "High"
    MID = "Mid"
    LOW = "Low"


VIEWS = ("user", "item")
"""The two views of a judge: user-centric (profile against item) and item-centric (chosen items against item)."""


def fingerprint(*parts: object) -> str:
    """16 hex digits of the content of arrays (dtype, shape, bytes; object arrays by their strings) and of plain values."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray) and part.dtype != object:
            digest.update(f"{part.dtype.str}{part.shape}".encode())
            digest.update(np.ascontiguousarray(part).tobytes())
        elif isinstance(part, np.ndarray):
            digest.update(f"object{part.shape}".encode())
            for text in part.ravel():
                digest.update(str(text).encode() + b"\x00")
        else:
            digest.update(repr(part).encode() + b"\x01")
    return digest.hexdigest()[:16]


@dataclass(frozen=True, eq=False)
class Columns:
    """Base of the column records: every array field has the same length; optional fields are None."""

    def __post_init__(self) -> None:
        lengths = {name: len(column) for name, column in self._columns().items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"{type(self).__name__} needs columns of one length, got {lengths}")

    def _columns(self) -> dict[str, np.ndarray]:
        pairs = ((field.name, getattr(self, field.name)) for field in dataclasses.fields(self))
        return {name: value for name, value in pairs if value is not None}

    def __len__(self) -> int:
        return len(next(iter(self._columns().values())))

    def where(self, mask: np.ndarray) -> Self:
        """The rows that a boolean mask or an index array picks; of records in a field too."""
        picked = {
            name: column.where(mask) if isinstance(column, Columns) else column[mask] for name, column in self._columns().items()
        }
        return dataclasses.replace(self, **picked)


@dataclass(frozen=True, eq=False)
class Pairs(Columns):
    """Base of the records of user-item pairs by position."""

    user: np.ndarray  # int32 (n,)
    item: np.ndarray  # int32 (n,)

    def codes(self, n_items: int) -> np.ndarray:
        """One int64 per pair, `user * n_items + item`: what set operations on pairs work with."""
        return self.user.astype(np.int64) * n_items + self.item


@dataclass(frozen=True, eq=False)
class Interactions(Pairs):
    """Observed user-item pairs by position. `truth` holds `Label` codes, for evaluation only, never an input of training."""

    rating: np.ndarray | None = None  # float32 (n,)
    time: np.ndarray | None = None  # int64 (n,) [Unix s]
    truth: np.ndarray | None = None  # int8 (n,) Label


@dataclass(frozen=True, eq=False)
class Edges(Pairs):
    """Weighted user-item pairs: what a graph is built from."""

    weight: np.ndarray  # float32 (n,), positive


@dataclass(frozen=True, eq=False)
class Dataset:
    """Everything known about one imported dataset; positions inside, raw ids in `user_ids` and `item_ids`."""

    name: str
    user_ids: np.ndarray  # object (n_users,) str
    item_ids: np.ndarray  # object (n_items,) str
    user_text: np.ndarray  # object (n_users,) str: attributes, "" when nothing is known
    item_title: np.ndarray  # object (n_items,) str: falls back to the id
    item_category: np.ndarray  # object (n_items,) str: values joined by "|", "" when unknown
    item_text: np.ndarray  # object (n_items,) str: description, "" when unknown
    train: Interactions
    valid: Interactions
    test: Interactions
    fingerprint: str
    disliked: Interactions | None = None  # rows under the rating threshold: explicit dislikes, not positives
    missed: Interactions | None = None  # truth: unobserved pairs that are relevant; for evaluation only

    @property
    def n_users(self) -> int:
        return len(self.user_ids)

    @property
    def n_items(self) -> int:
        return len(self.item_ids)


class Scorer(Protocol):
    """Whatever can rank all items for a user: vectors, a closed form, a blend of both."""

    @property
    def shape(self) -> tuple[int, int]:
        """(n_users, n_items)."""
        ...

    def scores(self, users: np.ndarray) -> np.ndarray:
        """Scores of every item for `users` (n,): float32 (n, n_items), the caller's to change; higher is more relevant."""
        ...


@dataclass(frozen=True, eq=False)
class Embeddings:
    """What a trained backbone leaves: a pair's score is the inner product of its rows. A Scorer."""

    user: np.ndarray  # float32 (n_users, dim)
    item: np.ndarray  # float32 (n_items, dim)

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.user), len(self.item)

    def scores(self, users: np.ndarray) -> np.ndarray:
        return self.user[users] @ self.item.T

    def score(self, user: np.ndarray, item: np.ndarray) -> np.ndarray:
        """Scores (n,) of pairs (n,), any real number, higher is more relevant."""
        return np.einsum("nd,nd->n", self.user[user], self.item[item])


@dataclass(frozen=True, eq=False)
class Learned:
    """What a training learned, as far as vectors on another graph need it (core.preview)."""

    parameters: dict[str, np.ndarray]  # of the backbone, by name, at the kept epoch
    first_layer: int  # of those that the final vectors are made of; 0 is the table
    taken_out: np.ndarray  # int64 (n,) codes of the clicks that the denoiser itself took off its graphs


@dataclass(frozen=True, eq=False)
class Relevance:
    """Text relevance of pairs: unit rows, so a score is a cosine in [-1, 1]."""

    user: np.ndarray  # float32 (n_users, dim), unit rows
    item: np.ndarray  # float32 (n_items, dim), unit rows

    def score(self, user: np.ndarray, item: np.ndarray) -> np.ndarray:
        """Cosine (n,) of pairs (n,)."""
        return np.einsum("nd,nd->n", self.user[user], self.item[item])


@dataclass(frozen=True, eq=False)
class Signals(Pairs):
    """What speaks for a click being noise (core.doubt).

    Each is float32 (n,), more is more doubtful, NaN where it says nothing; None where there is no such signal.
    """

    early: np.ndarray | None = None
    averaged: np.ndarray | None = None
    final: np.ndarray | None = None
    rank: np.ndarray | None = None  # 1 less the leave-one-out rank by EASE, [0, 1]
    support: np.ndarray | None = None  # minus the leave-one-out score by EASE
    rarity: np.ndarray | None = None  # -log of the item's clicks
    taste: np.ndarray | None = None  # minus the mean log clicks of the user's items
    readers: np.ndarray | None = None  # mean `taste` of the item's users
    text: np.ndarray | None = None  # minus the leave-one-out cosine of raw texts
    aligned: np.ndarray | None = None  # the same of texts aligned to the clicks

    def named(self) -> dict[str, np.ndarray]:
        """The signals that are there, by name."""
        return {name: column for name, column in self._columns().items() if name not in ("user", "item")}


@dataclass(frozen=True, eq=False)
class Candidates(Pairs):
    """Doubtful pairs by position, most doubtful first; `loss` is NaN where the pair was never trained on."""

    observed: np.ndarray  # bool (n,)
    score: np.ndarray  # float32 (n,) of the model
    loss: np.ndarray  # float32 (n,) recorded loss averaged over training
    semantic: np.ndarray  # float32 (n,) leave-one-out text relevance in [-1, 1]
    doubt: np.ndarray  # float32 (n,) rank among all clicks in (0, 1) (core.doubt), NaN where the pair is unobserved
    signals: Signals | None = None  # what `doubt` is made of, NaN where the pair is unobserved


@dataclass(frozen=True, eq=False)
class LabelSet(Pairs):
    """Resolved labels of the pairs that were examined; a pair that is not in it is clean."""

    observed: np.ndarray  # bool (n,)
    label: np.ndarray  # int8 (n,) Label
    source: np.ndarray  # int8 (n,) Source

    def having(self, *labels: Label) -> Self:
        """The rows with one of these labels."""
        return self.where(np.isin(self.label, labels))


@dataclass(frozen=True)
class Judgment:
    """One judge's answer about one pair in one view."""

    key: str  # content hash of the question (core.store), hex
    user_id: str
    item_id: str
    view: str  # one of VIEWS
    rating: str  # a Rating
    analysis: str
    confidence: float | None  # [0, 1]; None when the judge gives none
    judge: str  # registry name: "builtin", "ollama" ...
    is_llm: bool
    model: str
    digest: str  # of the model's weights, or of the rater's parameters
    prompt_version: str
    prompt_tokens: int | None
    answer_tokens: int | None
    seconds: float
    at: float  # [Unix s]
    profile: str = ""  # what the user view read: "made" or "written" (core.prompts); "" in the item view
    cached_tokens: int | None = None  # of the prompt, read before and re-used by the server
    wait_s: float | None = None  # of the server's time, spent waiting for a free slot [s]
    server: str = ""  # address that answered
    origin: str = "asked"  # "asked" by a run, or how else the answer came: "batch", "merged", "replayed"


@dataclass(frozen=True)
class Decision:
    """One person's answer about one pair. Append-only: `relevant=None` is an undo row that names what it undoes."""

    id: int
    user_id: str
    item_id: str
    relevant: str | None  # "yes", "no", "unsure"; None in an undo row
    annotator: str
    at: float  # [Unix s]
    note: str = ""
    reason: str = ""  # reason code
    saw_judge: bool = True  # the judge's rating was visible when the person answered
    batch: str = ""  # decisions taken by one action share it, and are undone together
    undoes: int | None = None


@dataclass(frozen=True, eq=False)
class Report:
    """Full-ranking metrics per evaluated user (those with at least one held-out positive)."""

    users: np.ndarray  # int32 (n_eval,)
    per_user: dict[str, np.ndarray]  # {"recall@20": float64 (n_eval,), ...}

    def means(self) -> dict[str, float]:
        """Mean over the evaluated users, by metric name."""
        return {name: float(values.mean()) for name, values in self.per_user.items()}
