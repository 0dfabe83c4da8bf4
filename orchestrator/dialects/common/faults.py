"""How a vendor's API says no: a table from our errors to its words, and one place that makes answers of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeVar

import structlog
from starlette.responses import Response

from orchestrator.domain.errors import UnderstudyError

SERVER_ERROR = 500
"""This status and all above it: nothing that the caller did."""

T = TypeVar("T")

log = structlog.get_logger()


class Fault(Exception):
    """An answer that is no success, in the vendor's words, ready to be sent.

    Attributes:
        retry_after_s: when to ask again, where that is known.
    """

    def __init__(self, status: int, code: str, message: str, *, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.retry_after_s = retry_after_s


class NotAdmitted(Fault):
    """Whoever asks is not let in."""


class Words(NamedTuple):
    """What a vendor calls an error of ours.

    Attributes:
        text: stands before what we say of it; from status 500 on it is all that is said.
        retry_after_s: told where the error itself does not know better.
    """

    status: int
    code: str
    text: str = ""
    retry_after_s: int | None = None

    def fault(self, why: str, retry_after_s: int | None = None) -> Fault:
        """Args: why: a sentence of ours, with the facts of the case and without secrets."""
        said = self.text if self.status >= SERVER_ERROR else ": ".join(filter(None, (self.text, why)))
        return Fault(self.status, self.code, said, retry_after_s=retry_after_s or self.retry_after_s)


def row_of(table: Mapping[str, T], error: UnderstudyError) -> T:
    """The row of the error's code, or of the nearest class above it that has one. The table knows `error`."""
    codes = (getattr(cls, "code", "") for cls in type(error).__mro__)
    return next(table[code] for code in codes if code in table)


def fault_of(error: UnderstudyError, table: Mapping[str, Words]) -> Fault:
    """Our error in a vendor's words. The table knows `error`."""
    told = error.details.get("retry_after_s")
    return row_of(table, error).fault(error.message, told if isinstance(told, int) else None)


def guarded(
    work: Callable[[], Response], words: Callable[[UnderstudyError], Fault], say: Callable[[Fault], Response],
    bug: Fault, **logged: object,
) -> Response:  # fmt: skip
    """What `work` answers, or what the vendor says instead of it. Raises nothing.

    Args:
        words: puts an error of ours into the vendor's words.
        say: writes a fault.
        bug: what is said of an error that nobody foresaw; the log has the rest.
        logged: fields of the request for that line of the log.
    """
    try:
        return work()
    except Fault as fault:
        return say(fault)
    except UnderstudyError as exc:
        said = words(exc)
        if said.status >= SERVER_ERROR:
            log.warning("request not served", code=exc.code, message=exc.message)
        return say(said)
    except Exception:
        log.exception("request failed", **logged)
        return say(bug)


def shortened(text: str, limit: int) -> str:
    """At most `limit` characters; what is cut off leaves an ellipsis."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
