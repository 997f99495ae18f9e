"""Settings of trainings."""

from typing import Annotated, Literal

from pydantic import (
    Field,
)

from core.settings.base import ReadBy, Settings, unread, unset
from core.settings.encoders import Encoder, EncoderKeyEnv, EncoderModel, EncoderSettings, EncoderUrl


class ReferenceSettings(Settings):
    """The references in closed form or from a library (core.references)."""

    ridge: Annotated[
        float | None, Field(gt=0, description="EASE's ridge penalty; five times the mean clicks of a user when left out.")
    ] = None
    als_factors: Annotated[int, Field(title="ALS factors", ge=1, le=2048, description="Length of the vectors of ALS.")] = 128
    als_reg: Annotated[float, Field(title="ALS regularisation", ge=0, description="Regularisation of ALS.")] = 0.01
    als_alpha: Annotated[float, Field(title="ALS alpha", gt=0, description="Confidence that ALS gives a click.")] = 1.0
    als_iterations: Annotated[int, Field(title="ALS iterations", ge=1, le=1000, description="Iterations of ALS.")] = 15
    seed: Annotated[int, Field(ge=0, description="Seed of the initial vectors of ALS.")] = 0


AUTOMATIC = "automatic"
BY_DENSITY = unset(AUTOMATIC)
"""Of a contrast's weight: left out, it follows from the density of the clicks (core.denoisers.contrast)."""

FOR_LLMHNI = ReadBy(("llmhni",))
FOR_TEXTS = ReadBy(("llmhni", "rlmrec-con", "rlmrec-gen"))
FOR_CONTRAST = ReadBy(("sgl", "simgcl", "xsimgcl", "llmhni", "rlmrec-con", "rlmrec-gen"))


