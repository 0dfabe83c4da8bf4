"""What is kept of acts on projects, keys, secrets and sweeps. Acts on jobs are in the operation log of the job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Act(StrEnum):
    CREATE_PROJECT = "create_project"
    CREATE_KEY = "create_key"
    REPLACE_KEY = "replace_key"
    DISABLE_KEY = "disable_key"
    RESEAL_SECRETS = "reseal_secrets"
    RUN_SWEEP = "run_sweep"


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One act.

    Attributes:
        id: rises with time.
        key_id: of the key it was asked with; empty for the command line.
        operator: the name of that key, or who ran the command line; never a secret.
        subject: the id of what it was done to.
    """

    id: int
    at: datetime
    key_id: str
    operator: str
    act: Act
    subject: str
    details: Mapping[str, object] = field(default_factory=dict)
