"""An invented bookshop with planted truth: which clicks are rare true tastes, which are misclicks, and what was missed.

Every reader has two or three main shelves and one side taste, a theme on another shelf. Ordinary clicks come from the
main shelves, hard positives from the side taste, noisy positives from shelves that the reader does not care about. Both
of the latter are alone in the reader's history, so a model's loss is high for both: only the texts tell them apart.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from core.artifacts import Home
from core.datasets import disk, words
from core.datasets.disk import DatasetInfo
from core.datasets.importing import import_path
from core.datasets.report import ImportReport
from core.errors import DatasetError, SettingsError
from core.rng import stream
from core.settings import DemoSettings

# Chosen so that a plain LightGCN's final loss cannot tell misclicks from rare tastes (AUC about .57 where .5 is chance),
# the texts can (about .84), and knowing the truth raises recall@20 by about 7 % (tests/test_demo.py).
POPULARITY_SPREAD = 0.8
"""Standard deviation of the logarithm of an item's popularity."""
THEME_SPREAD = 1.0
"""Standard deviation of the logarithm of a reader's liking for a theme of a main shelf."""
NOISY_POPULARITY = 1.5
"""Exponent of popularity in the choice of a misclick: what stands in the window gets clicked."""
HARD_POPULARITY = 0.5
"""Exponent of popularity in the choice of a hard positive: people dig for a rare taste."""
OWN_THEME = 20.0
"""How much likelier a book of the side taste's theme is chosen than others of its shelf."""
HELD_OUT = 0.2
"""Share of a reader's clicks in valid, and as many in test."""
MISSED_SHARE = 0.15
"""Planted missed positives per training click."""
VAGUE_SHARE = 0.12
"""Share of items whose description tells nothing about them."""
FIRST_CLICK = 1_704_067_200  # 2024-01-01 [Unix s]
DAYS = 365
FILES = ("interactions", "items", "users", "truth")


def import_demo(
    home: Home, settings: DemoSettings | None = None, name: str = "demo", replace: bool = False
) -> tuple[DatasetInfo, ImportReport]:
    """Write the shop as CSV files under `demo/<name>` of the home, and import them like anyone's files."""
    folder = home.path / "demo" / disk.checked_name(name)
    if (home.datasets / name).exists() and not replace:
        raise DatasetError(f"There is already a dataset named {name!r}.", "Choose another name, or replace it.")
    write(settings or DemoSettings(), folder)
    return import_path(home, folder, name=name, replace=replace)


def write(settings: DemoSettings, folder: Path) -> None:
    """interactions.csv, items.csv, users.csv and truth.csv. Equal settings write equal bytes."""
    frames = invent(settings)
    folder.mkdir(parents=True, exist_ok=True)
    for file in FILES:
        frames[file].to_csv(folder / f"{file}.csv", index=False, lineterminator="\n")


@dataclass(frozen=True, eq=False)
class _Shop:
    """The catalogue by position."""

    shelf: np.ndarray  # (n_items,) place in SHELVES
    theme: np.ndarray  # (n_items,) place within the shelf
    popularity: np.ndarray  # (n_items,)
    n_shelves: int


def invent(settings: DemoSettings) -> dict[str, pd.DataFrame]:
    """The four tables by file name."""
    shop = _shop(settings)
    items = _items(shop, settings)
    rng = stream(settings.seed, "readers")
    counts = _activity(shop, settings)
    users, clicks, missed = [], [], []
    for reader in range(settings.users):
        taste = _taste(shop, rng)
        users.append(_introduced(taste, rng))
        clicked, unseen = _clicks(shop, taste, int(counts[reader]), settings, rng)
        clicks.append(clicked.assign(user=reader))
        missed.append(pd.DataFrame({"user": reader, "item": unseen, "truth": "missed"}))
    user_ids, item_ids = _ids("reader", settings.users), _ids("book", settings.items)
    rows = pd.concat(clicks, ignore_index=True).sort_values(["time", "user", "item"], ignore_index=True)
    truth = pd.concat([rows.loc[rows["truth"] != "clean", ["user", "item", "truth"]], *missed], ignore_index=True)
    for frame in (rows, truth):
        frame["user"], frame["item"] = user_ids[frame["user"]], item_ids[frame["item"]]
    return {
        "interactions": rows[["user", "item", "time", "split"]],
        "items": items.assign(item=item_ids)[["item", "title", "category", "description"]],
        "users": pd.DataFrame({"user": user_ids, "about": users}),
        "truth": truth,
    }


def _ids(word: str, n: int) -> np.ndarray:
    """ "book-001" ...: as many digits as the last one needs."""
    width = len(str(n))
    return np.array([f"{word}-{number:0{width}}" for number in range(1, n + 1)], dtype=object)


