"""What an import says about its files: every problem with its number of rows, its first lines and a plain sentence."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

Severity = Literal["error", "warning", "note"]
LINES_SHOWN = 10


@dataclass(frozen=True)
class Problem:
    """One kind of trouble in one file. error: unusable rows; warning: it looks wrong or was changed; note: just so."""

    kind: str
    severity: Severity
    file: str
    count: int  # rows, ids or pairs concerned
    lines: tuple[int, ...]  # first ten, 1-based as an editor shows them (with the header); rows of a Parquet file
    message: str  # a full sentence
    example: str = ""  # the first offending value, as it stands in the file


@dataclass(frozen=True)
class ImportReport:
    """The validation report of one import."""

    rows_read: int
    rows_kept: int
    problems: tuple[Problem, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "ImportReport":
        problems = (Problem(**{**problem, "lines": tuple(problem["lines"])}) for problem in value["problems"])
        return cls(value["rows_read"], value["rows_kept"], tuple(problems))

    def sentences(self) -> list[str]:
        """The report for people: first what was kept, then every problem with where it is."""
        return [f"{self.rows_kept:,} of {self.rows_read:,} rows kept.", *(told(problem) for problem in self.problems)]


def told(problem: Problem) -> str:
    """A problem for people: the sentence, its lines and an example."""
    parts = []
    if problem.lines:
        word = "row" if problem.file.endswith(".parquet") else "line"
        more = ", ..." if problem.count > len(problem.lines) else ""
        parts.append(f"{word}{'s' if len(problem.lines) > 1 else ''} {', '.join(map(str, problem.lines))}{more}")
    if problem.example:
        parts.append(f"such as {problem.example!r}")
    return f"{problem.file}: {problem.message}" + (f" ({'; '.join(parts)})" if parts else "")


def found(
    kind: str, severity: Severity, file: str, message: str, lines: np.ndarray | Sequence[int], example: object = ""
) -> Problem:
    """A Problem about these lines: `{n}` in the message becomes "1 row", "2 rows" ..."""
    shown = tuple(int(line) for line in lines[:LINES_SHOWN])
    message = message.replace("{n}", counted(len(lines), "row"))
    return Problem(kind, severity, file, len(lines), shown, message, clipped(str(example)))


def about(kind: str, severity: Severity, file: str, message: str, count: int, example: object = "") -> Problem:
    """A Problem that concerns no lines in particular."""
    return Problem(kind, severity, file, count, (), message, clipped(str(example)))


def counted(n: int, thing: str) -> str:
    """ "1 row", "2,000 rows"."""
    return f"{n:,} {thing}{'' if n == 1 else 's'}"


def clipped(text: str, length: int = 80) -> str:
    text = " ".join(text.split())
    return text if len(text) <= length else text[: length - 1] + "…"
