"""Assets as the vendor shows them. What is not known is left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from orchestrator.app.app import App
from orchestrator.dialects.common.wire import time_text
from orchestrator.dialects.metastudio.wire import filled
from orchestrator.dialects.metastudio.words import RESOLUTIONS
from orchestrator.domain.assets import MAIN, Asset, AssetFile

# Which structure of the metadata a type has.
META_OF: Final[Mapping[str, str]] = {
    "VOICE_MODEL": "voice_model_meta", "PPT": "ppt_meta", "MATERIAL": "material_meta",
    "HUMAN_MODEL_2D": "human_model_2d_meta", "IMAGE": "image_meta", "VIDEO": "video_meta", "AUDIO": "audio_meta",
    "MUSIC": "audio_meta",
}  # fmt: skip
_KEPT: Final = (
    "fail_type", "block_reason_code", "reason", "system_properties", "supported_service", "auto_operation_config",
)  # fmt: skip
_UNREADABLE: Final = "MSS.10000003"
_MESSAGE_LIMIT: Final = 256


def info(app: App, asset: Asset, files: Sequence[AssetFile]) -> dict[str, object]:
    """An item of the list, and the whole of show and update."""
    kept = {name: asset.attributes.get(name) for name in _KEPT}
    return filled(
        project_id=asset.project_id, asset_id=asset.id, asset_name=asset.name, asset_description=asset.description,
        app_user_id=asset.app_user_id, create_time=time_text(asset.created_at), update_time=time_text(asset.updated_at),
        asset_type=asset.type, asset_state=asset.state.value.upper(), tags=list(asset.tags),
        asset_extra_meta=_meta(asset, files), files=[_file(app, asset, file) for file in files],
        asset_order=asset.asset_order, **kept,
    )  # fmt: skip


def summary(app: App, asset: Asset, files: Sequence[AssetFile]) -> dict[str, object]:
    url = app.library.cover(asset, files)
    return filled(
        asset_id=asset.id, asset_name=asset.name, asset_state=asset.state.value.upper(), asset_type=asset.type,
        block_reason_code=asset.attributes.get("block_reason_code"), cover_url=url, thumbnail_url=url,
    )  # fmt: skip


def _file(app: App, asset: Asset, file: AssetFile) -> dict[str, object]:
    return filled(
        file_id=file.id, file_name=file.name, file_md5=file.md5, file_size=file.size_bytes or None,
        file_type=file.file_type or file.name.rpartition(".")[2][:64], asset_file_category=file.category,
        download_url=app.library.download(asset, file),
        state=file.state.value.upper(), reason=file.reason or None,
    )  # fmt: skip


def _meta(asset: Asset, files: Sequence[AssetFile]) -> dict[str, object] | None:
    """What its owner told, and over it what the probe found in the main file."""
    name = META_OF.get(asset.type)
    told = asset.attributes.get("asset_extra_meta")
    structure = dict(told.get(name) or {}) if isinstance(told, dict) and name else {}
    main = next((file for file in files if file.category == MAIN and file.facts), None)
    if main is not None and name in _MEASURED:
        structure |= _MEASURED[name](main)
    if asset.job_id is not None:
        structure["model_resolution"] = RESOLUTIONS[asset.attributes.get("wide") is True]
    return {name: structure} if name and structure else None


def _image(file: AssetFile) -> dict[str, object]:
    facts = file.facts
    return filled(codec=facts.get("container"), size=file.size_bytes, **_picture(facts), **_error(facts))


def _video(file: AssetFile) -> dict[str, object]:
    facts = file.facts
    return filled(
        video_codec=facts.get("video_codec"), video_bit_rate=_kilobits(facts.get("video_bit_rate")),
        frame_rate=_text(facts.get("fps")), **_picture(facts), **_sound(facts), **_error(facts),
    )  # fmt: skip


def _audio(file: AssetFile) -> dict[str, object]:
    return filled(**_sound(file.facts), **_error(file.facts))


_MEASURED: Final = {"image_meta": _image, "video_meta": _video, "audio_meta": _audio}


def _picture(facts: Mapping[str, object]) -> dict[str, object]:
    display = facts.get("display")
    if not isinstance(display, list) or len(display) != 2:  # noqa: PLR2004  width and height
        return {}
    width, height = display
    return {"width": width, "height": height, "mode": "Horizontal" if width >= height else "Vertical"}


def _sound(facts: Mapping[str, object]) -> dict[str, object]:
    duration = facts.get("duration_s", facts.get("audio_duration_s"))
    return filled(
        duration=round(duration) if isinstance(duration, int | float) else None,
        audio_codec=facts.get("audio_codec"), audio_bit_rate=_kilobits(facts.get("audio_bit_rate")),
        audio_channels=facts.get("channels"), sample=facts.get("sample_rate_hz"),
    )  # fmt: skip


def _kilobits(rate: object) -> int | None:
    return round(rate / 1000) if isinstance(rate, int | float) else None


def _text(number: object) -> str | None:
    return f"{number:g}" if isinstance(number, int | float) else None


def _error(facts: Mapping[str, object]) -> dict[str, object]:
    reasons = facts.get("reasons")
    if not isinstance(reasons, list) or not reasons:
        return {}
    return {"error_info": {"error_code": _UNREADABLE, "error_msg": " ".join(map(str, reasons))[:_MESSAGE_LIMIT]}}
