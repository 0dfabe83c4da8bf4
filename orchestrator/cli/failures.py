"""What the command line ends with: exit codes, and the one error that carries one."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Documented in `understudy --help` and in the README; scripts rely on them."""

    OK = 0
    REFUSED = 1  # the system said no, a job failed, a check found something
    USAGE = 2
    UNREACHABLE = 3
    FORBIDDEN = 4
    NOT_FOUND = 5
    TIMEOUT = 6
    INTERRUPTED = 130  # as shells say it: 128 + SIGINT


EXIT_WORDS = {
    Exit.OK: "done",
    Exit.REFUSED: "refused, or the job failed, or a check found something wrong",
    Exit.USAGE: "wrong arguments, or a request that makes no sense",
    Exit.UNREACHABLE: "the API or something behind it does not answer",
    Exit.FORBIDDEN: "no token, a wrong one, or one whose role is not enough",
    Exit.NOT_FOUND: "there is no such job, file, profile or key",
    Exit.TIMEOUT: "waited as long as --timeout says",
    Exit.INTERRUPTED: "Ctrl-C",
}


class CliError(Exception):
    """An expected failure: one line on standard error, and an exit code.

    Attributes:
        hint: what to do about it, shown behind the message.
    """

    def __init__(self, message: str, exit_code: Exit = Exit.REFUSED, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.exit_code = exit_code
        self.hint = hint

    def __str__(self) -> str:
        said = self.message.strip().rstrip(".")
        return f"{said}. {self.hint}" if self.hint else said


_BY_CODE = {
    "not_found": Exit.NOT_FOUND,
    "unauthenticated": Exit.FORBIDDEN,
    "forbidden": Exit.FORBIDDEN,
    "invalid": Exit.USAGE,
    "bad_settings": Exit.USAGE,
    "unavailable": Exit.UNREACHABLE,
    "storage_unavailable": Exit.UNREACHABLE,
    "trainer_unavailable": Exit.UNREACHABLE,
    "database_unavailable": Exit.UNREACHABLE,
}


def exit_of(code: str) -> Exit:
    """The exit code for a public error code of the core."""
    return _BY_CODE.get(code, Exit.REFUSED)
