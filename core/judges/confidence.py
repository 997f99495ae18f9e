"""How sure a model was of a rating, by the probabilities of its tokens (as G-Eval does, arXiv 2303.16634)."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from core.records import Rating

LEAST_MASS = 0.5
"""Below this share of the probability on the labels, the tokens were not about the label."""

_VALUE = re.compile(r'"rating"\s*:\s*"')


@dataclass(frozen=True)
class Token:
    """A piece of an answer, and (text, log probability) of the likeliest pieces that could stand there."""

    text: str
    likely: tuple[tuple[str, float], ...]


def of_rating(rating: str, tokens: Sequence[Token]) -> float | None:
    """The probability of `rating` among the three labels where the answer's last rating begins; None when that is not told.

    Servers give the probabilities before the grammar masks them, so they are renormalised over the labels.
    """
    content = "".join(token.text for token in tokens)
    found = list(_VALUE.finditer(content))
    if not found:
        return None
    place, at = found[-1].end(), 0
    for token in tokens:
        if at + len(token.text) > place:
            return _share(rating, token, content[at:place])
        at += len(token.text)
    return None


def _share(rating: str, token: Token, before: str) -> float | None:
    """`before`: what of the token comes before the label; alternatives may bring a part of it, too."""
    mass = dict.fromkeys((each.value for each in Rating), 0.0)
    for text, log_probability in token.likely:
        start = text.removeprefix(before).lstrip('": \n')
        label = next((label for label in mass if start and (label.startswith(start) or start.startswith(label))), None)
        if label:
            mass[label] += math.exp(min(log_probability, 0.0))
    total = sum(mass.values())
    return mass[rating] / total if total >= LEAST_MASS else None
