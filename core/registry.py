"""One registry per family: a dictionary with a decorator and one error that lists the choices."""

from collections.abc import Callable
from typing import Generic, TypeVar

from core.errors import SettingsError

T = TypeVar("T")


class Registry(Generic[T]):
    """Named members of a family (`BACKBONES["lightgcn"]`). Pages, CLI and contract tests read `names()`."""

    def __init__(self, family: str) -> None:
        self.family = family
        self._members: dict[str, T] = {}

    def register(self, name: str) -> Callable[[T], T]:
        def add(member: T) -> T:
            if name in self._members:
                raise ValueError(f"two members of the {self.family} registry are named {name!r}")
            self._members[name] = member
            return member

        return add

    def __getitem__(self, name: str) -> T:
        if name not in self._members:
            raise SettingsError(f"There is no {self.family} named {name!r}.", f"Choose one of: {', '.join(self.names())}.")
        return self._members[name]

    def __contains__(self, name: object) -> bool:
        return name in self._members

    def names(self) -> list[str]:
        return sorted(self._members)
