"""The vendor's words: derived from ours, with its spelling mistakes, which clients match on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from orchestrator.domain.commands import Command
from orchestrator.domain.log_types import LOG_TYPES, LogType
from orchestrator.domain.model import CommentType, FileKind, LogEntry
from orchestrator.domain.states import JobState

STATE_NAMES: Final[Mapping[JobState, str]] = {state: state.value.upper() for state in JobState} | {
    JobState.MANUAL_STOP_ACTION_MARK: "MANUL_STOP_ACTION_MARK",
    JobState.BEAUTY_FACE_PROCESSING: "BEAUTYFACE_ROCESSING",
    JobState.BEAUTY_FACE_SUCCESS: "BEAUTYFACE_SUCCESS",
    JobState.BEAUTY_FACE_FAILED: "BEAUTYFACE_FAILED",
}
STATES_BY_NAME: Final = {name: state for state, name in STATE_NAMES.items()}

LOG_NAMES: Final[Mapping[LogType, str]] = {kind: kind.value.upper() for kind in LogType} | {
    LogType.USER_CREATE_JOB: "USER_CREATE_JOD",
    LogType.MANUAL_STOP_ACTION_MARK: "MANUL_STOP_ACTION_MARK",
}

COMMENT_NAMES: Final[Mapping[CommentType, str]] = {kind: kind.value.upper() for kind in CommentType}

# Codes of automatic rejections that are public; ours are shown as they are.
ERROR_CODES: Final[Mapping[str, str]] = {"resolution_not_allowed": "44005901"}

# Up to which resolution a model renders, by whether its video is wider than full HD.
RESOLUTIONS: Final[Mapping[bool, str]] = {False: "1080P", True: "4K"}

# The ends of the vendor's object names, by kind of file.
FILE_NAMES: Final[Mapping[FileKind, str]] = {
    FileKind.TRAINING_VIDEO: "trainingVideo",
    FileKind.ACTION_VIDEO: "actionVideo",
    FileKind.COVER: "cover",
    FileKind.ID_CARD_FRONT: "idCardImage1",
    FileKind.ID_CARD_BACK: "idCardImage2",
    FileKind.AUTHORIZATION_LETTER: "grantFile",
    FileKind.AUDIO: "audio",
}

# Commands that are one question to the table.
PLAIN_COMMANDS: Final[Mapping[str, Command]] = {
    "CONFIRM_REPAIR": Command.REPAIR,
    "CONFIRM_PENDING": Command.SUSPEND,
    "CONFIRM_ACTIVE": Command.RESUME,
}
ANSWERS: Final[Mapping[str, Command]] = {
    "CONFIRM_ACCEPT": Command.ACCEPT_RESULT,
    "CONFIRM_REJECT": Command.REJECT_RESULT,
    "CONFIRM_ANSWER": Command.ANSWER,
}


def operator_name(kind: LogType) -> str:
    """USER, ADMIN or SYSTEM: who the line is of, which for lines of one move may differ from who moved."""
    return LOG_TYPES[kind].operator.value.upper()


def is_shown(entry: LogEntry) -> bool:
    """Lines without a word are ours alone."""
    return entry.log_type is not None
