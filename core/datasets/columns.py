"""What columns mean: which one is the user, and how the text of a cell becomes an id, a rating, a time or a known label."""

import re
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from core.datasets.report import counted
from core.errors import DatasetError
from core.records import Label
from core.settings import ImportSettings
from core.splits import SPLITS

KNOWN_AS: dict[str, tuple[str, ...]] = {
    "user": (
        *("user", "userid", "uid", "username", "reviewerid", "reviewer", "customerid", "customer", "memberid", "member"),
        *("readerid", "reader", "visitorid", "visitor", "accountid", "account", "profileid", "sessionid"),
    ),
    "item": (
        *("item", "itemid", "iid", "movieid", "movie", "filmid", "film", "bookid", "book", "productid", "product"),
        *("parentasin", "asin", "isbn", "sku", "trackid", "track", "songid", "song", "artistid", "artist", "gameid", "game"),
        *("articleid", "article", "newsid", "animeid", "recipeid", "businessid", "contentid", "showid"),
    ),
    "rating": ("rating", "ratings", "stars", "star", "score", "overall", "bookrating", "ratingvalue"),
    "time": ("time", "timestamp", "datetime", "date", "unixreviewtime", "reviewtime", "createdat", "ratedat", "ts", "when"),
    "split": ("split", "partition"),
    "truth": ("truth", "noise", "isnoise", "noisy"),
    "title": ("title", "itemtitle", "movietitle", "booktitle", "producttitle", "name", "itemname", "productname"),
    "category": ("category", "categories", "genre", "genres", "tags", "itemcategory", "maincategory"),
    "text": ("text", "description", "summary", "blurb", "plot", "synopsis", "overview", "abstract", "itemtext"),
    "about": ("about", "text", "profile", "bio", "description", "usertext"),
}
"""The usual names of each column, best first; compared without case, spaces, underscores and RecBole's ":token"."""

MISSING = {"", "nan", "null", "none", "na", "n/a", "<na>", "\\n"}
UNKNOWN_CATEGORIES = {"(no genres listed)", "unknown"}
TRUTH_WORDS = {
    **{"0": Label.CLEAN, "clean": Label.CLEAN, "false": Label.CLEAN, "": Label.CLEAN},
    **{"1": Label.NOISY_POSITIVE, "noisy": Label.NOISY_POSITIVE, "noise": Label.NOISY_POSITIVE, "true": Label.NOISY_POSITIVE},
    **{"noisy positive": Label.NOISY_POSITIVE, "hard": Label.HARD_POSITIVE, "hard positive": Label.HARD_POSITIVE},
    **{"missed": Label.MISSED_POSITIVE, "missed positive": Label.MISSED_POSITIVE},
}
OBSERVED_TRUTHS = tuple(word for word, label in TRUTH_WORDS.items() if word and label != Label.MISSED_POSITIVE)
SPLIT_WORDS = {
    **{word: code for code, word in enumerate(SPLITS)},
    **{"training": 0, "validation": 1, "val": 1, "dev": 1, "testing": 2},
}
EITHER_FIRST = "dates with the month first, though the day could be first as well; write them as 2024-01-31 to be sure"
YEAR_FIRST_DATES = (19_000_101, 21_001_231)  # 20240131 is a day, not the 23rd of August 1970


def mapped(columns: Sequence[str], settings: ImportSettings, roles: Sequence[str], file: str) -> dict[str, str]:
    """{role: column} of one table. A column that the settings name must exist; "" means none; the rest is guessed."""
    found: dict[str, str] = {}
    for role in roles:
        wanted = getattr(settings, role)
        if wanted and wanted not in columns:
            raise DatasetError(f"{file} has no column {wanted!r} for {role}.", f"Its columns are: {', '.join(columns)}.")
        name = wanted if wanted is not None else guessed(columns, role, taken=found.values())
        if name:
            found[role] = name
    return found


def guessed(columns: Sequence[str], role: str, taken: Any = ()) -> str | None:
    """The column that by its name plays this role, if one does."""
    plain = {re.sub(r"[^a-z0-9]", "", name.split(":")[0].lower()): name for name in reversed(columns) if name not in taken}
    return next((plain[name] for name in KNOWN_AS[role] if name in plain), None)


def need_user_and_item(mapping: dict[str, str], columns: Sequence[str], file: str) -> None:
    """DatasetError that says what to do when a table of interactions does not show who chose what."""
    lacking = [role for role in ("user", "item") if role not in mapping]
    if not lacking:
        return
    if any(re.fullmatch(r"-?\d+(\.\d+)?", name) for name in columns):
        line = ", ".join(columns)
        raise DatasetError(
            f"The first line of {file} ({line[:60]}) looks like data, not like column names.",
            "Put a line with names on top, such as user,item,rating,time.",
        )
    raise DatasetError(
        f"No column of {file} is plainly the {' or the '.join(lacking)}.",
        f"Name it with a mapping, such as {lacking[0]}={columns[0]}; the columns are: {', '.join(columns)}.",
    )


