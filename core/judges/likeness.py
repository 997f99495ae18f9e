"""How alike a pair's item and what is known of the user are, by named attributes and by text, always leave-one-out."""

import copy
import dataclasses
from typing import Any

import numpy as np
from scipy import sparse

from core import semantic
from core.judges.attributes import Attributes
from core.records import Dataset

NEAREST = 2  # past items that the item view looks at: one alone may itself be a stray click
SATURATED = 3  # other items with an attribute that count as full interest in it
SHOWN = 3  # attributes and examples that evidence names


class Likeness:
    """Measures and evidence of pairs of one dataset."""

    def __init__(self, dataset: Dataset, attributes: Attributes, vectors: np.ndarray) -> None:
        self._dataset, self._attributes, self._vectors = dataset, attributes, vectors
        self._has, self._chosen = attributes.of_item, attributes.chosen
        weighted = sparse.csr_array(self._has * attributes.weight[None, :])
        self._total = np.asarray(weighted.sum(axis=1)).ravel()
        lengths = np.sqrt(np.asarray(weighted.multiply(weighted).sum(axis=1)).ravel())
        self._unit = sparse.csr_array(sparse.diags_array(1 / np.where(lengths > 0, lengths, 1)) @ weighted)
        self._texts = semantic.centred(vectors)

    def without(self, user: int, items: np.ndarray) -> "Likeness":
        """The same, had the user not chosen these items; what an attribute weighs stays."""
        train = self._dataset.train
        gone = (train.user == user) & np.isin(train.item, items)
        less = copy.copy(self)
        less._dataset = dataclasses.replace(self._dataset, train=train.where(~gone))
        ones = np.ones(gone.sum(), np.float32)
        taken = sparse.csr_array((ones, (train.user[gone], train.item[gone])), shape=self._chosen.shape)
        less._chosen = sparse.csr_array(self._chosen - taken)
        less._chosen.eliminate_zeros()
        return less

    def measures(self, user: np.ndarray, item: np.ndarray) -> dict[str, np.ndarray]:
        """By view, two measures of each pair: float32 (n, 2), likeness by attributes and by text.

        User view: the weighted share of the item's attributes in which the user shows interest, by other items or in the
        user's own words; the text's cosine to the user's other items. Item view: the mean likeness to the most similar
        others.
        """
        text = semantic.text_relevance(self._vectors, self._dataset.train, user, item)
        return {"user": np.stack([self._coverage(user, item), text], axis=1), "item": self._near(user, item)}

    def shared(self, user: int, item: int) -> dict[str, Any]:
        """For people: the most telling attributes that other items of the user have, how many have one, some titles."""
        others, columns = self._others(user, item), self._columns(item)
        has = self._has[others][:, columns].toarray() > 0
        telling = np.argsort(-self._attributes.weight[columns], kind="stable")
        shown = [place for place in telling.tolist() if has[:, place].any() and self._attributes.weight[columns[place]] > 0][
            :SHOWN
        ]
        having = others[has[:, shown].any(axis=1)]
        said = np.intersect1d(columns, self._columns_of(self._attributes.of_user, user))
        return {
            "shared": self._attributes.words(columns[shown]),
            "said": self._attributes.words(said),
            "with": len(having),
            "chosen": len(others),
            "examples": [self._dataset.item_title[other] for other in having[:SHOWN]],
        }

    def nearest(self, user: int, item: int) -> dict[str, Any]:
        """For people: the most similar of the user's other items, each with the most telling attributes that both have."""
        others, mine = self._others(user, item), self._columns(item)
        order = np.argsort(-sum(self._alike(np.array([item]), others))[0], kind="stable")[:NEAREST]
        told = []
        for other in others[order].tolist():
            both = np.intersect1d(mine, self._columns(other))
            both = both[self._attributes.weight[both] > 0]
            telling = both[np.argsort(-self._attributes.weight[both], kind="stable")][:SHOWN]
            told.append([self._dataset.item_title[other], self._attributes.words(telling)])
        return {"nearest": told, "chosen": len(others)}

    def _coverage(self, user: np.ndarray, item: np.ndarray) -> np.ndarray:
        """Weighted share (n,) in [0, 1] of the item's attributes in which the user shows interest without this item."""
        users, place = np.unique(user, return_inverse=True)
        interest = sparse.csr_array(self._chosen[users] @ self._has + SATURATED * self._attributes.of_user[users])
        mine = self._has[item]
        observed = np.asarray(self._chosen[user, item]).ravel().astype(np.float32)
        at = sparse.csr_array(interest[place].multiply(mine) - sparse.diags_array(observed) @ mine)
        at.data = np.minimum(at.data, SATURATED) / SATURATED
        return (at @ self._attributes.weight / np.where(self._total[item] > 0, self._total[item], 1)).astype(np.float32)

    def _near(self, user: np.ndarray, item: np.ndarray) -> np.ndarray:
        """Mean likeness to the NEAREST most similar other items, float32 (n, 2); those that are missing count 0."""
        result = np.zeros((len(user), 2), np.float32)
        order = np.argsort(user, kind="stable")
        users, starts = np.unique(user[order], return_index=True)
        for one, rows in zip(users.tolist(), np.split(order, starts[1:]), strict=True):
            others = self._columns_of(self._chosen, one)
            itself = item[rows][:, None] == others[None, :]
            for column, alike in enumerate(self._alike(item[rows], others)):
                best = -np.sort(-np.where(itself, -np.inf, alike), axis=1)[:, :NEAREST]
                result[rows, column] = np.where(np.isfinite(best), best, 0).sum(axis=1) / NEAREST
        return result

    def _alike(self, items: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Cosines (n, m) of items (n,) and others (m,): of their weighted attributes, and of their texts."""
        return (self._unit[items] @ self._unit[others].T).toarray(), self._texts[items] @ self._texts[others].T

    def _others(self, user: int, item: int) -> np.ndarray:
        chosen = self._columns_of(self._chosen, user)
        return chosen[chosen != item]

    def _columns(self, item: int) -> np.ndarray:
        return self._columns_of(self._has, item)

    @staticmethod
    def _columns_of(matrix: sparse.csr_array, row: int) -> np.ndarray:
        return matrix.indices[matrix.indptr[row] : matrix.indptr[row + 1]]
