"""What the operations on training jobs take."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from orchestrator.dialects.common.wire import NoNul, QueryBool
from orchestrator.dialects.ims.wire import Id, MediaId, Paged, Parameters

Name = Annotated[str, Field(min_length=1, max_length=7), NoNul]
Description = Annotated[str, Field(max_length=1000), NoNul]
ThumbnailUrl = Annotated[str, Field(max_length=512), NoNul]
Status = Literal["Init", "Queuing", "Training", "Success", "Fail"]
AvatarType = Literal["2DAvatar"]


class CreateJob(Parameters):
    avatar_name: Name
    avatar_description: Description = ""
    avatar_type: AvatarType = Field("2DAvatar", alias="AvatarType")
    portrait: MediaId | None = None
    video: MediaId | None = None
    thumbnail: ThumbnailUrl = ""
    transparent: QueryBool = False


class UpdateJob(Parameters):
    """What is absent stays as it is; an empty text empties the field."""

    may_be_empty: ClassVar[frozenset[str]] = frozenset({"avatar_name", "avatar_description", "thumbnail"})

    job_id: Id
    avatar_name: Name | None = None
    avatar_description: Description | None = None
    thumbnail: ThumbnailUrl | None = None
    portrait: MediaId | None = None
    video: MediaId | None = None
    transparent: QueryBool | None = None


class JobOnly(Parameters):
    job_id: Id


class ListJobs(Paged):
    status: Status | None = None
