"""Questions that were sent away in files, and answers that come back in files: from a provider, or from another machine."""

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

from sqlalchemy import insert, select

from core.store.database import CHUNK
from core.store.judgments import DETAIL_CHARS, Answer, JudgmentLog, Want


class Sent(NamedTuple):
    """A question in a file, with all that its answer will be recorded with."""

    key: str
    view: str
    prompt: Sequence[Mapping[str, str]]
    judge: str
    is_llm: bool
    model: str
    digest: str
    prompt_version: str
    profile: str
    truncated: bool


class Noted(NamedTuple):
    """A want of a dataset, noted at a moment [Unix s] somewhere else."""

    dataset: str
    want: Want
    at: float


class Failure(NamedTuple):
    """A line of a file that is no valid answer to its question."""

    key: str
    kind: str
    detail: str


class RequestLog(JudgmentLog):
    """The first answer to a key stays, whichever way it comes."""

    def send_away(self, rows: Iterable[Sent]) -> None:
        """Keep what an answer will need; a question that is sent away again stays as it is."""
        statement = self._insert(self._table("request")).on_conflict_do_nothing()
        left, now = iter(rows), time.time()
        while part := list(islice(left, CHUNK)):
            with self.writing([]) as connection:
                values = [row._asdict() | {"prompt": json.dumps(list(row.prompt), ensure_ascii=False), "at": now} for row in part]
                connection.execute(statement, values)

    def awaited(self, keys: Iterable[str]) -> dict[str, Sent]:
        """By key, those of the questions that were sent away and have no answer yet."""
        table = self._table("request")
        columns = [table.c[name] for name in Sent._fields]
        found: dict[str, Sent] = {}
        asked = list(keys)
        with self.reading() as connection:
            for start in range(0, len(asked), CHUNK):
                rows = connection.execute(select(*columns).where(table.c.key.in_(asked[start : start + CHUNK])))
                found |= {row.key: Sent(*row)._replace(prompt=json.loads(row.prompt)) for row in rows}
        return found

    def wanting(self, keys: Sequence[str]) -> set[tuple[str, str, str, str, str]]:
        """(dataset, user_id, item_id, view, key) of all that was asked by these keys."""
        want = self._table("want")
        columns = [want.c[name] for name in ("dataset", "user_id", "item_id", "view", "key")]
        with self.reading() as connection:
            return {tuple(row) for row in connection.execute(select(*columns).where(want.c.key.in_(keys)))}

    def take_in(self, answers: Sequence[Answer], wants: Sequence[Noted] = (), failures: Sequence[Failure] = ()) -> None:
        """Keep all of it in one transaction. What is there already is left alone, wants and failures too."""
        want, failure = self._table("want"), self._table("failure")
        keys = {answer.judgment.key for answer in answers} | {each.key for each in failures}
        with self.reading() as connection:
            earlier = select(failure.c.key, failure.c.kind, failure.c.detail)
            known = {tuple(row) for row in connection.execute(earlier.where(failure.c.key.in_([each.key for each in failures])))}
            told = set(connection.scalars(self._asking(*keys))) | {each.dataset for each in wants}
        cut = dict.fromkeys(each._replace(detail=each.detail[:DETAIL_CHARS]) for each in failures)
        fresh = [each for each in cut if tuple(each) not in known]
        if not (answers or wants or fresh):
            return
        with self.writing(sorted(told)) as connection:
            if wants:
                noted = [each.want._asdict() | {"dataset": each.dataset, "at": each.at} for each in wants]
                connection.execute(self._insert(want).on_conflict_do_nothing(), noted)
            if answers:
                self._keep(connection, answers)
            if fresh:
                now = time.time()
                connection.execute(insert(failure), [each._asdict() | {"attempt": 1, "at": now} for each in fresh])
