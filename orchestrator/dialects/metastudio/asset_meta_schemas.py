"""Metadata that an asset carries by its type. Only the structure of its type is kept."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from orchestrator.dialects.metastudio.wire import (
    Some32,
    Some64,
    Some128,
    Some256,
    Some512,
    Text32,
    Text128,
    Text2048,
    Wire,
)

VoiceLanguage = Literal[
    "UNKNOW", "CN", "EN", "GER", "fr", "Kr", "por", "JPN", "Ita", "ESP", "DBH", "GT", "GXH", "HBH", "SXH", "SCH", "YY",
    "Russian", "Filipino", "Dutch", "Indonesian", "Vietnamese", "Arabic", "Turkish", "Malay", "Thai", "Finnish",
]  # fmt: skip
_Side = Annotated[int, Field(ge=0, le=8196)]
_Seconds = Annotated[int, Field(ge=0, le=86400)]
_Rate = Annotated[float, Field(ge=0, le=50)]
_Ratio = Annotated[float, Field(ge=0, le=100)]
_Mode = Literal["Horizontal", "Vertical"]


class ErrorInfo(Wire):
    error_code: Some32 | None = None
    error_msg: Some256 | None = None


class VoiceCapability(Wire):
    is_support_phoneme_en: bool | None = None
    is_support_phoneme: bool | None = None
    is_support_break_time: bool | None = None
    is_support_break_strength: bool | None = None
    is_support_speed: bool | None = None
    is_support_prosody: bool | None = None
    is_support_ssml_say_as: bool | None = None
    is_support_ssml_sub: bool | None = None
    is_support_word: bool | None = None
    is_support_voice_cache: bool | None = None
    conversion_rate: _Rate | None = None
    conversion_rate_en: _Rate | None = None
    is_support_srt: bool | None = None


class ExternalVoiceMeta(Wire):
    provider: Literal["XIMALAYA", "HUAWEI_EI", "MOBVOI", "AUDIOX", "SINOVOICE", "DATABAKER", "AISPEECH"]


class VoiceModelMeta(Wire):
    order: Annotated[int, Field(ge=0, le=32767)] | None = None
    model_type: Literal["COMMON", "CLONE"] | None = None
    sex: Literal["UNKNOW", "MALE", "FEMALE"] | None = None
    language: VoiceLanguage | None = None
    languages: Annotated[list[VoiceLanguage], Field(max_length=50)] | None = None
    speed_ratio: _Ratio | None = None
    volume_ratio: _Ratio | None = None
    is_realtime_voice: bool | None = None
    style: Some32 | None = None
    voice_capability: VoiceCapability | None = None
    external_voice_meta: ExternalVoiceMeta | None = None
    is_support_vc_process: bool | None = None
    is_support_thai_auto_split: bool | None = None
    is_flexus: bool | None = None
    is_enhance_rhythm: bool | None = None
    age: Some64 | None = None


class PptPage(Wire):
    page_no: Annotated[int, Field(ge=1, le=256)] | None = None
    file_id: Some64 | None = None
    page_content: Text2048 | None = None


class PptMeta(Wire):
    auto_analysis: bool | None = None
    ppt_analysis_status: Literal["INITIALIZE", "WAITING", "CONVERTING", "FAILED", "SUCCEEDED", "CANCELED"] | None = None
    error_info: ErrorInfo | None = None
    page_count: Annotated[int, Field(ge=0, le=256)] | None = None
    pages: Annotated[list[PptPage], Field(max_length=256)] | None = None


class MaterialComponent(Wire):
    component_name: Some256
    component_type: Literal["CLOTHES", "PANTS", "SHOES", "HAIR", "EYELASH", "EYEBROW"]
    component_desc: Some512 | None = None


class MaterialMeta(Wire):
    components: Annotated[list[MaterialComponent], Field(max_length=100)] | None = None


class ActionTag(Wire):
    action_name_zh: Some128
    action_name_en: Some128
    action_duration: _Ratio | None = None
    catalog: Text128 | None = None
    file_name: Some256 | None = None
    tag: Some256 | None = None


class HumanModelMeta(Wire):
    is_action_editable: bool | None = None
    is_live_copy: bool | None = None
    is_real_background: bool | None = None
    support_live: bool | None = None
    model_version: Literal["V2", "V3", "V3_2", "V3_3"] | None = None
    model_resolution: Literal["1080P", "4K"] | None = None
    device_names: Annotated[list[Some64], Field(max_length=16)] | None = None
    is_with_action_library: bool | None = None
    action_tag_map: Annotated[list[ActionTag], Field(max_length=1000)] | None = None
    is_flexus: bool | None = None
    voice_asset_id: Some64 | None = None


class ImageMeta(Wire):
    codec: Text32 | None = None
    width: _Side | None = None
    height: _Side | None = None
    size: Annotated[int, Field(ge=0, le=9_223_372_036_854_775_807)] | None = None
    mode: _Mode | None = None
    frame_rate: Text32 | None = None
    duration: _Seconds | None = None
    error_info: ErrorInfo | None = None


class AudioMeta(Wire):
    duration: _Seconds | None = None
    audio_codec: Text32 | None = None
    audio_bit_rate: Annotated[int, Field(ge=0, le=16384)] | None = None
    audio_channels: Annotated[int, Field(ge=0, le=100)] | None = None
    sample: Annotated[int, Field(ge=0, le=100_000)] | None = None
    error_info: ErrorInfo | None = None


class VideoMeta(AudioMeta):
    video_codec: Text32 | None = None
    width: _Side | None = None
    height: _Side | None = None
    frame_rate: Text32 | None = None
    video_bit_rate: Annotated[int, Field(ge=0, le=104_857_600)] | None = None
    mode: _Mode | None = None
    video_transcoding_status: Literal["WAITING", "TRANSCODING", "FAILED", "SUCCEEDED"] | None = None


class AssetExtraMeta(Wire):
    voice_model_meta: VoiceModelMeta | None = None
    ppt_meta: PptMeta | None = None
    material_meta: MaterialMeta | None = None
    human_model_2d_meta: HumanModelMeta | None = None
    image_meta: ImageMeta | None = None
    video_meta: VideoMeta | None = None
    audio_meta: AudioMeta | None = None
