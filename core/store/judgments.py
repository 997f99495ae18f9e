"""Answers of judges, kept by the content of their question, and the list of what was asked.

A question's key is a hash of all that the answer depends on (core.judges.base), so nothing is ever invalidated: a
changed text, model or rubric is another key. `want` says which pairs stand behind a key; two pairs with one text share
an answer.
"""

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import islice
from typing import Any, NamedTuple

import pandas as pd
from sqlalchemy import Connection, Select, delete, func, insert, select

from core.records import Judgment
from core.store.database import CHUNK, Database, frame

RATER = ["judge", "model", "digest", "prompt_version"]
"""What tells one rater from another; the two views of a label never come from different raters."""
OPINION = ["user_id", "item_id", *RATER, "asked_at"]
"""Both views of one: a rater's answers to what was asked at one moment, so from the same texts about the pair."""


FLAGS = ("is_llm", "truncated")
DETAIL_CHARS = 2000
"""Of a failure, kept at most."""


class Want(NamedTuple):
    """One question that somebody wants answered about one pair (raw ids)."""

    user_id: str
    item_id: str
    view: str
    judge: str
    model: str
    key: str


class Answer(NamedTuple):
    """A valid answer, the messages that were sent, and how it was read."""

    judgment: Judgment
    prompt: Sequence[Mapping[str, str]]
    raw: str  # as it came
    how: str = "strict"  # or "repaired"
    truncated: bool = False


