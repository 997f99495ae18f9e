"""Every setting of Winnow, described once: the CLI's options, the app's forms and the run manifests come from here."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo

from core.errors import SettingsError
from core.records import fingerprint


class Settings(BaseModel):
    """Base: frozen, unknown names refused, comparable by digest."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def checked(cls, **values: object) -> Self:
        """Like the constructor, but a broken bound or an unknown name is one readable SettingsError."""
        try:
            return cls(**values)
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(map(str, first["loc"]))
            reason = first["msg"].removeprefix("Value error, ")
            if not first["loc"]:  # two settings that contradict each other; the message names them
                raise SettingsError(f"{reason[:1].upper()}{reason[1:]}.") from error
            if first["type"] == "extra_forbidden":
                raise SettingsError(f"There is no setting {name!r}.", f"Known: {', '.join(cls.model_fields)}.") from error
            raise SettingsError(f"Setting {name!r} cannot be {first['input']!r}: {reason}.") from error

    def digest(self) -> str:
        """16 hex digits; equal settings have equal digests. How a server is reached (ACCESS) does not count."""
        return fingerprint(self.model_dump_json(exclude=ACCESS))


ACCESS = {"encoder_url", "encoder_key_env"}
"""Settings that say how something is reached, not what comes of it."""


@dataclass(frozen=True)
class ReadBy:
    """Marks a setting that is only read where another one, `setting`, names one of `names`; the forms hide it elsewhere."""

    names: tuple[str, ...]
    setting: str = "denoiser"


@dataclass(frozen=True)
class Unset:
    """Marks an optional setting: the word for None. On the command line the word can be given, too."""

    word: str


def unset(word: str) -> tuple[Unset, BeforeValidator]:
    """What makes `word` the same as leaving an optional setting out."""
    return Unset(word), BeforeValidator(lambda value: None if value == word else value)


def marked(field: FieldInfo, kind: type) -> Any:
    """The field's marker of this kind, or None."""
    return next((part for part in field.metadata if isinstance(part, kind)), None)


def told(field: FieldInfo) -> str:
    """What a field's help says on the command line, where nothing is hidden: its sentence, and who reads it."""
    words = [f"For the {marker.setting} {' or '.join(marker.names)}." for marker in field.metadata if isinstance(marker, ReadBy)]
    return " ".join([field.description, *words])


def unread(model: type[Settings], chosen: Mapping[str, object]) -> list[str]:
    """The names of the settings that nobody reads where `chosen` names {setting: who was chosen}."""
    return [
        name
        for name, field in model.model_fields.items()
        for marker in field.metadata
        if isinstance(marker, ReadBy) and marker.setting in chosen and chosen[marker.setting] not in marker.names
    ]


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

    users: Annotated[int, Field(ge=50, le=20_000, description="Number of users.")] = 800
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


Encoder = Annotated[
    str,
    Field(
        title="Text encoder",
        description="auto (sentence-transformers when its weights can be had, else tfidf), sentence-transformers, tfidf, or a server: ollama, openai (any server that speaks OpenAI's API).",
    ),
]
EncoderModel = Annotated[
    str | None,
    Field(
        title="Encoder model",
        validate_default=True,
        description="Model on the server, or name or local folder of the sentence-transformers model; left out, all-MiniLM-L6-v2, nomic-embed-text (ollama) or text-embedding-3-small (openai).",
    ),
]
EncoderUrl = Annotated[
    str | None,
    Field(
        title="Encoder's address",
        description="Address of the encoder's server; left out, http://localhost:11434 (ollama) or https://api.openai.com/v1 (openai).",
    ),
    ReadBy(("ollama", "openai"), "encoder"),
]
EncoderKeyEnv = Annotated[
    str,
    Field(
        title="Key is in",
        description="Environment variable with the server's key, which is never stored; a server nearby may need none.",
    ),
    ReadBy(("openai",), "encoder"),
]
VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")
"""What names an environment variable: most keys do not look like one."""

ENCODER_MODELS = {"ollama": "nomic-embed-text", "openai": "text-embedding-3-small"}
"""The model of an encoder when none is named; the others use DEFAULT_WEIGHTS."""

DEFAULT_WEIGHTS = "all-MiniLM-L6-v2"


class EncoderSettings(Settings):
    """Text to vectors. `encoder_model` is never None once the settings are made."""

    encoder: Encoder = "auto"
    encoder_model: EncoderModel = None
    encoder_url: EncoderUrl = None
    encoder_key_env: EncoderKeyEnv = "OPENAI_API_KEY"

    @field_validator("encoder_model")
    @classmethod
    def _named(cls, model: str | None, info: ValidationInfo) -> str:
        """Manifests say which model was meant, whatever the defaults will be."""
        return model or ENCODER_MODELS.get(info.data.get("encoder", ""), DEFAULT_WEIGHTS)

    @model_validator(mode="after")
    def _no_secrets(self) -> Self:
        """Settings are written to manifests. The messages do not repeat what was given."""
        if not VARIABLE.fullmatch(self.encoder_key_env):
            raise ValueError("encoder_key_env is the name of an environment variable in capitals, not the key itself")
        if "@" in (self.encoder_url or ""):
            raise ValueError("encoder_url holds a name or a password, which would be stored; give the address alone")
        return self


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


