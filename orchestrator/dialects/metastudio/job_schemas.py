"""Requests of the training group. Limits are the vendor's."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from orchestrator.dialects.common.wire import QueryBool, Text
from orchestrator.dialects.metastudio.wire import (
    Exactly64,
    Id,
    Limit,
    Offset,
    Some128,
    Some256,
    Some1028,
    Text64,
    Text256,
    Text1024,
    Text2048,
    Time,
    Wire,
)

Service = Literal["VIDEO_2D", "LIVE_2D", "CHAT_2D"]
CommandMessage = Literal["UPDATE_VIDEO", "UPLOAD_VIDEO", "CONFIRM_ACTION_VIDEO", "GET_ACTION_VIDEO_MULTIPART"]
Parts = Annotated[int, Field(ge=1, le=1000)]
Label = Text256
Tags = Annotated[list[Label], Field(max_length=100)]
ModelVersion = Literal["V2", "V3", "V3.2", "V3.3"]
AudioSource = Literal["VIDEO", "AUDIO"]
Services = Annotated[list[Service], Field(max_length=16)]


class VoiceProperties(Wire):
    job_tag: Literal["ECOMMERCE", "NEWS", "MARKETING"]
    sex: Literal["FEMALE", "MALE"]
    language: Literal["CN", "EN"]


class ActionSample(Wire):
    action_name_zh: Some1028 | None = None
    action_name_en: Some1028 | None = None
    action_tag: Some128
    catalog: Some128 | None = None
    recommended_value: Annotated[int, Field(ge=0, le=100)] | None = None
    is_selected: bool | None = True


class _Job(Wire):
    """What create and update have in common. What is not sent stays None, and unchanged."""

    contact: Text64 | None = None
    command_message: CommandMessage | None = None
    video_multipart_count: Parts | None = None
    action_video_multipart_count: Parts | None = None
    is_background_replacement: bool | None = None
    batch_name: Some256 | None = None
    tags: Tags | None = None
    is_fast_flexus: bool | None = None
    voice_properties: VoiceProperties | None = None
    supported_service: Services | None = None
    audio_source_type: AudioSource | None = None


class CreateJob(_Job):
    name: Some256
    model_version: ModelVersion | None = None
    is_ondemand_resource: bool | None = None
    is_flexus: bool | None = None
    is_live_copy: bool | None = None
    is_only_human_model: bool | None = None


class UpdateJob(_Job):
    name: Some256 | None = None
    samples_basic_info: Annotated[list[ActionSample], Field(max_length=1000)] | None = None


class CommentData(Wire):
    comment_title: Text2048 | None = None
    comment_message: Text2048 | None = None
    attachment_name: list[Text] | None = None


class CommandRequest(Wire):
    command: Literal[
        "SUBMITVERIFYING", "GET_MULTIPART_UPLOADED", "CONFIRM_MULTIPART_UPLOADED",
        "GET_ACTION_VIDEO_MULTIPART_UPLOADED", "CONFIRM_ACTION_VIDEO_MULTIPART_UPLOADED",
        "CONFIRM_AUTHORIZATION_LETTER", "CONFIRM_REPAIR", "DELETE_JOB_VIDEO", "CONFIRM_ACCEPT", "CONFIRM_REJECT",
        "CONFIRM_ANSWER", "CONFIRM_PENDING", "CONFIRM_ACTIVE",
    ]  # fmt: skip
    command_message: CommandMessage | None = None
    comment_data: CommentData | None = None
    operation_reason: Text2048 | None = None


class ListJobs(Wire):
    offset: Offset = 0
    limit: Limit = 10
    state: Text1024 = ""
    sort_key: Literal["create_time", "update_time", "asset_order"] = "create_time"
    sort_dir: Literal["asc", "desc"] = "asc"
    create_until: Time = ""
    create_since: Time = ""
    query_project_id: Text256 = ""
    update_since: Time = ""
    update_until: Time = ""
    batch_name: Text256 = ""
    tag: Text256 = ""
    job_id: Text64 = ""
    name: Text256 = ""
    model_resolution: Text256 = ""
    is_flexus: QueryBool | None = None
    is_live_copy: QueryBool | None = None
    train_location: Text256 = ""
    is_ondemand_resource: QueryBool | None = None


class EncryptedFile(Wire):
    tenant_id: Id
    job_id: Id
    once_token: Exactly64
