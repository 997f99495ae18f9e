"""The loop in six steps: which are done for a dataset, and which comes next."""

from dataclasses import dataclass, field

from app import lookup, results, widgets, work
from app.palette import KINDS
from core import browse
from core.records import Dataset, Source
from core.runs import Run, State


@dataclass(frozen=True)
class Step:
    """One step of the loop. `detail` says how it stands; `action` is what the link to its page is called."""

    name: str
    done: bool
    detail: str
    page: str
    action: str
    advice: str
    params: dict[str, str] = field(default_factory=dict)  # of the link


def steps(data: Dataset | None) -> list[Step]:
    """All six, for the dataset of the context."""
    trained = results.trained(data.name) if data else []
    found = [run for run in results.runs_of(data.name, "candidates") if run.state is State.DONE] if data else []
    labels = lookup.labels(data) if data else None
    judged = int((labels.source != Source.NONE).sum()) if labels else 0
    reviewed = browse.reviewed(labels) if labels else 0
    version, fresh = lookup.newest_version(data) if data else (None, 0)
    retrained = [run for run in trained if version and run.settings.get("labels") == version]
    frozen = f"{version} frozen" + (f", {fresh:,} changed since" if fresh else "") if version else "not frozen yet"
    return [
        Step(
            "Import",
            data is not None,
            f"{len(data.train):,} training clicks" if data else "no dataset",
            "home",
            "Go to Home",
            _IMPORT,
        ),
        Step("Train", bool(trained), _count(len(trained), "training"), "train", "Train a model", _TRAIN),
        Step(
            "Find candidates",
            bool(found),
            f"{found[0].result['n']:,} pairs" if found else "none yet",
            "board",
            "Find candidates",
            _FIND,
        ),
        Step("Judge", judged > 0, f"{judged:,} labelled", "board", "Judge them", _JUDGE),
        Step(
            "Review, freeze",
            bool(version) and not fresh,
            f"{reviewed:,} by people; {frozen}",
            "review",
            "Review",
            _REVIEW,
        ),
        Step(
            "Retrain, compare",
            bool(retrained),
            _count(len(retrained), f"on {version}"),
            "train",
            "Train with labels",
            _RETRAIN,
            {"labels": version} if version else {},
        ),
    ]


_IMPORT = "load the demo dataset, or import your own."
_TRAIN = "train a plain model; it records the loss of every click."
_FIND = "find the pairs that the model doubts most."
_JUDGE = "have the candidates judged in two views."
_REVIEW = "look at a few pairs, override what is wrong, then freeze the labels as a version."
_RETRAIN = "train again with the frozen labels."


def current(all_steps: list[Step]) -> Step | None:
    """The first step that is not done; None when the loop is closed."""
    return next((step for step in all_steps if not step.done), None)


def unfinished(runs: list[Run]) -> list[Run]:
    """Stopped, dead or failed work (newest first) that no newer run of its kind has made up for."""
    done: set[str] = set()
    left = []
    for run in runs:
        if run.state in (State.CANCELLED, State.INTERRUPTED, State.FAILED) and run.kind not in done:
            left.append(run)
        elif run.state is State.DONE:
            done.add(run.kind)
    return left


def show_next(here: str, data: Dataset | None) -> None:
    """What comes next, as the last thing on a page; on its own page the step is only named."""
    active = next((run for run in results.runs_of(data.name) if run.state.active), None) if data else None
    if active:
        page = work.PAGE_OF[active.kind]
        widgets.next_step(f"{KINDS[active.kind].lower()} is at work.", page if page != here else None, "Watch it")
        return
    step = current(steps(data))
    if step is None:
        text = "judge or review more pairs, or train with another seed to see whether the difference holds."
        if here != "compare":
            text = "compare the two trainings on the same test users."
        widgets.next_step(text, "compare" if here != "compare" else "board", "Compare" if here != "compare" else "Review more")
    else:
        widgets.next_step(step.advice, step.page if step.page != here else None, step.action, **step.params)


def _count(n: int, what: str) -> str:
    return f"{n} {what}" + ("s" if n != 1 and what == "training" else "") if n else "none yet"
