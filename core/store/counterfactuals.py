"""What a judge answers when one thing about its question is changed: kept for good, and never a judgment or a label."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

import pandas as pd
from sqlalchemy import select

from core.store.database import frame
from core.store.judgments import JudgmentLog


class Change(StrEnum):
    """What is changed about a question."""

    NOTHING = "nothing"  # asked anew, because its texts or the judge are no longer those of the first answer
    WITHOUT = "without"  # items of the user's history are left out
    REVERSED = "reversed"  # the history stands in the opposite order
    SEED = "seed"  # a further answer, drawn with another seed
    TITLE = "title"  # of the candidate only the title is told


@dataclass(frozen=True)
class Counterfactual:
    """One answer about a pair in one view with one change (raw ids)."""

    user_id: str
    item_id: str
    view: str
    of_key: str  # of the judgment that people look at
    base_key: str  # of the unchanged question as it is asked now
    key: str  # of the changed question
    number: int  # of the further answer with that key, 0: the first one
    change: str  # a Change
    items: Sequence[str]  # that are left out
    before: str  # the rating of the unchanged question; of a change of NOTHING that of the judgment
    rating: str
    analysis: str
    confidence: float | None
    judge: str
    is_llm: bool
    model: str
    digest: str
    prompt_version: str
    prompt: Sequence[Mapping[str, str]]  # the messages as they were sent
    raw: str
    prompt_tokens: int | None
    answer_tokens: int | None
    seconds: float
    server: str
    annotator: str  # who asked
    at: float  # [Unix s]


class CounterfactualLog(JudgmentLog):
    """One row a pair, view, question and change. The first answer stays."""

    def add_counterfactual(self, dataset: str, answer: Counterfactual) -> None:
        """Keep an answer, in a transaction of its own."""
        values = asdict(answer) | {"dataset": dataset, "detail": json.dumps(list(answer.items), ensure_ascii=False)}
        values["prompt"] = json.dumps(list(answer.prompt), ensure_ascii=False)
        values.pop("items")
        with self.writing(dataset) as connection:
            connection.execute(self._insert(self._table("counterfactual")).on_conflict_do_nothing(), values)

    def counterfactuals(self, dataset: str, user_id: str | None = None, item_id: str | None = None) -> pd.DataFrame:
        """Fields of Counterfactual, oldest first: of a dataset, or of one pair. `prompt` is JSON, `items` a list."""
        table = self._table("counterfactual")
        columns = [column for column in table.c if column.name not in ("id", "dataset")]
        statement = select(*columns).where(table.c.dataset == dataset).order_by(table.c.id)
        for name, value in (("user_id", user_id), ("item_id", item_id)):
            statement = statement if value is None else statement.where(table.c[name] == value)
        with self.reading() as connection:
            rows = frame(connection, statement, flags=("is_llm",))
        return rows.rename(columns={"detail": "items"}).assign(items=[json.loads(one) for one in rows["detail"]])
