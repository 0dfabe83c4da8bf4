"""How the readers say what is wrong with a file: a reason, raised where nothing more can be read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from orchestrator.domain.media import Reason

MIB = 1024 * 1024
_ENDING = frozenset({"container_truncated", "container_corrupt", "external_reference", "encrypted", "container_limits"})


class Unusable(Exception):
    """The file cannot be read on; carries the reason to tell."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.message)
        self.reason = reason


def finding(code: str, about: str, message: str, *, measured: object = None, allowed: object = None) -> Reason:
    return Reason(code, about, measured, allowed, "file", message)


def corrupt(where: str) -> Unusable:
    return Unusable(finding("container_corrupt", "container", f"The header cannot be read ({where}).", measured=where))


def over_limit(what: str, count: int, limit: int) -> Unusable:
    message = f"The header asks for {count} {what}; the limit is {limit}."
    return Unusable(finding("container_limits", what, message, measured=count, allowed=limit))


def truncated(have: int, need: int) -> Reason:
    message = f"The file ends early: {have} of {need} bytes. Upload it again."
    return finding("container_truncated", "size_bytes", message, measured=have, allowed=need)


@dataclass(slots=True)
class Report:
    """What one reader found: facts by the names of MediaFacts, problems and oddities."""

    facts: dict[str, Any] = field(default_factory=dict)
    problems: list[Reason] = field(default_factory=list)
    notes: list[Reason] = field(default_factory=list)

    def note(self, code: str, about: str, message: str, *, measured: object = None) -> None:
        if all(each.code != code for each in self.notes):
            self.notes.append(finding(code, about, message, measured=measured))

    def problem(self, reason: Reason) -> None:
        if all(each.code != reason.code for each in self.problems):
            self.problems.append(reason)

    @property
    def problems_end_it(self) -> bool:
        """A decoder must not, or need not, see the file any more."""
        return any(each.code in _ENDING for each in self.problems)
