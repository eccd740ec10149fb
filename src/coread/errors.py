"""Every error that CoRead raises on purpose.

Five kinds, told apart by whose move it is: the caller's (`InputError`), the file's (`DataError`), nobody's
(`AnalysisError`), the other side's (`TransportError`) and the installation's (`MissingExtraError`).
An error says what came, what was expected and what to do.
"""

from __future__ import annotations


class CoreadError(Exception):
    """Anything that CoRead raises on purpose.

    Args:
        came: What came, or the whole message.
        expected: What was expected.
        todo: What to do.
    """

    def __init__(self, came: str, expected: str = "", todo: str = "") -> None:
        super().__init__(came, expected, todo)  # all arguments, or it can't come back from a worker
        self.came = came
        self.expected = expected
        self.todo = todo

    def __str__(self) -> str:
        return "; ".join(part for part in (self.came, self.expected, self.todo) if part)


class InputError(CoreadError, ValueError):
    """The caller gave something that cannot be used."""


class GeometryError(InputError):
    """Arrays and the grid they should lie on do not fit."""


class ReadingError(InputError):
    """A step of a reading was asked for that its state does not allow."""


class NotReadyError(ReadingError):
    """What is asked for is still being made; the same request succeeds later."""


class DataError(CoreadError):
    """A file or a message cannot be used as it is."""


class AnalysisError(CoreadError):
    """No answer is possible."""


class NotApplicableError(AnalysisError):
    """The study is not of the kind that the analysis is for."""


class CancelledError(CoreadError):
    """The work was cancelled; it can be taken up again."""


class TransportError(CoreadError):
    """The other side failed: a network peer, a database, a disk."""


class MissingExtraError(CoreadError, ImportError):
    """An optional dependency is not installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"{package} is missing", "", f"`pip install 'coread[{extra}]'` brings it")
        self.package = package
        self.extra = extra

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.package, self.extra)
