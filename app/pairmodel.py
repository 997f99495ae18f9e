"""What the Pair page shows of the model: the doubt, how the pair was learnt, and the user's list without this click."""

import numpy as np
import pandas as pd
import streamlit as st

from app import caching, charts, itemlists, lookup, maps, navigation, results, state, states, widgets, words
from app.pairview import Pair
from app.palette import LABELS
from core import candidates, dynamics, regions
from core import preview as previews
from core.doubt import DEFAULT, SIGNALS
from core.dynamics import Band
from core.preview import Turned
from core.records import Dataset, Interactions, Label
from core.regions import Density
from core.runs import Run
from core.settings import TrainSettings
from core.wording import counted

LESS = "candidate clicks with less of it"
INSTANT_CLICKS, INSTANT_ITEMS = 500_000, 1_000
"""Training clicks, and items of a closed form that is blended in, up to which the list without a click takes under .15 s."""
LIST = 10
"""Items of the user's list."""
_ASKED = "turned_asked"  # (training, user, item) whose list without the click was asked for


def training(data: Dataset) -> Run | None:
    """The training of the context, if it is one of the dataset as it is now; else what to do is said."""
    run = next((run for run in results.trained(data.name) if run.id == state.run_id()), None)
    if run is None:
        st.markdown(":gray[There is no finished training yet.]")
        navigation.link("train", "Train a model")
    elif run.dataset_fingerprint != data.fingerprint:
        states.stale(data, run)
        run = None
    return run


def doubt(data: Dataset, pair: Pair) -> None:
    """How doubtful a click is without any judge, by which signals, and what people's answers make of that."""
    if not pair.observed:
        return
    widgets.section("Why it is doubted")
    found = lookup.candidates(data)
    if found is None:
        st.markdown(":gray[There are no candidates of these data yet, and so no doubt.]")
        return
    why = candidates.why(found, pair.user, pair.item)
    if why is None:
        st.markdown(":gray[It is not among the clicks that the newest candidates doubt.]")
        return
    answered = lookup.answered(data)
    chances = answered.calibration.probability
    told = f"**More doubtful than {words.beyond(why.doubt)} of the training clicks**"
    st.markdown(f"{told}, by signals that no judge and no person has part in.")
    if chances is None:
        st.caption(f"How likely it is noisy, by people's answers: {answered.calibration.reason}.")
    else:
        st.markdown(f"By {counted(answered.answers, 'answer')}: **{words.chance(float(chances[why.place]))} likely noisy**.")
    names = sorted(why.signals, key=lambda name: (name not in DEFAULT, -why.signals[name]))
    rows = {
        "signal": [SIGNALS[name] for name in names],
        "in the doubt": ["✓" if name in DEFAULT else "" for name in names],
        LESS: [100 * why.signals[name] for name in names],
    }
    bar = st.column_config.ProgressColumn(LESS, format="%.1f%%", min_value=0, max_value=100)
    st.dataframe(pd.DataFrame(rows), hide_index=True, column_config={LESS: bar}, key="signals", height="content")
    st.caption("The doubt combines the signals with ✓; each of the others speaks for itself.")


def learnt(data: Dataset, pair: Pair, run: Run) -> None:
    """How the model sees the pair: its rank for the user, and how it was learnt among its peers."""
    widgets.section("How the model sees it")
    vectors = results.embeddings(run.id)
    scores = vectors.item @ vectors.user[pair.user]
    others = np.unique(data.train.item[(data.train.user == pair.user) & (data.train.item != pair.item)])
    scores[others] = -np.inf
    rank, ranked = int((scores > scores[pair.item]).sum()) + 1, data.n_items - len(others)
    about = "By the score of the vectors, among all items that the user has not clicked otherwise; 1 is the best."
    numbers = [("Place for this user", f"{rank:,} of {ranked:,}", about)]
    recorded = results.losses(run.id)
    [*at] = np.flatnonzero((recorded["user"] == pair.user) & (recorded["item"] == pair.item))
    if at:
        own = recorded["mean"][at[0]]
        numbers.append(("Loss over training", f"{own:.3f}", "Averaged over all epochs."))
        above = float((recorded["mean"] < own).mean())
        numbers.append(
            ("Higher than", f"{words.beyond(above)} of clicks", "Share of the training clicks with a lower averaged loss.")
        )
    widgets.tiles(numbers)
    if not at:
        st.caption("It was never trained on, so it has no loss.")
        return
    left, right = st.columns(2, gap="medium")
    with left:
        _course(data, pair, run)
    with right:
        _on_map(data, run, int(at[0]))


def _course(data: Dataset, pair: Pair, run: Run) -> None:
    """The loss by epoch, beside the middle half of every group."""
    recorded = results.losses(run.id)
    if not len(recorded["rows"]):
        st.caption("This training kept no course of single losses (setting trajectories = 0).")
        return
    bands, path = _bands(data, run.id), dynamics.trajectory_of(recorded, pair.user, pair.item)
    table = pd.DataFrame({"epoch": np.arange(1, recorded["trajectory"].shape[1] + 1)})
    if path is not None:
        table["this pair"] = path
    for code, band in bands.items():
        word = LABELS[Label(code)].word
        table = table.assign(**{f"{word}, median": band.median, f"{word}, 25 %": band.low, f"{word}, 75 %": band.high})
    finding = "The course of this pair was not among those kept; these are its peers" if path is None else _end(path, bands)
    about = f"Median and middle half of each group, of {len(recorded['rows']):,} clicks whose every epoch was kept"
    widgets.chart("pair_loss", finding, charts.loss_over_time(bands, path, 360), table, about)