class CandidateSettings(EncoderSettings):
    """Which pairs are doubtful enough to ask a judge about."""

    budget: Annotated[
        int, Field(title="Pairs to find", ge=1, le=1_000_000, description="Pairs to pick, positives and negatives together.")
    ] = 2000
    positive_share: Annotated[
        float, Field(title="Share of clicks", ge=0, le=1, description="Share of the budget for observed pairs.")
    ] = 0.8
    bottom_share: Annotated[
        float,
        Field(
            title="Lowest share of a user's clicks",
            gt=0,
            le=1,
            description="Of each user's positives, the lowest-scored share that may be asked about.",
        ),
    ] = 0.5
    top_k: Annotated[
        int,
        Field(
            title="Unobserved items per user",
            ge=0,
            le=100,
            description="Of each user's unobserved items, the best-scored k that may be asked about.",
        ),
    ] = 5
    run: Annotated[
        str | None, Field(title="Training", description="Run whose scores are used; the newest finished one when left out.")
    ] = None


BY_BUILTIN = ReadBy(("builtin",), "judge")
BY_MODELS = ReadBy(("ollama", "openai"), "judge")
BY_SIMULATION = ReadBy(("simulated",), "judge")


class JudgeSettings(EncoderSettings):
    """Who is asked, and how. What only some judges read is marked with ReadBy."""

    encoder: Annotated[Encoder, BY_BUILTIN] = "auto"
    encoder_model: Annotated[EncoderModel, BY_BUILTIN] = None
    encoder_url: Annotated[EncoderUrl, BY_BUILTIN] = None
    encoder_key_env: Annotated[EncoderKeyEnv, BY_BUILTIN] = "OPENAI_API_KEY"

    judge: Annotated[
        str,
        Field(
            description="builtin (a rater, not a language model), ollama, openai (any server that speaks its API: vLLM, llama.cpp, "
            "LM Studio, OpenAI), replay (answers from a file), or simulated (no judge: known truth with planted errors, for research)."
        ),
    ] = "builtin"
    url: Annotated[
        str | None,
        Field(
            title="Server address", description="Address of the server; several, with spaces between, share the users among them."
        ),
        *unset("default"),
        BY_MODELS,
    ] = None
    model: Annotated[str, Field(min_length=1, description="Name of the model on the server."), BY_MODELS] = "llama3.1:8b"
    api_key_env: Annotated[
        str,
        Field(
            title="Variable with the key",
            description="Environment variable that holds the server's key; the key itself is never kept.",
        ),
        ReadBy(("openai",), "judge"),
    ] = "OPENAI_API_KEY"
    rubric: Annotated[
        str | None,
        Field(title="Rubric", description="Version of the dataset's rubric: what High, Mid and Low mean."),
        *unset("newest"),
        BY_MODELS,
    ] = None
    profiles: Annotated[
        Literal["made", "written"],
        Field(
            title="Profiles",
            description="What the user view reads: made of attributes, categories and titles, or written by the model first, one call a user.",
        ),
        BY_MODELS,
    ] = "made"
    workers: Annotated[
        int | None,
        Field(
            title="Requests at once",
            ge=1,
            le=64,
            description="Requests at once to each server; without a number as many as it serves without making them wait.",
        ),
        *unset("automatic"),
        BY_MODELS,
    ] = None
    history_items: Annotated[
        int, Field(title="Past items shown", ge=1, le=200, description="Past items shown to the judge."), BY_MODELS
    ] = 20
    temperature: Annotated[float, Field(ge=0, le=2, description="0: the most likely answer."), BY_MODELS] = 0.0
    num_predict: Annotated[
        int, Field(title="Answer tokens at most", ge=32, le=4096, description="Tokens of an answer at most."), BY_MODELS
    ] = 256
    confidence: Annotated[
        Literal["none", "answer", "probe"],
        Field(
            title="Confidence",
            description="From the probabilities of the rating's tokens, where the server tells them: in the answer itself, or by a short "
            "second call that asks for the rating alone.",
        ),
        BY_MODELS,
    ] = "answer"
    samples: Annotated[
        int,
        Field(
            title="Further answers",
            ge=0,
            le=20,
            description="Further answers to each question, at temperature 0.7: how steady the judge is. Each costs as much as the first.",
        ),
        BY_MODELS,
    ] = 0
    timeout_s: Annotated[
        float,
        Field(
            title="Time limit [s]",
            gt=0,
            le=3600,
            description="Seconds for one answer; the first, which loads the model, gets 10 minutes.",
        ),
        BY_MODELS,
    ] = 120
    wait_s: Annotated[
        float,
        Field(
            title="Wait for a server [s]",
            ge=0,
            le=7 * 86400,
            description="Seconds that a run waits for a server that went away while it was at work.",
        ),
        BY_MODELS,
    ] = 3600
    price_in: Annotated[
        float | None,
        Field(title="Price of a million tokens read", ge=0, description="Price of a million tokens read, for the cost."),
        BY_MODELS,
    ] = None
    price_out: Annotated[
        float | None,
        Field(title="Price of a million tokens written", ge=0, description="Price of a million tokens written, for the cost."),
        BY_MODELS,
    ] = None
    file: Annotated[
        str | None,
        Field(title="File to replay", description="File with recorded judgments that the judge replay answers from."),
        ReadBy(("replay",), "judge"),
    ] = None
    error: Annotated[
        float,
        Field(title="Simulated error rate", ge=0, le=1, description="Share of pairs on which the simulated judge is wrong."),
        BY_SIMULATION,
    ] = 0.2
    error_seed: Annotated[
        int,
        Field(title="Seed of the simulated errors", ge=0, description="Seed of the pairs on which the simulated judge is wrong."),
        BY_SIMULATION,
    ] = 0
    limit: Annotated[
        int | None, Field(title="Pairs at most", ge=1, description="Pairs to ask about at most; all candidates when left out.")
    ] = None
    shard: Annotated[
        str | None,
        Field(
            title="Shard",
            pattern=r"^[1-9]\d*/[1-9]\d*$",
            description="Only the users of one shard, say 2/5: for several machines, whose answers are merged afterwards.",
        ),
    ] = None
    pairs: Annotated[
        tuple[tuple[str, str], ...],
        Field(title="Only these pairs", description="User and item ids of the candidates to ask about; all when empty."),
    ] = ()
    estimate: Annotated[
        bool,
        Field(
            title="Only an estimate", description="Judge 12 pairs of all lengths, and say how long the rest would take and cost."
        ),
        BY_MODELS,
    ] = False

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.shard:
            number, shards = map(int, self.shard.split("/"))
            if number > shards:
                raise ValueError(f"shard {self.shard}: there are only {shards}")
        if not VARIABLE.fullmatch(self.api_key_env):
            raise ValueError("api_key_env is the name of an environment variable in capitals, not the key itself")
        if "@" in (self.url or ""):
            raise ValueError("url holds a name or a password, which would be stored; give the address alone")
        if self.judge == "replay" and not self.file:
            raise ValueError("the judge replay needs a file with recorded judgments")
        return self


