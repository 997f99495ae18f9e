"""What every text encoder is: made of the settings alone, it gives unit rows and says who made them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

Report = Callable[[int, int], None]
"""Is told how many texts are done, and of how many."""


def unreported(done: int, total: int) -> None:
    """Nobody wants to know."""


NAMED = "the settings name it"


@dataclass(frozen=True, eq=False)
class Encoded:
    """Vectors of texts, and who made them."""

    vectors: np.ndarray  # float32 (n, dim); unit rows, zero where a text says nothing
    name: str  # the encoder and its model
    why: str  # why this one, and what a reader of the vectors must know: a sentence for people


class TextEncoder(Protocol):
    """A member of ENCODERS, made of EncoderSettings. Making one asks no server."""

    def check(self) -> None:
        """Raises for what would make every encoding fail."""

    def encode(self, texts: list[str], cache: Path, report: Report) -> Encoded:
        """Vectors of `texts`; what is in the cache is not made again."""


def unit_rows(rows: np.ndarray) -> np.ndarray:
    """Rows (n, dim) at length 1, float32; zero rows stay zero."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return (rows / np.where(lengths > 0, lengths, 1)).astype(np.float32)
