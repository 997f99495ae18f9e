"""A form from any settings model: names, bounds, choices and explanations come from it, so new settings show by themselves."""

import types
from collections.abc import Iterable, Mapping
from typing import Any, Literal, Union, get_args, get_origin

import annotated_types
import streamlit as st
from pydantic.fields import FieldInfo

from app import words
from core.encoders import ENCODERS
from core.settings import Settings, Unset, marked, unread

_NONE = "\0"  # a select box takes None for "nothing chosen yet", so None as a choice needs another form

CHOOSING = {"denoiser", "judge", "encoder"}
"""Settings that decide which others are read."""

Choices = Mapping[str, Mapping[Any, str]]
"""{field: {value: how it is shown}} for fields whose possible values are only known at work (runs, label versions, judges)."""


def settings_form(
    model: type[Settings], prefix: str, first: Iterable[str], *, choices: Choices | None = None, hidden: Iterable[str] = ()
) -> dict[str, Any]:
    """Fields in `first` in that order, all others folded away; returns every value. Widget keys are `<prefix>_<field>`.

    What nobody reads, with the denoiser, judge and text encoder that are chosen, is hidden, too.
    """
    chosen = {
        name: st.session_state.get(f"{prefix}_{name}", model.model_fields[name].default)
        for name in CHOOSING & {*model.model_fields}
    }
    hidden = {*hidden, *unread(model, chosen)}
    choices = {"encoder": {name: name for name in ("auto", *ENCODERS.names())}, **(choices or {})}
    hidden |= {name for name, field in model.model_fields.items() if get_origin(_kind(field)[0]) is tuple}  # lists are no field's
    first = [name for name in first if name in model.model_fields and name not in hidden]
    rest = [name for name in model.model_fields if name not in {*first, *hidden}]
    with st.grid(columns="auto", min_column_width=220):
        values = {name: _field(model, name, prefix, choices) for name in first}
    if rest:
        with (
            st.expander("More settings", icon=":material/tune:", key=f"{prefix}_more"),
            st.grid(columns=2, min_column_width=160),
        ):
            values |= {name: _field(model, name, prefix, choices) for name in rest}
    return values


def fill(model: type[Settings], prefix: str, values: Mapping[str, Any]) -> None:
    """Set all widgets of a form: to `values` where given, else to the defaults (a preset was picked)."""
    for name, field in model.model_fields.items():
        st.session_state[f"{prefix}_{name}"] = _initial(field, values.get(name, field.default))


def _initial(field: FieldInfo, value: Any) -> Any:
    """A text widget knows no None; its empty text means the same."""
    return "" if value is None and _kind(field)[0] is str else value


def _field(model: type[Settings], name: str, prefix: str, choices: Choices) -> Any:
    field = model.model_fields[name]
    key = f"{prefix}_{name}"
    label = field.title or name.replace("_", " ").capitalize()
    kind, optional = _kind(field)
    known = choices.get(name) or ({option: str(option) for option in get_args(kind)} if get_origin(kind) is Literal else None)
    value = st.session_state.setdefault(key, field.default if known else _initial(field, field.default))
    common: dict[str, Any] = {"key": key, "help": field.description, "persist_state": "session"}
    if known:
        shown = words.told_apart({_NONE if option is None else option: label for option, label in known.items()})
        if value not in shown:
            st.session_state[key] = _NONE if value in (None, "") and _NONE in shown else next(iter(shown))
        chosen = st.selectbox(label, list(shown), format_func=shown.__getitem__, **common)
        return None if chosen == _NONE else chosen
    if kind is bool:
        return st.toggle(label, **common)
    if kind in (int, float):
        return _number(label, kind, field, optional, common)
    text = st.text_input(label, **common).strip()
    return text or (None if optional else field.default)


def _number(label: str, kind: type, field: FieldInfo, optional: bool, common: dict[str, Any]) -> Any:
    low, high = _bounds(field, kind)
    default = field.default or 0
    step = 1 if kind is int else _step(float(default))
    unset = marked(field, Unset)
    extra: dict[str, Any] = {"value": None, "placeholder": unset.word if unset else "none"} if optional else {}
    form = {"format": "%g"} if kind is float else {}
    return st.number_input(label, min_value=low, max_value=high, step=step, **form, **extra, **common)


def _kind(field: FieldInfo) -> tuple[Any, bool]:
    """The type without None, and whether None is allowed."""
    if get_origin(field.annotation) in (Union, types.UnionType):
        kinds = [part for part in get_args(field.annotation) if part is not type(None)]
        return kinds[0], len(kinds) < len(get_args(field.annotation))
    return field.annotation, False


def _bounds(field: FieldInfo, kind: type) -> tuple[Any, Any]:
    """Inclusive bounds as the number widget wants them; open ones are moved by one part in 10^9."""
    low = high = None
    for part in field.metadata:
        match part:
            case annotated_types.Ge(ge=value):
                low = kind(value)
            case annotated_types.Gt(gt=value):
                low = kind(value + 1) if kind is int else float(value) + 1e-9
            case annotated_types.Le(le=value):
                high = kind(value)
            case annotated_types.Lt(lt=value):
                high = kind(value - 1) if kind is int else float(value) - 1e-9
    return low, high


def _step(value: float) -> float:
    """One tenth of the value's power of ten: .005 goes by .0001, 120 by 10."""
    return 10.0 ** (int(f"{value:e}".partition("e")[2]) - 1) if value else 0.01
