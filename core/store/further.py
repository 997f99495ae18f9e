"""Further answers to questions that have one: probes of the rating alone, and repetitions that show how steady a judge is."""

import time
from collections.abc import Iterable

import pandas as pd
from sqlalchemy import select

from core.store.database import CHUNK, frame
from core.store.judgments import JudgmentLog

PROBE = 0
"""The number of the answer that is a rating alone; further answers in full count from 1."""


class FurtherLog(JudgmentLog):
    """One row a question and number. The first answer to each stays."""

    def add_further(
        self,
        key: str,
        number: int,
        rating: str,
        *,
        analysis: str = "",
        confidence: float | None = None,
        raw: str = "",
        prompt_tokens: int | None = None,
        answer_tokens: int | None = None,
    ) -> None:
        """Keep one further answer, in a transaction of its own."""
        values = {"key": key, "number": number, "rating": rating, "analysis": analysis, "confidence": confidence, "raw": raw}
        values |= {"prompt_tokens": prompt_tokens, "answer_tokens": answer_tokens, "at": time.time()}
        with self.writing(self._asking(key)) as connection:
            connection.execute(self._insert(self._table("further_answer")).on_conflict_do_nothing(), values)

    def has_further(self, keys: Iterable[str], number: int) -> set[str]:
        """Those of `keys` that have the further answer of this number."""
        table = self._table("further_answer")
        asked = list(keys)
        with self.reading() as connection:
            parts = (
                select(table.c.key).where(table.c.number == number, table.c.key.in_(asked[start : start + CHUNK]))
                for start in range(0, len(asked), CHUNK)
            )
            return {key for part in parts for key in connection.scalars(part)}

    def further(self, keys: Iterable[str]) -> pd.DataFrame:
        """key, number, rating, analysis, confidence, raw, at: all further answers to these questions, by key and number."""
        table = self._table("further_answer")
        columns = [table.c[name] for name in ("key", "number", "rating", "analysis", "confidence", "raw", "at")]
        asked = list(dict.fromkeys(keys))
        with self.reading() as connection:
            parts = [
                frame(connection, select(*columns).where(table.c.key.in_(asked[start : start + CHUNK])))
                for start in range(0, max(len(asked), 1), CHUNK)
            ]
        return pd.concat(parts, ignore_index=True).sort_values(["key", "number"], ignore_index=True)
