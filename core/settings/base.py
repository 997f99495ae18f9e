"""What all settings have in common: checked, frozen, comparable, and marked by who reads them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    ValidationError,
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
