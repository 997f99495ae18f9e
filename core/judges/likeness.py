"""How alike a pair's item and the user's other items are, by named attributes and by text vectors, always leave-one-out."""

from typing import Any

import numpy as np
from scipy import sparse

from core import semantic
from core.judges.attributes import Attributes
from core.records import Dataset

NEAREST = 3  # past items that the item view looks at
SATURATED = 3  # other items with an attribute that count as full interest in it
SHOWN = 3  # attributes and examples that evidence names


class Likeness:
    """Scores and evidence of pairs of one dataset."""

    def __init__(self, dataset: Dataset, attributes: Attributes, vectors: np.ndarray) -> None:
        self._dataset, self._attributes, self._vectors = dataset, attributes, vectors
        self._has = attributes.of_item
        weighted = sparse.csr_array(self._has * attributes.rarity[None, :])
        self._total = np.asarray(weighted.sum(axis=1)).ravel()
        lengths = np.sqrt(np.asarray(weighted.multiply(weighted).sum(axis=1)).ravel())
        self._unit = sparse.csr_array(sparse.diags_array(1 / np.where(lengths > 0, lengths, 1)) @ weighted)
        self._texts = semantic.centred(vectors)
        shape = (dataset.n_users, dataset.n_items)
        ones = np.ones(len(dataset.train), np.float32)
        self._chosen = sparse.csr_array((ones, (dataset.train.user, dataset.train.item)), shape=shape)

    def scores(self, user: np.ndarray, item: np.ndarray) -> dict[str, np.ndarray]:
        """Scores (n,) of pairs (n,) by view; about 0 for no likeness, 1 for the same."""
        text = semantic.text_relevance(self._vectors, self._dataset.train, user, item)
        return {"user": (self._coverage(user, item) + text) / 2, "item": self._near(user, item)}

    def shared(self, user: int, item: int) -> dict[str, Any]:
        """For people: the rarest attributes that other items of the user have, how many have one, and their titles."""
        others = self._others(user, item)
        columns = self._columns(item)
        shared = columns[np.asarray(self._has[others][:, columns].sum(axis=0)).ravel() > 0]
        shown = shared[np.argsort(-self._attributes.rarity[shared], kind="stable")[:SHOWN]]
        having = others[np.asarray(self._has[others][:, shown].sum(axis=1)).ravel() > 0]
        titles = [self._dataset.item_title[other] for other in having[:SHOWN]]
        return {"shared": self._attributes.words(shown), "with": len(having), "chosen": len(others), "examples": titles}

    def nearest(self, user: int, item: int) -> dict[str, Any]:
        """For people: the most similar of the user's other items, each with the rarest attributes that both have."""
        others = self._others(user, item)
        order = np.argsort(-self._alike(np.array([item]), others)[0], kind="stable")[:NEAREST]
        mine = self._columns(item)
        told = [(other, np.intersect1d(mine, self._columns(other))) for other in others[order]]
        names = [[self._dataset.item_title[other], self._attributes.words(both)[:SHOWN]] for other, both in told]
        return {"nearest": names, "chosen": len(others)}

    def _coverage(self, user: np.ndarray, item: np.ndarray) -> np.ndarray:
        """Share of the item's attributes, by rarity, in which the user's other items show interest: (n,) in [0, 1]."""
        users, place = np.unique(user, return_inverse=True)
        counts = sparse.csr_array(self._chosen[users] @ self._has)
        mine = self._has[item]
        at = sparse.csr_array(counts[place].multiply(mine) - sparse.diags_array(self._observed(user, item)) @ mine)
        at.data = np.minimum(at.data, SATURATED) / SATURATED
        return at @ self._attributes.rarity / np.where(self._total[item] > 0, self._total[item], 1)

    def _near(self, user: np.ndarray, item: np.ndarray) -> np.ndarray:
        """Mean likeness (n,) to the NEAREST most similar other items; those that are missing count 0."""
        result = np.zeros(len(user), np.float32)
        order = np.argsort(user, kind="stable")
        users, starts = np.unique(user[order], return_index=True)
        for one, rows in zip(users.tolist(), np.split(order, starts[1:]), strict=True):
            others = self._chosen.indices[self._chosen.indptr[one] : self._chosen.indptr[one + 1]]
            alike = self._alike(item[rows], others)
            alike[item[rows][:, None] == others[None, :]] = -np.inf
            best = -np.sort(-alike, axis=1)[:, :NEAREST]
            result[rows] = np.where(np.isfinite(best), best, 0).sum(axis=1) / NEAREST
        return result

    def _alike(self, items: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Likeness (n, m) of items (n,) and others (m,): the mean of the cosines of attributes and of texts."""
        named = (self._unit[items] @ self._unit[others].T).toarray()
        return (named + self._texts[items] @ self._texts[others].T) / 2

    def _others(self, user: int, item: int) -> np.ndarray:
        chosen = self._chosen.indices[self._chosen.indptr[user] : self._chosen.indptr[user + 1]]
        return chosen[chosen != item]

    def _columns(self, item: int) -> np.ndarray:
        return self._has.indices[self._has.indptr[item] : self._has.indptr[item + 1]]

    def _observed(self, user: np.ndarray, item: np.ndarray) -> np.ndarray:
        """1 where the pair is in train, else 0: float32 (n,)."""
        return np.asarray(self._chosen[user, item]).ravel().astype(np.float32)
