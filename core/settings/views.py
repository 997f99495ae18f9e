"""Settings of what is looked at: comparisons and maps."""

from typing import Annotated, Literal

from pydantic import (
    Field,
)

from core.settings.base import Settings, unset


class CompareSettings(Settings):
    """How two runs are compared."""

    resamples: Annotated[int, Field(ge=100, le=100_000, description="Bootstrap resamples of the users.")] = 2000
    confidence: Annotated[float, Field(gt=0.5, lt=1, description="Level of the interval.")] = 0.95
    seed: Annotated[int, Field(ge=0, description="Seed of the resampling.")] = 0


class ProjectSettings(Settings):
    """What is drawn on a plane, and how."""

    of: Annotated[
        Literal["users", "items", "pairs"],
        Field(title="Draw", description="Users, items, or training clicks as pairs of both vectors."),
    ] = "pairs"
    run: Annotated[
        str | None, Field(title="Training", description="Run whose vectors are drawn; the newest finished one when left out.")
    ] = None
    other: Annotated[
        str | None,
        Field(title="And a second training", description="A run to draw in the same layout, say the one after relabelling."),
        *unset("none"),
    ] = None
    neighbours: Annotated[
        int, Field(ge=2, le=200, description="Nearest rows that UMAP keeps together: few show detail, many the whole.")
    ] = 15
    min_dist: Annotated[
        float, Field(title="Least distance", ge=0, lt=1, description="How tightly UMAP packs points, from 0.")
    ] = 0.1
    fit_at_most: Annotated[
        int,
        Field(title="Rows fitted", ge=100, le=100_000, description="Rows that UMAP sees; the others lie among their neighbours."),
    ] = 10_000
    seed: Annotated[int, Field(ge=0, description="Seed of the sample and of UMAP.")] = 0
