"""Relevance from text: does an item's text suit what else the user chose?"""

from pathlib import Path

import numpy as np
from scipy import sparse

from core import encoders
from core.encoders import Encoded, Report, unreported
from core.records import Dataset, Interactions, Relevance
from core.settings import EncoderSettings

BLOCK = 100_000  # pairs scored at once


def item_texts(dataset: Dataset) -> list[str]:
    """One text per item: title, category, description; "" where nothing is known (a title that repeats the id is nothing)."""
    titles = np.where(dataset.item_title == dataset.item_ids, "", dataset.item_title)
    categories = (category.replace("|", ", ") for category in dataset.item_category)
    parts = zip(titles, categories, dataset.item_text, strict=True)
    return [". ".join(part for part in row if part) for row in parts]


def encode_items(dataset: Dataset, settings: EncoderSettings, cache: Path, report: Report = unreported) -> Encoded:
    """The vectors of all items' texts: float32 (n_items, dim). `report`: see `encoders.encode`."""
    return encoders.encode(item_texts(dataset), settings, cache, report)


def kept_items(dataset: Dataset, settings: EncoderSettings, cache: Path) -> Encoded | None:
    """The vectors of all items' texts if they have been made before; see `encoders.kept`."""
    return encoders.kept(item_texts(dataset), settings, cache)


def centred(vectors: np.ndarray) -> np.ndarray:
    """Item vectors (n_items, dim) less their mean, as unit rows; items without text stay zero.

    Sentence encoders give all texts of a catalogue a large common part; with it every pair looks alike.
    """
    told = vectors.any(axis=1)
    if not told.any():
        return vectors.astype(np.float32)
    return encoders.unit_rows((vectors - vectors[told].mean(axis=0)) * told[:, None])


def text_relevance(vectors: np.ndarray, train: Interactions, user: np.ndarray, item: np.ndarray) -> np.ndarray:
    """Cosine of each pair (n,) between the item's text and the user's other chosen items: float32 (n,) in [-1, 1].

    vectors: (n_items, dim) as `encode_items` gives them. Leave-one-out: an observed pair's own item is taken out of the
    user's profile, or every click would look right. 0 where the item or the rest of the profile has no text.
    """
    rows = centred(vectors)
    users, place = np.unique(user, return_inverse=True)
    clicked = chosen(train, users, len(rows))
    sums = clicked @ rows
    observed = np.asarray(clicked[place, item]).ravel()
    relevance = np.empty(len(user), dtype=np.float32)
    for start in range(0, len(user), BLOCK):
        part = slice(start, start + BLOCK)
        own = rows[item[part]]
        profile = encoders.unit_rows(sums[place[part]] - observed[part, None] * own)
        relevance[part] = np.einsum("nd,nd->n", profile, own)
    return np.clip(relevance, -1, 1)


def profiles(vectors: np.ndarray, train: Interactions, n_users: int) -> Relevance:
    """Texts as encoded: an item is its centred vector, a user the sum of those of all items that they chose, as unit rows.

    Not leave-one-out: for pairs that are not in train; of those that are, `text_relevance` is the measure. Rows are zero
    where nothing is known.
    """
    rows = centred(vectors)
    return Relevance(encoders.unit_rows(chosen(train, np.arange(n_users), len(rows)) @ rows), rows)


def chosen(train: Interactions, users: np.ndarray, n_items: int) -> sparse.csr_array:
    """Who of `users` (sorted) chose what in train: 0/1 float32 (n_users, n_items)."""
    kept = np.isin(train.user, users)
    rows, columns = np.searchsorted(users, train.user[kept]), train.item[kept]
    clicked = sparse.csr_array((np.ones(len(rows), np.float32), (rows, columns)), shape=(len(users), n_items))
    clicked.data[:] = 1
    return clicked
