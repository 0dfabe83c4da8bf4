"""Which parts of a video are used: settings of admins in the vendor's structures, as far as they have its fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_ACTION_FIELDS: Final = ("action_start_time", "action_end_time", "action_type")
_RANGES: Final = {
    "traning_video_mark_info": {"train_range": ("video_start_time", "video_end_time")},
    "inference_data_process_video_mark_info": {
        "inference_range": ("video_start_time", "video_end_time"),
        "chat_inference_range": ("chat_video_start_time", "chat_video_end_time"),
    },
}
_EYES: Final = ("eye_correction_start_time", "eye_correction_end_time")
_GENERAL: Final = {"verify_video_matting_info": list, "worker_type": list, "voice_train_job_id": str}


def of(settings: Mapping[str, object]) -> dict[str, object]:
    """The mark infos that the settings of a job tell of.

    A range is set as {"start": "00:00:01.000", "end": ...} or as [start, end]; numbers are seconds.
    """
    found: dict[str, object] = {}
    for name, parts in _RANGES.items():
        info: dict[str, object] = {}
        for setting, (first, last) in parts.items():
            info |= _range(settings.get(setting), first, last)
        if info:
            found[name] = info
    actions = settings.get("action_times")
    if isinstance(actions, list):
        marked = [each for each in actions if isinstance(each, dict)]
        listed = [{name: str(each[name]) for name in _ACTION_FIELDS if name in each} for each in marked]
        found["inference_data_process_action_mark_info"] = {"action_info": listed}
    general = settings.get("general")
    if isinstance(general, dict):
        eyes = _range(general.get("eye_correction"), *_EYES)
        if eyes:
            found["inference_data_process_eye_correction_mark_info"] = eyes
        found |= {name: general[name] for name, kind in _GENERAL.items() if isinstance(general.get(name), kind)}
    return found


def _range(value: object, first: str, last: str) -> dict[str, object]:
    if isinstance(value, dict):
        pair = (value.get("start", value.get(first)), value.get("end", value.get(last)))
    elif isinstance(value, list) and len(value) == 2:  # noqa: PLR2004  start and end
        pair = (value[0], value[1])
    else:
        return {}
    return {name: shown for name, at in zip((first, last), pair, strict=True) if (shown := _clock(at)) is not None}


def _clock(at: object) -> str | None:
    """HH:MM:SS.mmm."""
    if isinstance(at, str):
        return at[:12]
    if isinstance(at, bool) or not isinstance(at, int | float) or not 0 <= at < 360_000:  # noqa: PLR2004  99 hours
        return None
    minutes, seconds = divmod(round(at * 1000) / 1000, 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours:02}:{minutes:02}:{seconds:06.3f}"
