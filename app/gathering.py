"""What a map of vectors shows, in a sentence that is computed: where a group gathers, or what the place explains."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from app import caching, lookup, results
from app.palette import LABELS, SOURCES
from core import regions
from core.dynamics import Share
from core.records import Dataset, Label, Source
from core.regions import Density, Gathering

ONE = {"pairs": "click", "users": "user", "items": "item"}
WEAK = 0.05
"""Below this share of the variance, the place says next to nothing about a value."""


@dataclass(frozen=True, eq=False)
class Clicks:
    """What is known of every training click (n,)."""

    label: np.ndarray  # int8
    source: np.ndarray  # int8
    loss: np.ndarray  # float32, NaN where none was recorded


@dataclass(frozen=True)
class Seen:
    """One map and how it is coloured: what names it in a cache."""

    run: str  # of the projection
    base: str  # the training whose losses are meant
    of: str  # a member of ONE
    colour: str
    second: bool = False  # the map of the second training


@dataclass(frozen=True, eq=False)
class Finding:
    """The sentence above a map, what it rests on, and the region that it speaks of."""

    text: str
    rests: str
    density: Density
    region: Gathering | None = None


def clicks(data: Dataset, base: str) -> Clicks:
    """Every click with its label now and its loss in a training."""
    rows, n = results.listing(data, base), len(data.train)
    return Clicks(rows.label[:n], lookup.train_sources(data), rows.loss[:n])


@caching.per_revision
def finding(data: Dataset, seen: Seen) -> Finding:
    """What this map shows."""
    found = results.projection(seen.run)
    points = found.other if seen.second and found.other is not None else found.points
    shade = regions.density(points)
    by = colouring(data, seen.of, clicks(data, seen.base), seen.colour)
    if "codes" not in by:
        return _of_values(seen, points, by["values"], shade)
    wanted = {Label.HARD_POSITIVE, Label.NOISY_POSITIVE, Label.UNSURE, Label.UNJUDGED}
    if seen.colour != "label":
        wanted = set(Source) - {Source.NONE}
    region = regions.gathers(points, by["codes"], [int(code) for code in wanted])
    if region is None:
        held = np.isin(by["codes"], [int(code) for code in wanted]).any()
        text = "Too few clicks are labelled to say where they gather" if held else "No click is labelled yet"
        return Finding(f"{text}; clicks that lie together are alike to the model", "", shade)
    name = group_name(seen.colour, region.group)
    spread = f"{region.ratio:.1f} times ({region.low:.1f} to {region.high:.1f}, 95 % interval) the share elsewhere"
    rests = f"a region was looked for on one half of the clicks and measured on the other: {_count(region.inside)} within, "
    rests += f"{_count(region.outside)} elsewhere"
    if region.stands_out:
        return Finding(f"{name} gather in one region: {spread}", f"{rests}; dashed: that region", shade, region)
    what = "Labels" if seen.colour == "label" else "Who gave the label"
    alike = "are spread alike" if seen.colour == "label" else "does not depend on the place"
    return Finding(f"{what} {alike}; the map tells little about them", f"{name} most of all, {spread}; {rests}", shade)


def group_name(colour: str, code: int) -> str:
    """A group of clicks at the beginning of a sentence."""
    if colour == "label":
        word = LABELS[Label(code)].word
        return f"{word[0].upper()}{word[1:]}s" if word.endswith("positive") else f"{word[0].upper()}{word[1:]} clicks"
    return f"Clicks labelled by {SOURCES[Source(code)]}"


def _count(part: Share) -> str:
    return f"{part.hits:,} of {part.n:,}"


def _of_values(seen: Seen, points: np.ndarray, values: np.ndarray, shade: Density) -> Finding:
    told = regions.explained(points, values)
    name = {"loss": "the loss", "popularity of the item": "the popularity of the item", "clicks": "the number of clicks"}
    what = name.get(seen.colour, f"the {seen.colour}")
    rests = "share of the variance that cells of the map foretell, learnt on one half and measured on the other"
    if told < WEAK:
        return Finding(f"The place says next to nothing about {what} ({told:.0%} of its variance)", rests, shade)
    return Finding(f"The place on the map explains {told:.0%} of {what}", rests, shade)


def colouring(data: Dataset, of: str, clicks: Clicks, colour: str) -> dict[str, Any]:
    """What maps.plane takes to colour the rows by this."""
    if colour == "label":
        return {"codes": clicks.label, "by": "label"}
    if colour == "given by":
        return {"codes": clicks.source, "by": "source"}
    if of == "pairs":
        popularity = np.bincount(data.train.item, minlength=data.n_items)[data.train.item]
        return (
            {"values": clicks.loss, "title": "loss"}
            if colour == "loss"
            else {"values": np.log10(popularity), "title": "log10 clicks"}
        )
    place, n = (data.train.user, data.n_users) if of == "users" else (data.train.item, data.n_items)
    count = np.bincount(place, minlength=n)
    if colour == "clicks":
        return {"values": np.log10(np.maximum(count, 1)), "title": "log10 clicks"}
    weight = np.nan_to_num(clicks.loss) if colour == "mean loss" else clicks.label == Label.NOISY_POSITIVE
    return {"values": np.bincount(place, weight, n) / np.maximum(count, 1), "title": colour}
