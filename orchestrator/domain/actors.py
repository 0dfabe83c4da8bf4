"""Who acts on a job, and with what role a caller comes in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from orchestrator.domain.errors import Forbidden


class Actor(StrEnum):
    USER = "user"
    ADMIN = "admin"
    SYSTEM = "system"


class Role(StrEnum):
    """What a key may do. Each role may do what the ones before it may, in all projects from REVIEWER on."""

    USER = "user"
    REVIEWER = "reviewer"
    ADMIN = "admin"
    OPERATOR = "operator"


_RANKS = {role: rank for rank, role in enumerate(Role)}


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, as the verified key says.

    Attributes:
        project_id: the only project a USER may see. People above USER see all projects.
        name: shown in the operation log; the key's own name, never a secret.
        key_id: of the key that it came with; empty for what runs beside the API.
        app_user_id: the caller's own user behind a shared key (MetaStudio's X-App-UserId), if told.
        of_people: the key is one of people, whatever it acts as here.
    """

    project_id: str
    role: Role
    name: str
    app_user_id: str | None = None
    key_id: str = ""
    of_people: bool = False

    def as_user(self, app_user_id: str | None) -> Caller:
        """The same as a user of its own project, for APIs that are the owners' side only."""
        return replace(self, role=Role.USER, app_user_id=app_user_id, of_people=self.speaks_for_the_system)

    @property
    def speaks_for_the_system(self) -> bool:
        """May ask for other projects' jobs by name, share with everybody, and set what is the system's own."""
        return self.of_people or self.sees_all_projects

    def has(self, role: Role) -> bool:
        """Whether its role is this one, or one that may do more."""
        return _RANKS[self.role] >= _RANKS[role]

    def require(self, role: Role, what: str) -> None:
        """Raises Forbidden, with `what` was asked for, unless it has the role."""
        if not self.has(role):
            raise Forbidden(f"{what} needs the role {role}, this key has {self.role}")

    @property
    def sees_all_projects(self) -> bool:
        return self.has(Role.REVIEWER)

    @property
    def scope(self) -> str | None:
        """The only project whose rows it may see; None: all of them."""
        return None if self.sees_all_projects else self.project_id

    def may_see(self, project_id: str) -> bool:
        return self.sees_all_projects or project_id == self.project_id


MACHINE = Caller("", Role.OPERATOR, "understudy")
"""Whom logs name for what nobody asked for."""