@caching.per_revision
def _bands(data: Dataset, run_id: str) -> dict[int, Band]:
    """The middle of every group's losses by epoch."""
    recorded = results.losses(run_id)
    kept = Interactions(recorded["user"][recorded["rows"]], recorded["item"][recorded["rows"]])
    return dynamics.bands(recorded["trajectory"], lookup.codes_now(data, kept))


def _end(path: np.ndarray, bands: dict[int, Band]) -> str:
    """Where the loss ends among the groups, in a sentence."""
    places: dict[str, list[str]] = {}
    for code, band in bands.items():
        where = "above" if path[-1] > band.high[-1] else "below" if path[-1] < band.low[-1] else "within"
        places.setdefault(where, []).append(LABELS[Label(code)].word)
    told = [f"{where} the middle half of {' and '.join(groups)}" for where, groups in places.items()]
    return f"Its loss ends at {path[-1]:.2f}: {', '.join(told)}"


def _on_map(data: Dataset, run: Run, at: int) -> None:
    """The click `at` among all on the data map."""
    points, counted, middle_of_all = _points(data, run.id)
    own = points[at]
    sure, steady = float((points[:, 1] > own[1]).mean()), float((points[:, 0] < own[0]).mean())
    finding = f"The model is less sure of it than of {words.beyond(sure)} of the clicks"
    finding += f", and wavers more than about {words.beyond(steady)}"
    middles = _middles(data, run.id)
    rows = [("this pair", own), ("median of all", middle_of_all)]
    rows += [(f"median of {LABELS[Label(code)].word}", middle) for code, middle in middles.items()]
    columns = {axis: [place[n] for _, place in rows] for n, axis in enumerate(maps.AXES)}
    table = pd.DataFrame({"": [name for name, _ in rows]} | columns)
    about = f"All {len(points):,} clicks, darker where there are more; the signs are medians of the groups"
    widgets.chart("pair_map", finding, maps.placed(counted, own, middles), table, about)


@caching.per_dataset
def _points(data: Dataset, run_id: str) -> tuple[np.ndarray, Density, np.ndarray]:
    """Every click on the data map, how many lie where, and their median."""
    points = dynamics.learnt(results.losses(run_id))
    return points, regions.density(points), np.median(points, axis=0)


@caching.per_revision
def _middles(data: Dataset, run_id: str) -> dict[int, np.ndarray]:
    """The median place of every group on the data map."""
    points, group = _points(data, run_id)[0], results.loss_labels(data, run_id)
    return {code: np.median(points[group == code], axis=0) for code in dynamics.groups(group)}


def turned(data: Dataset, pair: Pair, run: Run) -> None:
    """The user's list if the model's graph had not this click, or had it."""
    widgets.section(f"{'Without' if pair.observed else 'With'} this click")
    settings = TrainSettings.checked(**run.settings)
    if not previews.propagates(settings):
        kind = settings.backbone.upper() if settings.backbone == "mf" else f"{settings.backbone} with 0 layers"
        st.markdown(f":gray[This training ({kind}) scores by vectors alone, without a graph: only a new training could tell.]")
        return
    asked = (run.id, pair.user, pair.item)
    instant = len(data.train) <= INSTANT_CLICKS and (settings.blend == "none" or data.n_items <= INSTANT_ITEMS)
    if not instant and st.session_state.get(_ASKED) != asked:
        st.button("Work it out", key="turned_ask", help="It may take some seconds with these data.", on_click=_ask, args=(asked,))
        return
    with states.caught(), states.loading("Propagating on the changed graph"):
        _lists(data, pair, results.turned(data, run.id, pair.user, pair.item))


def _ask(asked: tuple[str, int, int]) -> None:
    st.session_state[_ASKED] = asked


def _lists(data: Dataset, pair: Pair, found: Turned) -> None:
    before, after = found.place
    moved = "stays" if after == before else "falls" if after > before else "rises"
    way = f"stays at place {before:,}" if after == before else f"{moved} from place {before:,} to {after:,}"
    st.markdown(f"**{'Without' if found.on else 'With'} this click the item {way} of {found.ranked:,} for this user**")
    if pair.observed and not found.on:
        st.caption("This training's graph leaves the click out already, so it is put on here.")
    about = f"top {LIST} before and after; ✓ was clicked in validation"
    itemlists.show(data, pair.user, found.before, found.after, data.valid, "turned", about)
    st.caption(
        f"Score {found.score[0]:.3f} before, {found.score[1]:.3f} after. What the user clicked otherwise in training is left out "
        f"of the lists, this item is not. Nothing is trained again: the vectors that the model learned, with this click "
        f"{'among' if found.on else 'not among'} the edges, are propagated once more on the changed graph "
        f"({1000 * found.seconds:.0f} ms). A retraining may move the item further."
    )
