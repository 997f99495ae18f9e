"""Opinions of judges, written straight into a real store, for tests of audits."""

from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import insert

from core.records import VIEWS, Dataset
from core.store import Store, Want


class Opinion(NamedTuple):
    """Both views of one pair, by position; "" is a view without an answer."""

    user: int
    item: int
    views: tuple[str, str]
    confidence: float | None = None


def judged(
    store: Store, dataset: Dataset, opinions: Iterable[Opinion], judge: str = "ollama", model: str = "m", prompt: str = "1"
) -> None:
    """Have a judge asked and answered, all in one transaction, which Store.record has one by one."""
    wants, rows = [], []
    for one in opinions:
        ids = str(dataset.user_ids[one.user]), str(dataset.item_ids[one.item])
        for view, rating in zip(VIEWS, one.views, strict=True):
            key = f"{judge}{model}{prompt}-{one.user}-{one.item}-{view}"
            wants.append(Want(*ids, view, judge, model, key))
            values = {"key": key, "view": view, "rating": rating, "confidence": one.confidence, "judge": judge, "model": model}
            values |= {"is_llm": judge == "ollama", "digest": "d", "prompt_version": prompt, "analysis": "", "how": "strict"}
            rows += [values | {"truncated": False, "seconds": 0.1, "at": 1.0}] if rating else []
    store.ask(dataset.name, wants)
    with store.writing(dataset.name) as connection:
        connection.execute(insert(store._table("judgment")), rows)