class AgainSettings(JudgeSettings):
    """One judged pair, asked about again with something changed, each change by itself. What the judge is, as it was."""

    user: Annotated[str, Field(min_length=1, description="The user's id.")]
    item: Annotated[str, Field(min_length=1, description="The item's id.")]
    annotator: Annotated[str, Field(description="Who asks.")] = ""
    without: Annotated[
        tuple[str, ...], Field(description="Ids of items of the user's history that are left out, all at once.")
    ] = ()
    reverse: Annotated[
        bool, Field(description="Show the history in the opposite order, to see whether the place of an item matters.")
    ] = False
    seeds: Annotated[
        int,
        Field(
            ge=0,
            le=20,
            description="Further answers with so many other seeds, of a language model at temperature 0.7, to see how steady it is.",
        ),
    ] = 0
    title_only: Annotated[
        bool, Field(description="Tell only the title of the item in question, to see whether its text is read.")
    ] = False


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


TRAIN_PRESETS: dict[str, dict[str, object]] = {
    "plain": {},
    "quick": {"dim": 32, "layers": 2, "epochs": 60, "min_epochs": 20, "patience": 3},
    "default": {
        "denoiser": "llmhni",
        "dim": 128,
        "reg": 5e-3,
        "eval_every": 3,
        "min_epochs": 30,
        "noisy_weight": 0.3,
        "blend": "ease",
    },
    "paper": {
        "denoiser": "llmhni",
        "hard_negatives": "semantic",
        "contrast": 0.0,
        "graph_contrast": None,
        "drop_contrast": None,
        "reliable_quantile": 0.5,
        "infer_on": "observed",
        "add_missed": "judges",
    },
}
"""Named starting points for TrainSettings; what is not named keeps its default."""

PRESET_MEANS = {
    "plain": "LightGCN on the clicks as they are, nothing is done about noise; where the loop begins",
    "quick": "the same, smaller and shorter, to look around",
    "default": "the method as it measured best: longer vectors, harder negatives, noisy clicks weighed down, blended with EASE",
    "paper": "LLMHNI as published: negatives by their text, contrasts of both graphs, no blend",
}
"""What each preset is, in words for people."""

APART = {"labels", "seed", "device", *ACCESS}
"""TrainSettings that say on what or where, not how: they belong to no preset."""


def preset_of(settings: dict[str, object]) -> str | None:
    """The name of the preset that a training's settings follow in everything but APART; None when they follow none."""
    fields = TrainSettings().model_dump(exclude=APART)
    how = {name: settings.get(name, default) for name, default in fields.items()}
    return next((name for name, preset in TRAIN_PRESETS.items() if how == fields | preset), None)
