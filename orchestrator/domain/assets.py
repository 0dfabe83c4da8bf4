"""What a finished job leaves behind: the avatar model and its files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class AssetState(StrEnum):
    """MetaStudio's words: `unactived` is up but not in use, `deleting` is in the recycle bin."""

    CREATING = "creating"
    FAILED = "failed"
    UNACTIVED = "unactived"
    ACTIVED = "actived"
    DELETING = "deleting"
    DELETED = "deleted"
    BLOCK = "block"
    WAITING_DELETE = "waiting_delete"


@dataclass(frozen=True, slots=True)
class Asset:
    """One asset. `type` is HUMAN_MODEL_2D for what a training job publishes."""

    id: str
    project_id: str
    job_id: str | None
    type: str
    state: AssetState
    name: str
    description: str
    attributes: Mapping[str, object]
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class AssetFile:
    """A file of an asset; `category` is MAIN for the model, COVER for the thumbnail, OTHER for the rest."""

    id: str
    category: str
    name: str
    key: str
    content_type: str
    size_bytes: int
    sha256: str | None
