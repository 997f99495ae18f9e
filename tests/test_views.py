"""Saved views: a log of which the newest row of a name counts."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.artifacts import Home
from core.errors import ConflictError, NotFoundError, SettingsError, WinnowError
from core.store import Store
from core.store.migrations import MIGRATIONS

TEXT = "label=noisy-positive"


def names(store: Store, dataset: str = "shop") -> list[str]:
    return store.views(dataset)["name"].tolist()


def test_kept_replaced_renamed_deleted_and_brought_back(store: Store) -> None:
    before = store.revision("shop")
    store.keep_view("shop", " noisy ", "board", TEXT, annotator="ann")
    assert store.revision("shop") > before
    with pytest.raises(ConflictError, match="'noisy' already"):
        store.keep_view("shop", "noisy", "losses", "", annotator="bob")
    store.keep_view("shop", "noisy", "losses", "loss=80-100", annotator="bob", replace=True)
    store.keep_view("shop", "mine", "review", "status=mine", annotator="ann")
    store.keep_view("other", "noisy", "board", TEXT, annotator="ann")
    rows = store.views("shop").drop(columns="at").to_dict("records")
    assert rows == [
        {"name": "mine", "page": "review", "filter": "status=mine", "annotator": "ann"},
        {"name": "noisy", "page": "losses", "filter": "loss=80-100", "annotator": "bob"},
    ]
    with pytest.raises(ConflictError, match="'mine' already"):
        store.rename_view("shop", "noisy", "mine", annotator="ann")
    store.rename_view("shop", "noisy", "loud", annotator="ann")
    assert names(store) == ["loud", "mine"]
    store.delete_view("shop", "loud", annotator="ann")
    assert names(store) == ["mine"]
    store.keep_view("shop", "noisy", "board", TEXT, annotator="ann")
    assert names(store) == ["noisy", "mine"]
    assert names(store, "other") == ["noisy"]
    with store.reading() as connection:
        assert connection.exec_driver_sql("select count(*) from saved_view where dataset = 'shop'").scalar() == 7


BROKEN: list[tuple[type[WinnowError], Callable[[Store], None]]] = [
    (SettingsError, lambda store: store.keep_view("shop", " ", "board", TEXT, annotator="ann")),
    (SettingsError, lambda store: store.keep_view("shop", "a", "board", TEXT, annotator=" ")),
    (SettingsError, lambda store: store.rename_view("shop", "kept", "", annotator="ann")),
    (NotFoundError, lambda store: store.rename_view("shop", "gone", "new", annotator="ann")),
    (NotFoundError, lambda store: store.delete_view("shop", "gone", annotator="ann")),
]


@pytest.mark.parametrize(("error", "act"), BROKEN)
def test_what_cannot_be_done_writes_nothing(store: Store, error: type[WinnowError], act: Callable[[Store], None]) -> None:
    store.keep_view("shop", "kept", "board", TEXT, annotator="ann")
    with pytest.raises(error):
        act(store)
    assert names(store) == ["kept"]


@given(
    st.lists(st.tuples(st.sampled_from(["keep", "replace", "rename", "delete"]), st.sampled_from("abc"), st.sampled_from("abc")))
)
def test_any_history_leaves_what_a_plain_dictionary_would(actions: list[tuple[str, str, str]]) -> None:
    store, expected = Store("sqlite://"), {}
    for step, (act, name, other) in enumerate(actions):
        try:
            if act == "rename":
                store.rename_view("shop", name, other, annotator="ann")
                expected[other] = expected.pop(name)
            elif act == "delete":
                store.delete_view("shop", name, annotator="ann")
                expected.pop(name)
            else:
                store.keep_view("shop", name, "board", str(step), annotator="ann", replace=act == "replace")
                assert act == "replace" or name not in expected
                expected[name] = str(step)
        except ConflictError:
            assert (other if act == "rename" else name) in expected
        except NotFoundError:
            assert name not in expected
    assert dict(store.views("shop")[["name", "filter"]].itertuples(index=False, name=None)) == expected
    store.close()


def test_a_database_from_before_them_is_brought_up_to_date(home: Home) -> None:
    older = [step for step in MIGRATIONS if step.__name__ != "m009_saved_views"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("core.store.database.MIGRATIONS", older)
        patch.setattr("core.store.migrations.MIGRATIONS", older)
        Store.open(home).close()
    store = Store.open(home)
    store.keep_view("shop", "a", "board", TEXT, annotator="ann")
    assert names(store) == ["a"]
