"""Rows on their way to being clean: what is left out is reported with its lines."""

import numpy as np
import pandas as pd

from core.datasets.files import Table
from core.datasets.report import Severity, about, found


class Sieve:
    """Rows of one table on their way to being clean, and what was found on the way."""

    def __init__(self, table: Table) -> None:
        self.file = table.file
        self.rows = pd.DataFrame({"line": table.lines})
        self.problems = list(table.problems)

    def drop(
        self, bad: np.ndarray, kind: str, message: str, cells: pd.Series | None = None, severity: Severity = "error"
    ) -> None:
        """Leave out the `bad` rows bool (n,); `cells` (n,) has the text that serves as example."""
        bad = np.asarray(bad, bool)
        if bad.any():
            example = cells[bad].iloc[0] if cells is not None else ""
            self.problems.append(found(kind, severity, self.file, message, self.rows["line"].to_numpy()[bad], example))
            self.rows = self.rows[~bad]

    def say(self, kind: str, severity: Severity, message: str, count: int, example: object = "") -> None:
        """Report something that concerns no row in particular."""
        self.problems.append(about(kind, severity, self.file, message, count, example))
