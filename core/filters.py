"""Which pairs one wants to look at: conditions that a filter is made of, its short form in an address, and its words.

A filter is tested on all pairs that are known (core.known) at once.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Self
from urllib.parse import parse_qsl, urlencode

import numpy as np

from core.errors import SettingsError
from core.known import CLICKED, RATED, STATUSES, VIEWS_SAY, Known
from core.labels import LABELS_BY_WORD, SOURCES_BY_WORD

PREFIX = "f_"
"""Before the name of every condition in an address."""
LONGEST = 200
"""Characters of a text that is looked for, at most."""
_RANGE = re.compile(r"(\d{1,3})-(\d{1,3})")


@dataclass(frozen=True)
class Condition:
    """One thing that a filter can ask for. `tells` means that it gives away what blind mode hides."""

    title: str
    options: Mapping[str, str]  # {value in an address: in words}; empty where a text or a range is asked for
    tells: bool = False


_RATINGS = {name: name.capitalize() if name != "none" else "not rated" for name in RATED}
_SAID = {"none": "nobody", "model": "the model", "simulated": "a simulated judge", "builtin": "the built-in rater"}
_SAID |= {"llm": "a language model", "human": "a person"}
_STATUS = {"undecided": "undecided", "mine": "decided by me", "others": "decided by others", "flagged": "flagged"}
_STATUS |= {"conflict": "people differ"}
_VIEWS = {"agree": "both views agree", "differ": "the views disagree", "missing": "a view is missing"}
_CLICKED = {"train": "clicked in training", "valid": "held out for validation", "test": "held out for the test"}
_CLICKED |= {"no": "not clicked"}

CONDITIONS: dict[str, Condition] = {
    "label": Condition("Label", {word.replace(" ", "-"): word for word in LABELS_BY_WORD}, tells=True),
    "source": Condition("Given by", {name: _SAID[name] for name in SOURCES_BY_WORD}, tells=True),
    "user_view": Condition("User view", _RATINGS, tells=True),
    "item_view": Condition("Item view", _RATINGS, tells=True),
    "views": Condition("Views", {name: _VIEWS[name] for name in VIEWS_SAY}, tells=True),
    "status": Condition("Decisions", {name: _STATUS[name] for name in STATUSES}, tells=True),
    "annotator": Condition("Decided by", {}, tells=True),
    "loss": Condition("Loss, percentile", {}, tells=True),
    "doubt": Condition("Doubt, percentile", {}, tells=True),
    "clicked": Condition("Clicked", {name: _CLICKED[name] for name in CLICKED}),
    "popularity": Condition("Popularity", {"rare": "rare items", "middle": "middling items", "popular": "popular items"}),
    "history": Condition("History", {"short": "short histories", "middle": "middling histories", "long": "long histories"}),
    "user": Condition("User id", {}),
    "item": Condition("Item id", {}),
    "find": Condition("Item title or id has", {}),
}
"""By name, in the order in which a filter says itself. Popularity and history are thirds of the items and of the users."""


@dataclass(frozen=True)
class Filter:
    """What must hold of a pair. Conditions hold together; of several values of one, any. The empty filter lets all through."""

    label: tuple[str, ...] = ()
    source: tuple[str, ...] = ()
    user_view: tuple[str, ...] = ()
    item_view: tuple[str, ...] = ()
    views: tuple[str, ...] = ()
    status: tuple[str, ...] = ()
    annotator: str = ""
    loss: tuple[int, int] | None = None  # percentiles of the averaged loss among the clicks with one, both ends included
    doubt: tuple[int, int] | None = None  # percentiles of the candidates' doubt
    clicked: tuple[str, ...] = ()
    popularity: tuple[str, ...] = ()
    history: tuple[str, ...] = ()
    user: str = ""
    item: str = ""
    find: str = ""

    @classmethod
    def of(cls, **values: object) -> Self:
        """From values as a form gives them: choices in any order, texts with blanks around them, ranges that may be full.

        SettingsError when a value is none of its condition's.
        """
        made, wrong = cls.read({f"{PREFIX}{name}": _written(value) for name, value in values.items() if value})
        if wrong:
            raise SettingsError(wrong[0])
        return made

    @classmethod
    def read(cls, params: Mapping[str, str]) -> tuple[Self, list[str]]:
        """From the parameters of an address; those without PREFIX are somebody else's. What makes no sense is left out,
        with a sentence each."""
        found: dict[str, object] = {}
        wrong: list[str] = []
        for key, text in params.items():
            name = key.removeprefix(PREFIX)
            if name == key:
                continue
            if name not in CONDITIONS:
                wrong.append(f"There is no filter {name!r}.")
                continue
            value, bad = _value(name, text.strip())
            wrong += [f"“{CONDITIONS[name].title}” cannot be {one!r}." for one in bad]
            if value:
                found[name] = value
        return cls(**found), wrong

    def params(self) -> dict[str, str]:
        """For an address: {"f_label": "noisy-positive", "f_loss": "80-100"}."""
        return {f"{PREFIX}{name}": _written(getattr(self, name)) for name in self.names}

    @property
    def text(self) -> str:
        """The parameters in one line without their prefix, as they are kept and as the command line takes them."""
        return urlencode({name.removeprefix(PREFIX): value for name, value in self.params().items()})

    @classmethod
    def from_text(cls, text: str) -> tuple[Self, list[str]]:
        """Back from `text`; see `read`."""
        return cls.read({f"{PREFIX}{name}": value for name, value in parse_qsl(text)})

    @property
    def names(self) -> tuple[str, ...]:
        """Conditions that are set."""
        return tuple(name for name in CONDITIONS if getattr(self, name))

    @property
    def telling(self) -> tuple[str, ...]:
        """Conditions that are set and that give away what blind mode hides."""
        return tuple(name for name in self.names if CONDITIONS[name].tells)

    def without(self, *names: str) -> Self:
        """The filter less some conditions."""
        empty = {field.name: field.default for field in fields(self)}
        return replace(self, **{name: empty[name] for name in names})

    @property
    def words(self) -> str:
        """The filter in words: "noisy positive, rated High by the user view, undecided"; "" when it lets all through."""
        return ", ".join(_words(name, getattr(self, name)) for name in self.names)

    def mask(self, known: Known, me: str = "") -> np.ndarray:
        """Which of the known pairs (n,) fit: bool (n,). `me` is who asks for "decided by me"."""
        keep = np.ones(len(known), bool)
        for name in self.names:
            value = getattr(self, name)
            if name == "status":
                keep &= known.with_status(value, me)
            elif name == "annotator":
                keep &= known.decided_by(value)
            elif name in ("loss", "doubt"):
                share = getattr(known.rows, name)
                keep &= (share >= value[0] / 100) & (share <= value[1] / 100)
            elif name in ("user", "item"):
                keep &= getattr(known.rows, name) == known.place(name, value)
            elif name == "find":
                keep &= known.titled(value)[known.rows.item]
            else:
                keep &= known.among(name, [list(CONDITIONS[name].options).index(one) for one in value])
        return keep


def _value(name: str, text: str) -> tuple[object, list[str]]:
    """A condition's value, and what of it makes no sense."""
    options = CONDITIONS[name].options
    if options:
        asked = text.split()
        return tuple(one for one in options if one in asked), [one for one in asked if one not in options]
    if name in ("loss", "doubt"):
        match = _RANGE.fullmatch(text)
        low, high = map(int, match.groups()) if match else (1, 0)
        if not low <= high <= 100:
            return None, [text]
        return None if (low, high) == (0, 100) else (low, high), []
    return (text, []) if len(text) <= LONGEST else (None, [f"{text[:20]}…"])


def _written(value: object) -> str:
    if isinstance(value, str):
        return value
    join = "-" if all(isinstance(one, int) for one in value) else " "
    return join.join(map(str, value))


def _words(name: str, value: object) -> str:
    options = CONDITIONS[name].options
    named = [options[one] for one in value] if options else []
    if name in ("user_view", "item_view"):
        rated = " or ".join(word for word in named if word != options["none"])
        view = name.replace("_", " ")
        if "none" not in value:
            return f"rated {rated} by the {view}"
        return f"rated {rated} or not at all by the {view}" if rated else f"not rated by the {view}"
    if name == "source":
        return f"labelled by {' or '.join(named)}"
    if options:
        return " or ".join(named)
    if name in ("loss", "doubt"):
        low, high = value
        if high == 100:
            return f"the highest {100 - low} % by {name}"
        return f"the lowest {high} % by {name}" if low == 0 else f"{name} from percentile {low} to {high}"
    return {"annotator": "decided by {}", "user": "user {}", "item": "item {}", "find": "item with “{}”"}[name].format(value)