class JudgmentLog(Database):
    """The cache of judgments and its bookkeeping."""

    def ask(self, dataset: str, wants: Iterable[Want]) -> None:
        """Note what is wanted, all at one moment; asking again makes these the newest wants of their pairs."""
        table = self._table("want")
        statement = self._insert(table)
        statement = statement.on_conflict_do_update(
            index_elements=["dataset", "user_id", "item_id", "view", "key"], set_={"at": statement.excluded.at}
        )
        common = {"dataset": dataset, "at": time.time()}
        left = iter(wants)
        with self.writing(dataset) as connection:
            while part := [want._asdict() | common for want in islice(left, CHUNK)]:
                connection.execute(statement, part)

    def answered(self, keys: Iterable[str]) -> set[str]:
        """Those of `keys` that have an answer."""
        table = self._table("judgment")
        asked = list(keys)
        with self.reading() as connection:
            parts = (table.c.key.in_(asked[start : start + CHUNK]) for start in range(0, len(asked), CHUNK))
            return {key for part in parts for key in connection.scalars(select(table.c.key).where(part))}

    def record(
        self, judgment: Judgment, prompt: Sequence[Mapping[str, str]], raw: str, *, how: str = "strict", truncated: bool = False
    ) -> None:
        """Keep a valid answer with the messages that were sent, in a transaction of its own. The first answer to a key stays."""
        with self.writing(self._asking(judgment.key)) as connection:
            self._keep(connection, [Answer(judgment, prompt, raw, how, truncated)])

    def _keep(self, connection: Connection, answers: Sequence[Answer]) -> None:
        """Insert what has no answer yet; nobody waits for it any more, in whatever file it was sent away."""
        table, evidence, request = self._table("judgment"), self._table("evidence"), self._table("request")
        rows = [
            {name: value for name, value in asdict(answer.judgment).items() if name in table.c}
            | {"how": answer.how, "truncated": answer.truncated}
            for answer in answers
        ]
        texts = [
            {"key": answer.judgment.key, "prompt": json.dumps(list(answer.prompt), ensure_ascii=False), "raw": answer.raw}
            for answer in answers
        ]
        connection.execute(self._insert(table).on_conflict_do_nothing(), rows)
        connection.execute(self._insert(evidence).on_conflict_do_nothing(), texts)
        connection.execute(delete(request).where(request.c.key.in_([row["key"] for row in rows])))

    def fail(self, key: str, kind: str, detail: str, attempt: int) -> None:
        """Note one attempt that gave no valid answer."""
        with self.writing(self._asking(key)) as connection:
            values = {"key": key, "kind": kind, "detail": detail[:DETAIL_CHARS], "attempt": attempt, "at": time.time()}
            connection.execute(insert(self._table("failure")), values)

    def _asking(self, *keys: str) -> Select:
        """The datasets whose pairs wait for these answers."""
        want = self._table("want")
        return select(want.c.dataset).distinct().where(want.c.key.in_(keys))

    def judgments(
        self, dataset: str, user_id: str | None = None, item_id: str | None = None, *, texts: bool = True
    ) -> pd.DataFrame:
        """One row per pair, view, judge and model: its answer, oldest question first.

        Where a judge was asked about a pair several times, with other texts, prompt versions or weights, the newest
        questioning that it answered in both views counts (else the newest at all), never a mixture.

        Columns of core.records.Judgment, `how` ("strict" or "repaired"), `truncated`, `asked_at` [Unix s], and with `texts`
        also `prompt` (JSON of the messages) and `raw` (the answer as it came), which are long.
        """
        want = self._table("want")
        with self.reading() as connection:
            chosen = _of_pair(self._judged(texts), want, dataset, user_id, item_id).order_by(want.c.at, want.c.id)
            return _one_questioning(frame(connection, chosen, flags=FLAGS))

    def answers(self, dataset: str) -> pd.DataFrame:
        """All answers about all pairs, oldest question first: columns of `judgments` without texts. Of a judge that was asked
        several times, with other prompt versions, weights or texts, every one."""
        want = self._table("want")
        with self.reading() as connection:
            chosen = _of_pair(self._judged(False), want, dataset, None, None).order_by(want.c.at, want.c.id)
            return frame(connection, chosen, flags=FLAGS)

    def every_judgment(self, dataset: str, size: int = CHUNK) -> Iterator[pd.DataFrame]:
        """All answers about all pairs, `size` rows at a time, in the order in which they were first wanted: columns of
        `judgments` with texts."""
        want, table = self._table("want"), self._table("judgment")
        answered = select(want.c.id).join(table, table.c.key == want.c.key).where(want.c.dataset == dataset)
        with self.reading() as connection:
            ids = list(connection.scalars(answered.order_by(want.c.id)))
        for start in range(0, len(ids), size):
            part = self._judged(True).where(want.c.id.in_(ids[start : start + size])).order_by(want.c.id)
            with self.reading() as connection:
                yield frame(connection, part, flags=FLAGS)

    def judgments_of(self, dataset: str, keys: Sequence[str]) -> pd.DataFrame:
        """The answers to some questions, for every pair of the dataset that they were asked about: columns of `judgments`
        with texts."""
        want = self._table("want")
        statement = self._judged(True).where(want.c.dataset == dataset, want.c.key.in_(keys)).order_by(want.c.id)
        with self.reading() as connection:
            return frame(connection, statement, flags=FLAGS)

    def _judged(self, texts: bool) -> Select:
        """What is wanted and has an answer."""
        want, table, evidence = self._table("want"), self._table("judgment"), self._table("evidence")
        columns = [want.c.user_id, want.c.item_id, *(column for column in table.c if column.name != "id")]
        source = want.join(table, table.c.key == want.c.key)
        if texts:
            columns += [evidence.c.prompt, evidence.c.raw]
            source = source.join(evidence, evidence.c.key == want.c.key)
        return select(*columns, want.c.at.label("asked_at")).select_from(source)

    def newest_answer(self) -> int:
        """A number that grows with every answer, about whatever dataset; 0 before the first."""
        with self.reading() as connection:
            return connection.scalar(select(func.max(self._table("judgment").c.id))) or 0

    def asked(self, dataset: str) -> tuple[int, int, int, float]:
        """What tells whether `judgments`, `unanswered` and `coverage` may have changed; people's decisions do not move it."""
        want, table, failure = self._table("want"), self._table("judgment"), self._table("failure")
        with self.reading() as connection:
            newest, failed = (connection.scalar(select(func.max(one.c.id))) or 0 for one in (table, failure))
            asked = select(func.count(), func.coalesce(func.sum(want.c.at), 0.0)).where(want.c.dataset == dataset)
            n, moments = connection.execute(asked).one()
            return newest, failed, n, moments

    def unanswered(self, dataset: str, user_id: str | None = None, item_id: str | None = None) -> pd.DataFrame:
        """What was asked and has no answer: user_id, item_id, view, judge, model, key, asked_at, and the last failure's kind,
        detail, attempt and failed_at (missing where nothing was tried yet). Pairs that the judge answered under another key
        are not in it."""
        want, table, failure = self._table("want"), self._table("judgment"), self._table("failure")
        same = [want.c.dataset, want.c.user_id, want.c.item_id, want.c.view, want.c.judge, want.c.model]
        other = want.alias()
        answered = (
            select(table.c.id)
            .join(other, other.c.key == table.c.key)
            .where(*(other.c[column.name] == column for column in same))
            .correlate(want)
            .exists()
        )
        last = select(func.max(failure.c.id).label("id")).group_by(failure.c.key).subquery()
        columns = [*same[1:], want.c.key, want.c.at.label("asked_at"), failure.c.kind, failure.c.detail, failure.c.attempt]
        failed = failure.join(last, last.c.id == failure.c.id)
        statement = (
            select(*columns, failure.c.at.label("failed_at"))
            .select_from(want.outerjoin(failed, failure.c.key == want.c.key))
            .where(~answered)
        )
        with self.reading() as connection:
            rows = frame(connection, _of_pair(statement, want, dataset, user_id, item_id).order_by(want.c.at, want.c.id))
        return rows.drop_duplicates([column.name for column in same[1:]], keep="last").reset_index(drop=True)

    def coverage(self, dataset: str) -> pd.DataFrame:
        """Pairs per judge and model: `asked`, `judged` (both views), `failed` (a view failed), `unjudged` (all that are not
        judged, failed or not tried yet)."""
        names = ["judge", "model"]
        pair = ["user_id", "item_id", *names]
        answers, open_ = self.judgments(dataset, texts=False), self.unanswered(dataset)
        views = answers.groupby(pair)["view"].nunique()
        asked = pd.concat([answers[pair], open_[pair]]).drop_duplicates().groupby(names).size()
        failed = open_.dropna(subset="kind")[pair].drop_duplicates().groupby(names).size()
        judged = views[views == 2].groupby(level=names).size()
        counts = pd.DataFrame({"asked": asked, "judged": judged, "failed": failed}).fillna(0).astype(int)
        counts["unjudged"] = counts["asked"] - counts["judged"]
        return counts.reset_index()


def _of_pair(statement: Select, want: Any, dataset: str, user_id: str | None, item_id: str | None) -> Select:
    statement = statement.where(want.c.dataset == dataset)
    if user_id is not None:
        statement = statement.where(want.c.user_id == user_id)
    return statement if item_id is None else statement.where(want.c.item_id == item_id)


def _one_questioning(rows: pd.DataFrame) -> pd.DataFrame:
    """Of each pair, judge and model the newest opinion with both views, else the newest; rows come oldest question first."""
    pair = ["user_id", "item_id", "judge", "model"]
    rows = rows.drop_duplicates([*OPINION, "view"], keep="last")
    opinions = rows.groupby(OPINION, sort=False)
    if opinions.ngroups == len(rows.drop_duplicates(pair)):
        return rows.reset_index(drop=True)
    ranked = rows.assign(_views=opinions["view"].transform("size"))
    best = ranked.sort_values(["_views", "asked_at"], kind="stable").drop_duplicates(pair, keep="last")
    return rows.merge(best[OPINION], on=OPINION).sort_values("asked_at", kind="stable", ignore_index=True)
