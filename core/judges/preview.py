"""What a language model would be asked about one pair, to the letter: for people who want to see it before they ask."""

from dataclasses import dataclass

from core import prompts
from core.errors import NotFoundError
from core.judges.texts import PairTexts
from core.prompts import MADE, Prompt, Rubric
from core.records import VIEWS, Candidates, Dataset
from core.settings import JudgeSettings


@dataclass(frozen=True)
class Preview:
    """The questions about one pair."""

    version: str  # of the prompts, as judgments record it
    views: dict[str, Prompt]
    history: list[int]  # positions of the items that the item view shows
    profile: Prompt | None  # asked first, where the model writes the profile; the user view here has the made one in its place


def preview(
    dataset: Dataset,
    pairs: Candidates,
    rubric: Rubric,
    user: int,
    item: int,
    settings: JudgeSettings,
    profiles: str = MADE,
) -> Preview:
    """The questions about a user and an item (positions), one of the `pairs` that are up for judgment; else NotFoundError."""
    own = pairs.where(pairs.user == user)
    if item not in own.item:
        message = f"{dataset.user_ids[user]} and {dataset.item_ids[item]} are no candidates: nothing is asked about them."
        first = f"{dataset.user_ids[pairs.user[0]]} {dataset.item_ids[pairs.item[0]]}" if len(pairs) else "none"
        raise NotFoundError(message, f"The most doubtful pair is {first}.")
    texts = PairTexts(dataset, own, settings.history_items, rubric, profiles)  # other users' pairs change nothing
    views = {view: texts.prompt(user, item, view) for view in VIEWS}
    version = prompts.prompt_version(rubric, profiles)
    return Preview(version, views, texts.history(user, item), texts.profile_prompt(user))
