"""Requests of the training group. Limits are the vendor's."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from orchestrator.dialects.metastudio.wire import Id, Limit, Offset, QueryBool, Text, Time, Wire, text

Service = Literal["VIDEO_2D", "LIVE_2D", "CHAT_2D"]
CommandMessage = Literal["UPDATE_VIDEO", "UPLOAD_VIDEO", "CONFIRM_ACTION_VIDEO", "GET_ACTION_VIDEO_MULTIPART"]
Parts = Annotated[int, Field(ge=1, le=1000)]
Label = text(256)
Tags = Annotated[list[Label], Field(max_length=100)]
ModelVersion = Literal["V2", "V3", "V3.2", "V3.3"]
AudioSource = Literal["VIDEO", "AUDIO"]
Services = Annotated[list[Service], Field(max_length=16)]


class VoiceProperties(Wire):
    job_tag: Literal["ECOMMERCE", "NEWS", "MARKETING"]
    sex: Literal["FEMALE", "MALE"]
    language: Literal["CN", "EN"]


class ActionSample(Wire):
    action_name_zh: text(1028, 1) | None = None
    action_name_en: text(1028, 1) | None = None
    action_tag: text(128, 1)
    catalog: text(128, 1) | None = None
    recommended_value: Annotated[int, Field(ge=0, le=100)] | None = None
    is_selected: bool = True


class _Job(Wire):
    """What create and update have in common. What is not sent stays None, and unchanged."""

    contact: text(64) | None = None
    command_message: CommandMessage | None = None
    video_multipart_count: Parts | None = None
    action_video_multipart_count: Parts | None = None
    is_background_replacement: bool | None = None
    batch_name: text(256, 1) | None = None
    tags: Tags | None = None
    is_fast_flexus: bool | None = None
    voice_properties: VoiceProperties | None = None
    supported_service: Services | None = None
    audio_source_type: AudioSource | None = None


class CreateJob(_Job):
    name: text(256, 1)
    model_version: ModelVersion | None = None
    is_ondemand_resource: bool | None = None
    is_flexus: bool | None = None
    is_live_copy: bool | None = None
    is_only_human_model: bool | None = None


class UpdateJob(_Job):
    name: text(256, 1) | None = None
    samples_basic_info: Annotated[list[ActionSample], Field(max_length=1000)] | None = None


class CommentData(Wire):
    comment_title: text(2048) | None = None
    comment_message: text(2048) | None = None
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
    operation_reason: text(2048) | None = None


class ListJobs(Wire):
    offset: Offset = 0
    limit: Limit = 10
    state: text(1024) = ""
    sort_key: Literal["create_time", "update_time", "asset_order"] = "create_time"
    sort_dir: Literal["asc", "desc"] = "asc"
    create_until: Time = ""
    create_since: Time = ""
    query_project_id: text(256) = ""
    update_since: Time = ""
    update_until: Time = ""
    batch_name: text(256) = ""
    tag: text(256) = ""
    job_id: text(64) = ""
    name: text(256) = ""
    model_resolution: text(256) = ""
    is_flexus: QueryBool | None = None
    is_live_copy: QueryBool | None = None
    train_location: text(256) = ""
    is_ondemand_resource: QueryBool | None = None


class EncryptedFile(Wire):
    tenant_id: Id
    job_id: Id
    once_token: text(64, 64)
