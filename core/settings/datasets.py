"""Settings of datasets: how a file is read, what is invented, what noise is put in, what is written out."""

from typing import Annotated, Literal, Self

from pydantic import (
    Field,
    model_validator,
)

from core.settings.base import Settings


class ImportSettings(Settings):
    """How a file becomes a dataset."""

    user: Annotated[
        str | None, Field(title="User column", description="Column that names the user; guessed from the header when left out.")
    ] = None
    item: Annotated[
        str | None, Field(title="Item column", description="Column that names the item; guessed from the header when left out.")
    ] = None
    rating: Annotated[
        str | None,
        Field(title="Rating column", description="Column with a numeric rating; guessed when left out, none when empty."),
    ] = None
    time: Annotated[
        str | None,
        Field(
            title="Time column", description="Column with a time, Unix seconds or a date; guessed when left out, none when empty."
        ),
    ] = None
    split: Annotated[
        str | None,
        Field(
            title="Split column",
            description="Column with train, valid or test, then no new split is made; guessed when left out, none when empty.",
        ),
    ] = None
    truth: Annotated[
        str | None,
        Field(
            title="Truth column",
            description="Column with known noise (1 or noisy, 0 or clean, hard), for evaluation only; guessed when left out, none when empty.",
        ),
    ] = None
    title: Annotated[
        str | None, Field(title="Title column", description="Column of the item table with the title; guessed when left out.")
    ] = None
    category: Annotated[
        str | None,
        Field(
            title="Category column", description="Column of the item table with categories, joined by |; guessed when left out."
        ),
    ] = None
    text: Annotated[
        str | None, Field(title="Text column", description="Column of the item table with a description; guessed when left out.")
    ] = None
    about: Annotated[
        str | None,
        Field(
            title="About column",
            description="Column of the user table with a text about the user; all its attributes when left out.",
        ),
    ] = None
    threshold: Annotated[
        float | None,
        Field(
            title="Rating threshold",
            description="A rating of at least this is a positive; MovieLens: 4. Without it every row is one.",
        ),
    ] = None
    split_by: Annotated[
        Literal["random", "time", "leave-one-out"],
        Field(
            description="How to split when no column says so: all rows at random, each user's rows by time, or each user's last two."
        ),
    ] = "random"
    valid_share: Annotated[
        float, Field(title="Share for validation", ge=0, lt=0.5, description="Share of the rows kept for validation.")
    ] = 0.2
    test_share: Annotated[
        float, Field(title="Share for the test", gt=0, lt=0.5, description="Share of the rows kept for the test.")
    ] = 0.2
    core: Annotated[
        int,
        Field(
            title="k-core", ge=0, le=100, description="Keep users and items with at least this many positives (k-core); 0: all."
        ),
    ] = 0
    seed: Annotated[int, Field(ge=0, description="Seed of the random split.")] = 2023


class DemoSettings(Settings):
    """The invented catalogue and its users (core.datasets.demo)."""

    users: Annotated[int, Field(ge=50, le=100_000, description="Number of users.")] = 800
    items: Annotated[int, Field(ge=50, le=20_000, description="Number of items.")] = 600
    interactions: Annotated[int, Field(ge=500, le=2_000_000, description="Number of clicks, about.")] = 25_000
    noisy_share: Annotated[float, Field(ge=0, le=0.6, description="Share of the training clicks that are misclicks.")] = 0.2
    hard_share: Annotated[float, Field(ge=0, le=0.6, description="Share of the training clicks that are rare true tastes.")] = (
        0.12
    )
    seed: Annotated[int, Field(ge=0, description="Seed of everything invented.")] = 7

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.noisy_share + self.hard_share > 0.8:
            raise ValueError(f"noisy_share {self.noisy_share} and hard_share {self.hard_share} leave too few ordinary clicks")
        return self


class InjectSettings(Settings):
    """Known noise that is put into the train part of a dataset (core.noise)."""

    kind: Annotated[
        Literal["dislikes", "uniform", "popular"],
        Field(
            description="What becomes noisy clicks: ratings that say dislike, random pairs, or misclicks (users by activity, items by popularity)."
        ),
    ] = "dislikes"
    share: Annotated[
        float | None,
        Field(
            gt=0,
            le=1,
            description="Of dislikes: the share of the available ones, all when left out. Else: injected clicks as a share of the resulting train, .05 to .4; .2 when left out.",
        ),
    ] = None
    worst: Annotated[
        float,
        Field(title="Highest rating of a dislike", description="A rating of at most this is a dislike that can be injected."),
    ] = 2
    seed: Annotated[int, Field(ge=0, description="Seed of the choice.")] = 0

    @model_validator(mode="after")
    def _within(self) -> Self:
        if self.kind != "dislikes" and not 0.05 <= self.part <= 0.4:
            raise ValueError(f"share {self.share:g} of {self.kind} noise is not between .05 and .4")
        return self

    @property
    def part(self) -> float:
        """The share that is meant, given or not."""
        if self.share is not None:
            return self.share
        return 1.0 if self.kind == "dislikes" else 0.2


class ExportSettings(Settings):
    """A dataset as it is after its labels. `noisy_weight` and `add_missed` mean what they mean in a training."""

    format: Annotated[
        Literal["csv", "parquet", "recbole"],
        Field(description="csv or parquet (a folder that can be imported again), or recbole (atomic files)."),
    ] = "csv"
    noisy_weight: Annotated[
        float,
        Field(
            title="Weight of noisy clicks",
            ge=0,
            le=1,
            description="Weight of clicks that a judge calls noisy; 0 leaves them out. What a person calls noisy is always left out.",
        ),
    ] = 0.0
    add_missed: Annotated[
        Literal["people", "judges", "nobody"],
        Field(title="Add missed positives of", description="Whose missed positives become clicks."),
    ] = "people"
