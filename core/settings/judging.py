"""Settings of judging: which pairs are asked about, who is asked, and how."""

from typing import Annotated, Literal, Self

from pydantic import (
    Field,
    model_validator,
)

from core.settings.base import ReadBy, unset
from core.settings.encoders import VARIABLE, Encoder, EncoderKeyEnv, EncoderModel, EncoderSettings, EncoderUrl


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