def _shop(settings: DemoSettings) -> _Shop:
    rng = stream(settings.seed, "shop")
    n_shelves = int(np.clip(settings.items // 15, 4, len(words.SHELVES)))
    shelf = rng.permutation(np.arange(settings.items) % n_shelves)
    theme = rng.integers(0, 5, settings.items)
    return _Shop(shelf, theme, rng.lognormal(0, POPULARITY_SPREAD, settings.items), n_shelves)


def _activity(shop: _Shop, settings: DemoSettings) -> np.ndarray:
    """Clicks per reader int64 (n_users,): skewed as in real shops, at least 8, within what their shelves can hold."""
    rng = stream(settings.seed, "activity")
    room = 2 * len(shop.shelf) // shop.n_shelves
    mean = settings.interactions / settings.users
    if not 8 <= mean <= 0.8 * room:
        low, high = 8 * settings.users, int(0.8 * room * settings.users)
        hint = f"With {settings.users} users and {settings.items} items ask for {low:,} to {high:,}."
        raise SettingsError(f"{settings.interactions:,} interactions do not fit this demo.", hint)
    counts = rng.lognormal(0, 0.45, settings.users)
    for _ in range(10):  # clipping moves the mean; scale it back
        counts = np.clip(counts * settings.interactions / counts.sum(), 8, room)
    return np.round(counts).astype(np.int64)


@dataclass(frozen=True, eq=False)
class _Taste:
    mains: np.ndarray  # shelves
    affinity: np.ndarray  # (n_items,) how much an ordinary click falls here; 0 off the main shelves
    side_shelf: int
    side_theme: int
    digging: np.ndarray  # (n_items,) how much a hard positive falls here; 0 off the side shelf
    slips: np.ndarray  # (n_items,) how much a misclick falls here; 0 on all shelves of this reader


def _taste(shop: _Shop, rng: np.random.Generator) -> _Taste:
    """Two main shelves, or three where the shop has many, and a theme of another shelf; some shelves are left for misclicks."""
    shelves = rng.permutation(shop.n_shelves)
    n_mains = 2 if shop.n_shelves < 8 else int(rng.integers(2, 4))
    mains, side = shelves[:n_mains], int(shelves[n_mains])
    weight = np.zeros(shop.n_shelves)
    weight[mains] = rng.dirichlet(np.full(n_mains, 4.0))
    themes = rng.lognormal(0, THEME_SPREAD, (shop.n_shelves, 5))
    on_side = shop.shelf == side
    side_theme = int(rng.choice(shop.theme[on_side]))
    affinity = weight[shop.shelf] * themes[shop.shelf, shop.theme] * shop.popularity
    digging = on_side * np.where(shop.theme == side_theme, OWN_THEME, 1.0) * shop.popularity**HARD_POPULARITY
    slips = (weight[shop.shelf] == 0) * ~on_side * shop.popularity**NOISY_POPULARITY
    return _Taste(mains[np.argsort(-weight[mains])], affinity, side, side_theme, digging, slips)


def _clicks(
    shop: _Shop, taste: _Taste, n: int, settings: DemoSettings, rng: np.random.Generator
) -> tuple[pd.DataFrame, np.ndarray]:
    """One reader's rows (item, time, split, truth), and the items they missed."""
    n_held = max(1, round(n * HELD_OUT))
    n_train = n - 2 * n_held
    n_noisy = _rounded(n_train * _own_share(settings.noisy_share, 10, rng), rng)
    n_hard = _rounded(n_train * _own_share(settings.hard_share, 40, rng), rng)
    n_hard = 2 * int(rng.integers(2)) if n_hard == 1 else n_hard  # one click alone is no taste that anyone could see
    n_hard = min(n_hard, n_train - n_noisy)
    n_hard_held = rng.binomial(2 * n_held, settings.hard_share)
    hard = _drawn(taste.digging, n_hard + n_hard_held, rng)
    hard, hard_held = hard[:n_hard], hard[n_hard:]
    noisy = _drawn(taste.slips, n_noisy, rng)
    plain = _drawn(taste.affinity, n - len(hard) - len(hard_held) - len(noisy), rng)
    n_plain_held = 2 * n_held - len(hard_held)
    held = rng.permutation(np.concatenate([plain[:n_plain_held], hard_held]))
    train = np.concatenate([plain[n_plain_held:], hard, noisy])
    labels = np.repeat(["clean", "hard", "noisy"], [len(plain) - n_plain_held, len(hard), len(noisy)])
    order = rng.permutation(len(train))
    item = np.concatenate([train[order], held])
    truth = np.concatenate([labels[order], np.where(np.isin(held, hard_held), "hard", "clean")])
    split = np.repeat(["train", "valid", "test"], [len(train), n_held, len(held) - n_held])
    rows = pd.DataFrame({"item": item, "time": _visits(len(item), rng), "split": split, "truth": truth})
    liked = taste.affinity / taste.affinity.sum() + settings.hard_share * taste.digging / taste.digging.sum()
    liked[item] = 0
    return rows, _drawn(liked, round(n_train * MISSED_SHARE), rng)


def _own_share(mean: float, likeness: float, rng: np.random.Generator) -> float:
    """One reader's share: readers differ around the mean, the less the greater the likeness."""
    return rng.beta(mean * likeness, (1 - mean) * likeness) if mean > 0 else 0.0


def _rounded(value: float, rng: np.random.Generator) -> int:
    """Up or down at random, so that small numbers keep their mean."""
    return int(value + rng.random())


def _drawn(weight: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Different positions, each as likely as its weight; fewer than n when there are not that many with a weight."""
    there = np.flatnonzero(weight)
    n = min(n, len(there))
    if n == 0:
        return there[:0]
    return rng.choice(there, n, replace=False, p=weight[there] / weight[there].sum())


def _visits(n: int, rng: np.random.Generator) -> np.ndarray:
    """Rising times int64 (n,) [Unix s] within a year, in evenings rather than at night."""
    day = np.sort(rng.integers(0, DAYS, n))
    hour = rng.triangular(7, 20, 24, n)
    seconds = FIRST_CLICK + day * 86_400 + (hour * 3600).astype(np.int64)
    return np.sort(seconds)


def _introduced(taste: _Taste, rng: np.random.Generator) -> str:
    """A reader in one or two sentences that name every taste."""
    shelves = list(words.SHELVES)
    mains = [shelves[shelf].lower() for shelf in taste.mains]
    side = f"{list(words.SHELVES[shelves[taste.side_shelf]])[taste.side_theme].lower()} ({shelves[taste.side_shelf].lower()})"
    return _pick(words.READERS, rng).format(
        name=_pick(words.NAMES, rng),
        occupation=_pick(words.OCCUPATIONS, rng),
        place=_place(rng),
        mains=", ".join(mains[:-1]) + " and " + mains[-1],
        side=side,
    )


def _items(shop: _Shop, settings: DemoSettings) -> pd.DataFrame:
    """Title, category and description of every book; titles are unique."""
    rng = stream(settings.seed, "books")
    rows, used = [], set()
    for shelf, theme in zip(shop.shelf, shop.theme, strict=True):
        shelf_name = list(words.SHELVES)[shelf]
        theme_name, nouns = list(words.SHELVES[shelf_name].items())[theme]
        title = _title(nouns, rng)
        while title in used:
            title = f"{_title(nouns, rng)}, Book {_pick(words.VOLUMES, rng)}"
        used.add(title)
        rows.append((title, f"{shelf_name}|{theme_name}", _blurb(shelf_name, nouns, rng)))
    return pd.DataFrame(rows, columns=["title", "category", "description"])


def _title(nouns: tuple[str, ...], rng: np.random.Generator) -> str:
    noun = " ".join(
        word if word in ("in", "a", "and", "of") else word[0].upper() + word[1:] for word in _pick(nouns, rng).split()
    )
    title = _pick(words.TITLES, rng).format(
        noun=noun,
        place=_place(rng),
        name=_pick(words.NAMES, rng),
        adjective=_pick(words.ADJECTIVES, rng),
        number=_pick(words.NUMBERS, rng),
    )
    return _with_an(title)


def _blurb(shelf: str, nouns: tuple[str, ...], rng: np.random.Generator) -> str:
    """Opener, middle and closer; a vague one tells nothing about the book."""
    if rng.random() < VAGUE_SHARE:
        return " ".join(words.CLOSERS[place] for place in rng.choice(len(words.CLOSERS), 2, replace=False))
    first, second, third, fourth = (nouns[place] for place in rng.choice(len(nouns), 4, replace=False))
    opener = _pick(words.OPENERS[shelf], rng).format(first, second)
    middle = _pick(words.MIDDLES, rng).format(third, fourth, place=_place(rng))
    return _with_an(f"{opener} {middle} {_pick(words.CLOSERS, rng)}")


def _with_an(text: str) -> str:
    """ "a oven" is "an oven"; none of the shop's words begins with a vowel that sounds like none."""
    return re.sub(r"\b([Aa]) (?=[aeiouAEIOU])", r"\1n ", text)


def _place(rng: np.random.Generator) -> str:
    return _pick(words.PLACE_STARTS, rng) + _pick(words.PLACE_ENDS, rng)


def _pick(choices: tuple[str, ...], rng: np.random.Generator) -> str:
    return choices[int(rng.integers(len(choices)))]