def ids(cells: pd.Series) -> tuple[pd.Series, list[str]]:
    """Ids as text, "" where missing, and what was changed: spaces around them, and the ".0" of integers saved as decimals."""
    trimmed = cells.str.strip()
    changes = [f"removed the spaces around {counted(n, 'value')}"] if (n := int((trimmed != cells).sum())) else []
    known = ~trimmed.str.lower().isin(MISSING)
    decimal = trimmed.str.fullmatch(r"-?\d+\.0+")
    if decimal.any() and (decimal | trimmed.str.fullmatch(r"-?\d+") | ~known).all():
        changes.append(f"read {counted(int(decimal.sum()), 'whole number')} written as decimals (7.0) as 7")
        trimmed = trimmed.mask(decimal, trimmed.str.split(".").str[0])
    return trimmed.where(known, ""), changes


def numbers(cells: pd.Series) -> np.ndarray:
    """float64 (n,), NaN where a cell is no finite number."""
    values = pd.to_numeric(cells.str.strip(), errors="coerce").to_numpy(np.float64, na_value=np.nan)
    return np.where(np.isfinite(values), values, np.nan)


def ratings(cells: pd.Series) -> np.ndarray:
    """Like numbers, but 3,5 is 3.5."""
    return numbers(cells.mask(cells.str.fullmatch(r"\s*-?\d+,\d+\s*"), cells.str.replace(",", ".")))


def times(cells: pd.Series) -> tuple[np.ndarray, str]:
    """Unix seconds as float64 (n,), NaN where unreadable, and what they were read as (one unit for the whole column)."""
    values = numbers(cells)
    known = values[~np.isnan(values)]
    if len(known) < len(values) / 2:
        return _dates(cells.str.strip())
    low, high = YEAR_FIRST_DATES
    if ((known >= low) & (known <= high)).all():
        days = _seconds(cells.str.strip(), format="%Y%m%d")
        if not np.isnan(days).all():
            return days, "dates"
    size = np.median(np.abs(known)) if len(known) else 0
    unit, per_second = next(
        (name, factor)
        for name, factor, limit in (
            ("seconds", 1, 1e11),
            ("milliseconds", 1e3, 1e14),
            ("microseconds", 1e6, 1e17),
            ("nanoseconds", 1e9, np.inf),
        )
        if size < limit
    )
    return np.floor(values / per_second), unit


def _dates(cells: pd.Series) -> tuple[np.ndarray, str]:
    """Like times. Of 05/06/2024 the whole column tells what comes first: the reading that leaves fewer cells unread."""
    seconds = _seconds(cells, format="ISO8601")
    if not np.isnan(seconds).all():
        return seconds, "dates"
    month, day = (_seconds(cells, dayfirst=first) for first in (False, True))
    if np.array_equal(month, day, equal_nan=True):
        return month, "dates"
    unread = [int(np.isnan(reading).sum()) for reading in (month, day)]
    if unread[0] == unread[1]:
        return month, EITHER_FIRST
    return (day, "dates with the day first") if unread[1] < unread[0] else (month, "dates with the month first")


def _seconds(cells: pd.Series, **how: Any) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # "could not infer format": the caller reports what is unreadable
        when = pd.to_datetime(cells, errors="coerce", utc=True, **how)
    return ((when - pd.Timestamp(0, tz="UTC")) // pd.Timedelta(seconds=1)).to_numpy(np.float64, na_value=np.nan)


def coded(cells: pd.Series, words: dict[str, int]) -> np.ndarray:
    """Codes int8 (n,) of words, -1 where a word is not known."""
    plain = cells.str.strip().str.lower().str.replace("_", " ").str.removesuffix(".0")
    return plain.map(words).fillna(-1).to_numpy(np.int8)


def categories(cells: pd.Series) -> pd.Series:
    """Categories joined by "|", without spaces around them; "" where the file itself says that they are unknown."""
    plain = cells.str.strip().str.replace(r"\s*\|\s*", "|", regex=True)
    return plain.mask(plain.str.lower().isin(UNKNOWN_CATEGORIES), "")


def described(frame: pd.DataFrame) -> pd.Series:
    """One text per row from all its columns: "age: 24; occupation: writer"; foreign ids are left out."""
    columns = [name for name in frame if not re.search(r"(^id|[_ ]id|Id|ID)$", name)]
    rows = (
        [f"{name}: {cell}" for name, cell in zip(columns, row, strict=True) if cell.strip()] for row in frame[columns].to_numpy()
    )
    return pd.Series(["; ".join(row) for row in rows], index=frame.index, dtype="str")
