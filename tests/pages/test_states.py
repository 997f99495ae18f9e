"""The states of a page beside its content: empty, loading, partial, stale, conflict, error."""

from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from core import datasets, pipeline, runs
from core.artifacts import Home
from core.settings import DemoSettings
from core.store import Store
from tests.pages.helpers import NAME, TRAIN, carry_out, said, sound

Open = Callable[..., AppTest]
EMPTY = {
    "train": "No training yet",
    "losses": "No finished training yet",
    "embeddings": "No finished training yet",
    "preview": "No finished training yet",
    "board": "No labels yet",
    "review": "No pairs in this order",
    "compare": "Two finished trainings are needed",
}


def made(kind: str, *args: object) -> None:
    from app import states

    getattr(states, kind)(*args)


def loading() -> None:
    import streamlit as st

    from app import states

    with states.loading("Ranking the lists"):
        st.write("ranked")


def failing() -> None:
    import streamlit as st

    from app import states
    from core.errors import StoreError

    with states.caught():
        raise StoreError("The database *is* locked.", "Close the other program.")
    st.write("and the rest of the page")


def shown(kind: str, *args: object) -> AppTest:
    return sound(AppTest.from_function(made, args=(kind, *args)).run(timeout=30))


@pytest.mark.parametrize("name", EMPTY)
def test_empty_says_why_and_what_to_do(home: Home, open_page: Open, name: str) -> None:
    datasets.import_demo(home, DemoSettings(users=60, items=50, interactions=900), NAME)
    page = open_page(name, dataset=NAME)
    assert EMPTY[name] in said(page)
    assert page.button or page.get("page_link")


def test_loading_ends_with_the_content() -> None:
    assert [element.value for element in AppTest.from_function(loading).run(timeout=30).markdown] == ["ranked"]


@pytest.mark.parametrize(("done", "total", "text"), [(1, 3, "33 % judged (1 of 3)."), (999_999, 10**6, "99 % judged (999,999 ")])
def test_partial_never_says_all_of_less_than_all(done: int, total: int, text: str) -> None:
    assert shown("partial", done, total, "judged", "The rest waits.").info[0].value.startswith(text)


def test_what_is_complete_is_not_partial() -> None:
    assert not shown("partial", 3, 3, "judged", "").info


def test_stale_counts_the_labels_that_changed_since_the_training(ready: Home, open_page: Open) -> None:
    labels = Store.open(ready).labels(data := datasets.load(ready, NAME))
    [refined] = [run for run in runs.listing(ready, NAME, "train") if run.settings["labels"]]
    assert "changed since" not in said(open_page("losses", dataset=NAME, run=refined.id))
    pair = str(data.user_ids[labels.user[0]]), str(data.item_ids[labels.item[0]])
    Store.open(ready).decide(NAME, [pair], "no" if labels.label[0] == 1 else "yes", annotator="ada")
    now = Store.open(ready).labels(data)
    changed = int((now.label != labels.label).sum())
    assert changed == 1
    for name in ("losses", "embeddings", "preview"):
        assert "1 label changed since v1" in said(open_page(name, dataset=NAME, run=refined.id)), name
    assert "1 label changed since v1" in said(open_page("train", dataset=NAME, show=refined.id))
    pipeline.freeze(ready, NAME, annotator="ada")
    carry_out(ready, "train", **TRAIN, labels="v2")
    assert "changed since" not in said(open_page("losses", dataset=NAME))


def test_stale_says_when_the_dataset_was_imported_anew(ready: Home, open_page: Open) -> None:
    datasets.import_demo(ready, DemoSettings(users=80, items=60, interactions=1400), NAME, replace=True)
    assert "earlier import" in open_page("losses", dataset=NAME).warning[0].value


def test_conflicts_are_shown_as_they_were_written() -> None:
    page = shown("conflict", ["ada says *yes*", "bob says no"])
    assert [warning.value for warning in page.warning] == [r"ada says \*yes\*", "bob says no"]
    assert not page.button


def test_an_error_says_what_to_do_and_leaves_the_rest_of_the_page() -> None:
    page = AppTest.from_function(failing).run(timeout=30)
    assert page.error[0].value == r"The database \*is\* locked\."
    assert page.text[0].value == "Close the other program."
    assert page.markdown[-1].value == "and the rest of the page"


def test_home_counts_the_trainings_of_the_newest_version_and_names_it(ready: Home, open_page: Open) -> None:
    assert "1 on v1" in said(open_page("home"))
    data = datasets.load(ready, NAME)
    pair = str(data.user_ids[data.train.user[0]]), str(data.item_ids[data.train.item[0]])
    Store.open(ready).decide(NAME, [pair], "no", annotator="ada")
    pipeline.freeze(ready, NAME, annotator="ada")
    carry_out(ready, "train", **TRAIN, labels="v2")
    assert "1 on v2" in said(open_page("home"))
