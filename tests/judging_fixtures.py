"""A small catalogue with texts and two readers' worlds, for tests of labels, candidates and judges."""

import numpy as np

from core.records import Candidates, Dataset, Interactions
from core.settings import JudgeSettings
from tests.model_server.process import ModelServer


def texts(*values: str) -> np.ndarray:
    return np.array(values, dtype=object)


def pairs(*codes: tuple[int, int]) -> Interactions:
    user, item = np.array(codes, dtype=np.int32).reshape(-1, 2).T
    return Interactions(user, item)


def candidates(dataset: Dataset, *codes: tuple[int, int]) -> Candidates:
    """Pairs up for judgment, with numbers that nothing depends on."""
    found = pairs(*codes)
    observed = np.isin(found.codes(dataset.n_items), dataset.train.codes(dataset.n_items))
    zero = np.zeros(len(found), np.float32)
    return Candidates(found.user, found.item, observed, zero, zero, zero, zero)


def ollama(*servers: ModelServer, **changes: object) -> JudgeSettings:
    """A judge on these servers that does not wait for long."""
    urls = " ".join(server.url for server in servers)
    return JudgeSettings(**{"judge": "ollama", "url": urls, "timeout_s": 5, **changes})


def catalogue() -> Dataset:
    """Items 0-9 are about jazz, 10-19 about gardens; even readers chose jazz, odd ones gardens, reader 0 also garden 10."""
    n_users, n_items = 8, 20
    jazz = [f"A jazz trumpet session, swing and bebop, number {word}" for word in WORDS[:10]]
    garden = [f"Roses, soil and pruning for a quiet garden, number {word}" for word in WORDS[10:]]
    chosen = [(user, item) for user in range(n_users) for item in range(n_items) if (user % 2 == 0) == (item < 10)]
    parts = {name: [] for name in ("train", "valid", "test")}
    for user, item in chosen:
        parts["valid" if (user + item) % 10 == 8 else "test" if (user + item) % 10 == 9 else "train"].append((user, item))
    return Dataset(
        name="shop",
        user_ids=texts(*(f"u{user}" for user in range(n_users))),
        item_ids=texts(*(f"i{item}" for item in range(n_items))),
        user_text=texts(*("" for _ in range(n_users))),
        item_title=texts(*(f"{'Swing' if item < 10 else 'Rose'} {WORDS[item]}" for item in range(n_items))),
        item_category=texts(*("Jazz|Trumpet" if item < 10 else "Garden" for item in range(n_items))),
        item_text=texts(*jazz, *garden),
        train=pairs(*parts["train"], (0, 10)),
        valid=pairs(*parts["valid"]),
        test=pairs(*parts["test"]),
        fingerprint="shop-1",
    )


WORDS = ["amber", "basil", "cedar", "delta", "ember", "fjord", "grove", "heron", "indigo", "juniper"]
WORDS += ["kelp", "lotus", "maple", "nectar", "olive", "poppy", "quartz", "raven", "sage", "thyme"]
