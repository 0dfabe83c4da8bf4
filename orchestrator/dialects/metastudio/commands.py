"""The 13 commands. A refused command is an answer here, not an error."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from orchestrator.app.app import App
from orchestrator.dialects.common.faults import shortened
from orchestrator.dialects.metastudio.errors import TRAINING
from orchestrator.dialects.metastudio.job_schemas import CommandRequest, CommentData
from orchestrator.dialects.metastudio.operation import Asked
from orchestrator.dialects.metastudio.words import ANSWERS, PLAIN_COMMANDS
from orchestrator.domain.commands import Command
from orchestrator.domain.errors import Forbidden, Refused, UploadError
from orchestrator.domain.model import CommentType, FileKind

_MESSAGE_LIMIT: Final = 2048
_VIDEOS: Final = frozenset({FileKind.TRAINING_VIDEO, FileKind.ACTION_VIDEO})

Executed = Callable[[App, Asked, CommandRequest], "dict[str, object]"]


def execute(app: App, asked: Asked) -> Mapping[str, object]:
    request = asked.read(CommandRequest)
    try:
        return {"commond_result": "EXCUTE_SUCCESS"} | _COMMANDS[request.command](app, asked, request)
    except (Refused, UploadError, Forbidden) as exc:
        return {
            "commond_result": "EXCUTE_FAILED",
            "excute_failed_msg": shortened(str(exc.details.get("reason", exc.message)), _MESSAGE_LIMIT),
            "error_info": {"error_code": TRAINING.body.code, "error_msg": TRAINING.body.text},
        }


def _submit(app: App, asked: Asked, request: CommandRequest) -> dict[str, object]:
    app.intake.submit(asked.caller, asked.path["job_id"], _VIDEOS, request.operation_reason or "")
    return {}


def _progress(kind: FileKind) -> Executed:
    def run(app: App, asked: Asked, _request: CommandRequest) -> dict[str, object]:
        found = app.intake.progress(asked.caller, asked.path["job_id"], kind, Command.OPEN_UPLOAD)
        parts = [{"part_number": str(n), "etag": etag[:64]} for n, (etag, _) in sorted(found.arrived.items())]
        return {"multipart_data": parts}

    return run


def _confirm(kind: FileKind, command: Command) -> Executed:
    def run(app: App, asked: Asked, _request: CommandRequest) -> dict[str, object]:
        app.intake.confirm(asked.caller, asked.path["job_id"], kind, command)
        return {}

    return run


def _plain(command: Command) -> Executed:
    def run(app: App, asked: Asked, request: CommandRequest) -> dict[str, object]:
        app.jobs.ask(asked.caller, asked.path["job_id"], command, description=request.operation_reason or "")
        return {}

    return run


def _answer(command: Command) -> Executed:
    kind = CommentType.USER_REJECT if command is Command.REJECT_RESULT else CommentType.USER_COMMENT

    def run(app: App, asked: Asked, request: CommandRequest) -> dict[str, object]:
        said = request.comment_data or CommentData()
        _, uploads = app.intake.say(
            asked.caller, asked.path["job_id"], command, kind, title=said.comment_title or "",
            text=said.comment_message or "", attachments=said.attachment_name or (), why=request.operation_reason or "",
        )  # fmt: skip
        urls = [upload.urls[1] for upload in uploads]
        return {"attachment_upload_url": urls} if urls else {}

    return run


def _delete_video(app: App, asked: Asked, _request: CommandRequest) -> dict[str, object]:
    app.jobs.delete_video(asked.caller, asked.path["job_id"])
    return {}


_COMMANDS: Final[Mapping[str, Executed]] = {
    "SUBMITVERIFYING": _submit,
    "GET_MULTIPART_UPLOADED": _progress(FileKind.TRAINING_VIDEO),
    "GET_ACTION_VIDEO_MULTIPART_UPLOADED": _progress(FileKind.ACTION_VIDEO),
    "CONFIRM_MULTIPART_UPLOADED": _confirm(FileKind.TRAINING_VIDEO, Command.CONFIRM_VIDEO),
    "CONFIRM_ACTION_VIDEO_MULTIPART_UPLOADED": _confirm(FileKind.ACTION_VIDEO, Command.CONFIRM_FILE),
    "CONFIRM_AUTHORIZATION_LETTER": _confirm(FileKind.AUTHORIZATION_LETTER, Command.CONFIRM_FILE),
    "DELETE_JOB_VIDEO": _delete_video,
    **{name: _plain(command) for name, command in PLAIN_COMMANDS.items()},
    **{name: _answer(command) for name, command in ANSWERS.items()},
}
