"""Why a run ended: from exit code and last words to a failure class."""

from __future__ import annotations

import errno
import os
import signal
from typing import Final

from orchestrator.domain.retry import FailureClass

EX_OK: Final = os.EX_OK
EX_DATAERR: Final = 65  # sysexits.h: the input was wrong
EX_TEMPFAIL: Final = 75  # sysexits.h: try again
SHELL_KILLED: Final = 128 + signal.SIGKILL  # how a shell passes on the death of its child

_NO_SPACE: Final = os.strerror(errno.ENOSPC)
# PyTorch's and JAX's words for an exhausted accelerator; Python's own MemoryError ends a process with code 1.
_MEMORY_WORDS: Final = ("MemoryError", "CUDA out of memory", "OutOfMemoryError", "RESOURCE_EXHAUSTED: Out of memory")


class StageFailed(Exception):
    """The run ends here, and this is why."""

    def __init__(self, failure: FailureClass, message: str, exit_code: int | None = None) -> None:
        super().__init__(message)
        self.failure = failure
        self.message = message
        self.exit_code = exit_code


def classify(exit_code: int, last_words: str) -> FailureClass:
    """The class of a stage command that ended by itself with an exit code other than 0.

    Args:
        exit_code: as subprocess tells it: negative for a signal.
        last_words: the end of its standard error.
    """
    if exit_code == EX_DATAERR:
        return FailureClass.DATA
    if exit_code == EX_TEMPFAIL:
        return FailureClass.INFRASTRUCTURE
    if exit_code in {-signal.SIGKILL, SHELL_KILLED}:  # nobody of ours sent it: so the kernel takes memory back
        return FailureClass.OUT_OF_MEMORY
    if any(word in last_words for word in _MEMORY_WORDS):
        return FailureClass.OUT_OF_MEMORY
    if _NO_SPACE in last_words:
        return FailureClass.INFRASTRUCTURE
    return FailureClass.CODE


def describe(exit_code: int, last_words: str) -> str:
    """One line for people: how it ended and the last thing it wrote."""
    if exit_code < 0:
        try:
            how = f"killed by {signal.Signals(-exit_code).name}"
        except ValueError:
            how = f"killed by signal {-exit_code}"
    else:
        how = f"exit code {exit_code}"
    lines = [line.strip() for line in last_words.splitlines() if line.strip()]
    return f"{how}: {lines[-1][:300]}" if lines else how
