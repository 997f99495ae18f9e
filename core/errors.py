"""Every error that Winnow raises on purpose: a sentence that says what and where, and a hint that says what to do."""


class WinnowError(Exception):
    """Base of all expected errors. The CLI prints it as `error` and `hint` and exits with 1; the app shows both as text."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class SettingsError(WinnowError):
    """A setting that cannot work: unknown name, bound broken, two settings that contradict each other."""


class DatasetError(WinnowError):
    """A file or a folder that cannot become a dataset. Nothing has been written when it is raised."""


class NotFoundError(WinnowError):
    """A dataset, run, label version or pair that does not exist here."""


class RunError(WinnowError):
    """A run that cannot start, go on or be read."""


class ConflictError(WinnowError):
    """Somebody else changed the same thing first; both versions are kept, a person must choose."""


class StoreError(WinnowError):
    """The database refused: disk full, locked for too long, or made by a newer Winnow."""


class JudgeError(WinnowError):
    """Base of what asking a model may raise; the five classes below are the five retry policies (core.judges.runner)."""


class Busy(JudgeError):
    """The server says later (429, 503). Costs no attempt."""

    def __init__(self, message: str, hint: str = "", wait_s: float | None = None) -> None:
        super().__init__(message, hint)
        self.wait_s = wait_s  # that the server asks for


class Transient(JudgeError):
    """The connection, the server process or a proxy failed; the same request may work again."""


class BadAnswer(JudgeError):
    """The server answered, but not with what it was asked for."""


class Refused(JudgeError):
    """This request can never work as it is (too long)."""


class Fatal(JudgeError):
    """No request can work until a person changes something (model missing, no permission)."""