class TrainSettings(EncoderSettings):
    """One training run. What only some denoisers read is marked with ReadBy."""

    encoder: Annotated[Encoder, FOR_TEXTS] = "auto"
    encoder_model: Annotated[EncoderModel, FOR_TEXTS] = None
    encoder_url: Annotated[EncoderUrl, FOR_TEXTS] = None
    encoder_key_env: Annotated[EncoderKeyEnv, FOR_TEXTS] = "OPENAI_API_KEY"
    backbone: Annotated[str, Field(description="The recommender: lightgcn, ngcf or mf.")] = "lightgcn"
    denoiser: Annotated[
        str,
        Field(
            description="What is done about noise while training: plain does nothing, llmhni is Winnow's method, the others are what it is compared with."
        ),
    ] = "plain"
    labels: Annotated[
        str | None,
        Field(
            title="Label version",
            description="Label version whose refined graph is used; left out, the graph is the click log as it is.",
        ),
    ] = None
    train_on: Annotated[
        Literal["observed", "refined"],
        Field(title="Train on", description="Graph that the training propagates on (used with labels)."),
    ] = "observed"
    add_missed: Annotated[
        Literal["people", "judges", "nobody"],
        Field(
            title="Add missed positives of",
            description="Whose missed positives become edges of the refined graph: what people said, or what judges said as well. "
            "Below a precision of about .4 added edges do harm, and few judges reach it; noisy ones are dropped in any case.",
        ),
    ] = "people"
    noisy_weight: Annotated[
        float,
        Field(
            title="Weight of noisy clicks",
            ge=0,
            le=1,
            description="Weight on the refined graph of clicks that a judge calls noisy; 0 drops them. Judges err, and a doubtful click still says something. What a person calls noisy is always dropped.",
        ),
    ] = 0.0
    infer_on: Annotated[
        Literal["observed", "refined"],
        Field(title="Infer on", description="Graph that the final vectors are propagated on (used with labels)."),
    ] = "refined"
    dim: Annotated[int, Field(title="Vector length", ge=2, le=1024, description="Length of a user's and an item's vector.")] = 64
    layers: Annotated[int, Field(ge=0, le=8, description="Propagation steps over the graph.")] = 3
    epochs: Annotated[
        int,
        Field(
            title="Epochs at most",
            ge=1,
            le=5000,
            description="Epochs at most; training stops earlier when valid no longer improves.",
        ),
    ] = 300
    min_epochs: Annotated[
        int,
        Field(
            title="Epochs at least", ge=1, le=5000, description="Epochs before an early stop may happen; no more than there are."
        ),
    ] = 60
    eval_every: Annotated[
        int,
        Field(
            title="Evaluate every", ge=1, le=500, description="Epochs between two evaluations on valid; also between checkpoints."
        ),
    ] = 5
    patience: Annotated[int, Field(ge=1, le=100, description="Evaluations without improvement before the stop.")] = 10
    batch_size: Annotated[int, Field(title="Batch size", ge=1, le=1_000_000, description="Interactions a step.")] = 2048
    lr: Annotated[float, Field(title="Learning rate", gt=0, le=1, description="Learning rate of Adam.")] = 5e-3
    init_std: Annotated[
        float, Field(title="Initial spread", gt=0, le=10, description="Standard deviation of the initial vectors.")
    ] = 0.1
    reg: Annotated[
        float, Field(title="Regularisation", ge=0, le=1, description="Weight of the squared norm of the batch's vectors.")
    ] = 1e-3
    drawn: Annotated[
        int,
        Field(
            title="Negatives drawn",
            ge=1,
            le=64,
            description="Uniform negatives drawn for each click, of which the best-scored is taken.",
        ),
        ReadBy(("dns", "llmhni")),
    ] = 4
    hard_negatives: Annotated[
        Literal["dynamic", "semantic", "uniform"],
        Field(
            title="Hard negatives",
            description="dynamic: the best-scored of those drawn; semantic: the least text-relevant of a pool of best-scored, the paper's rule.",
        ),
        FOR_LLMHNI,
    ] = "dynamic"
    spared: Annotated[
        int,
        Field(
            title="Negatives spared",
            ge=0,
            le=32,
            description="Of the negatives drawn (dynamic), the most text-relevant ones that are put back as probable missed positives.",
        ),
        FOR_LLMHNI,
    ] = 0
    pool: Annotated[
        int,
        Field(title="Pool of negatives", ge=1, le=1000, description="Best-scored items kept for each user (semantic)."),
        FOR_LLMHNI,
    ] = 30
    pool_of: Annotated[
        int,
        Field(title="Pool drawn from", ge=1, le=5000, description="Uniform items the pool is chosen from (semantic)."),
        FOR_LLMHNI,
    ] = 200
    pool_drawn: Annotated[
        int,
        Field(title="Drawn from the pool", ge=1, le=100, description="Negatives drawn from the pool for a click (semantic)."),
        FOR_LLMHNI,
    ] = 5
    reliable_quantile: Annotated[
        float,
        Field(
            title="Reliable above",
            ge=0,
            lt=1,
            description="Clicks whose text relevance is above this quantile teach the alignment; the paper's is .5.",
        ),
        FOR_LLMHNI,
    ] = 0.0
    contrast: Annotated[
        float | None,
        Field(
            title="Contrast",
            ge=0,
            le=10,
            description="Weight of the contrastive term; automatic: by the density of the clicks.",
        ),
        FOR_CONTRAST,
        *BY_DENSITY,
    ] = None
    graph_contrast: Annotated[
        float | None,
        Field(
            title="Graph contrast",
            ge=0,
            le=10,
            description="Weight of the contrast of observed and refined graph, the paper's L_de; automatic: by the density of the clicks.",
        ),
        FOR_LLMHNI,
        *BY_DENSITY,
    ] = 0.0
    drop_contrast: Annotated[
        float | None,
        Field(
            title="Drop contrast",
            ge=0,
            le=10,
            description="Weight of the contrast of both graphs with edges dropped, the paper's L_hal; automatic: by the density of the clicks.",
        ),
        FOR_LLMHNI,
        *BY_DENSITY,
    ] = 0.0
    temperature: Annotated[float, Field(gt=0, le=10, description="Temperature of contrastive terms."), FOR_CONTRAST] = 0.2
    edge_drop: Annotated[
        float,
        Field(title="Edges dropped", ge=0, lt=1, description="Share of edges dropped from a view."),
        ReadBy(("sgl", "llmhni")),
    ] = 0.1
    perturbation: Annotated[
        float, Field(ge=0, le=1, description="Length of the noise added in every layer."), ReadBy(("simgcl", "xsimgcl", "llmhni"))
    ] = 0.1
    drop_rate: Annotated[
        float,
        Field(title="Drop rate", ge=0, lt=1, description="Share of clicks left out in the end for their loss."),
        ReadBy(("tce", "prune")),
    ] = 0.1
    ramp_epochs: Annotated[
        int,
        Field(
            title="Ramp epochs",
            ge=0,
            le=5000,
            description="Epochs until the drop rate is reached (tce), or before the averaged loss prunes (prune).",
        ),
        ReadBy(("tce", "prune")),
    ] = 10
    reweight: Annotated[
        float,
        Field(title="Reweighting", ge=0, le=5, description="Power of the predicted probability that weighs a click."),
        ReadBy(("rce",)),
    ] = 0.25
    popularity_power: Annotated[
        float,
        Field(title="Popularity power", ge=0, le=2, description="Power of an item's clicks by which negatives are drawn."),
        ReadBy(("wbpr",)),
    ] = 0.75
    masked: Annotated[
        float,
        Field(title="Vectors masked", ge=0, lt=1, description="Share of the vectors masked and rebuilt."),
        ReadBy(("rlmrec-gen",)),
    ] = 0.1
    blend: Annotated[
        Literal["none", "ease", "als"],
        Field(description="A closed-form recommender on the same graph whose scores are added to the final ones."),
    ] = "none"
    blend_weight: Annotated[
        float,
        Field(title="Blend weight", gt=0, le=100, description="Weight of the blended scores, both standardised by user."),
    ] = 0.5
    monitor: Annotated[str, Field(title="Metric that picks the epoch", description="Metric on valid that picks the epoch.")] = (
        "recall@20"
    )
    trajectories: Annotated[
        int,
        Field(
            title="Full loss courses kept",
            ge=0,
            le=200_000,
            description="Interactions whose loss is kept for every epoch; mean and variance are kept for all.",
        ),
    ] = 20_000
    early_epoch: Annotated[
        int, Field(title="Early epoch", ge=1, le=5000, description="Epoch whose loss is kept as the early loss.")
    ] = 5
    seed: Annotated[int, Field(ge=0, description="Seed of initial vectors, batches and negatives.")] = 0
    device: Annotated[str, Field(description="auto, cpu or cuda.")] = "auto"


def read_by(denoiser: str) -> list[str]:
    """The names of all settings of a training that this denoiser reads."""
    others = unread(TrainSettings, {"denoiser": denoiser})
    return [name for name in TrainSettings.model_fields if name not in others]
