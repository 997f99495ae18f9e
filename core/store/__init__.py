"""The database: what people decided, what judges answered, labels frozen from both, rubrics, samples to audit judges
by, selections of pairs, saved views, and what judges answered when something about a question was changed.

Decisions are append-only and precious; judgments are a cache by content that can be bought again; versions, rubrics,
samples and selections are immutable; saved views are a log. SQLite in the home by default, PostgreSQL by URL. Raw ids everywhere.
"""

from typing import Self

import pandas as pd

from core import labels
from core.artifacts import Home
from core.records import Dataset, LabelSet
from core.store.audits import AuditLog
from core.store.counterfactuals import CounterfactualLog
from core.store.further import PROBE, FurtherLog
from core.store.judgments import Answer, Want
from core.store.profiles import ProfileLog
from core.store.requests import Failure, Noted, RequestLog, Sent
from core.store.rubrics import RubricLog
from core.store.selections import SelectionLog
from core.store.versions import VersionLog
from core.store.views import ViewLog

__all__ = ["PROBE", "Answer", "Failure", "Noted", "Sent", "Store", "Want"]


class Store(AuditLog, CounterfactualLog, FurtherLog, ProfileLog, RequestLog, RubricLog, SelectionLog, VersionLog, ViewLog):
    """Safe to share between threads, and several processes may have the same database open at once.

    Every method may raise StoreError (locked, disk full, not a database); then nothing of that call was written.
    """

    @classmethod
    def open(cls, home: Home) -> Self:
        """The database of a home, made or brought up to date when needed."""
        return cls(home.database_url)

    def labels(self, dataset: Dataset) -> LabelSet:
        """All labels as they stand now; pairs that were asked about without an answer are UNJUDGED."""
        return labels.decided(dataset, self.judged(dataset), self.standing(dataset.name))

    def judged(self, dataset: Dataset) -> LabelSet:
        """The labels by judges alone, the same for as long as `asked` is."""
        asked = pd.concat([self.judgments(dataset.name, texts=False), self.unanswered(dataset.name)], ignore_index=True)
        return labels.judged(dataset, asked)
