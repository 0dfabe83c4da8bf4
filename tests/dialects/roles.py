"""Who may do what, operation by operation, written down by hand: the tests hold the operation tables against it.

An operation that is added to a dialect needs a row here, or the tests fail.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from orchestrator.dialects.native.commands import COMMANDS
from orchestrator.domain.actors import Role
from orchestrator.domain.commands import Command

IN, UNKNOWN, FORBIDDEN, MISSING = "let in", "401", "403", "404"

OWN, ELSEWHERE = "of the owner's project", "of another project"
WITHOUT_KEY: Final = ("nobody", "an unknown key", "a disabled key")
VISITORS: Final = (*WITHOUT_KEY, *(f"{role} {where}" for role in Role for where in (OWN, ELSEWHERE)))
USER, STRANGER = f"user {OWN}", f"user {ELSEWHERE}"
REVIEWERS: Final = (f"reviewer {OWN}", f"reviewer {ELSEWHERE}")
ADMINS: Final = (f"admin {OWN}", f"admin {ELSEWHERE}")

# What visitors are told; who is not named is let in.
_NO_KEY: Final = dict.fromkeys(WITHOUT_KEY, UNKNOWN)
EVERYBODY: Final = _NO_KEY
VISIBLE: Final = _NO_KEY | {STRANGER: MISSING}
OWNERS: Final = VISIBLE | {REVIEWERS[1]: FORBIDDEN}
OF_REVIEWERS: Final = VISIBLE | {USER: FORBIDDEN}
OF_ADMINS: Final = OF_REVIEWERS | dict.fromkeys(REVIEWERS, FORBIDDEN)
BY_ROLE_ALONE: Final = {STRANGER: FORBIDDEN}  # the role is looked at before the object
ONLY_REVIEWERS: Final = OF_REVIEWERS | BY_ROLE_ALONE
ONLY_ADMINS: Final = OF_ADMINS | BY_ROLE_ALONE
ONLY_OPERATORS: Final = ONLY_ADMINS | dict.fromkeys(ADMINS, FORBIDDEN)
OWN_PROJECT: Final = _NO_KEY | {name: MISSING for name in VISITORS if name.endswith(ELSEWHERE)}
"""Of the vendors' APIs, which know no people: a key is a user of its own project there, whatever its role."""


class Row(NamedTuple):
    """One operation.

    Attributes:
        gate: what each visitor is told.
        body: what is sent; `{job_id}` and the like stand for the owner's objects.
        quiet: strangers are let in and see or change nothing of others: the answer names none of the owner's objects.
    """

    gate: Mapping[str, str]
    body: Mapping[str, object] | None = None
    quiet: bool = False


NATIVE: Final[Mapping[str, Row]] = {
    "POST /jobs": Row(EVERYBODY, {"profile": "reviewed", "name": "Eve"}),
    "GET /jobs": Row(EVERYBODY, quiet=True),
    "GET /jobs/{job_id}": Row(VISIBLE),
    "PATCH /jobs/{job_id}": Row(OWNERS, {"name": "Eve"}),
    "DELETE /jobs/{job_id}": Row(OWNERS),
    "POST /jobs/{job_id}/submit": Row(OWNERS),
    "POST /jobs/{job_id}/commands/{command}": Row(OWNERS),  # each command below
    "POST /jobs/{job_id}/comments": Row(VISIBLE, {"text": "hello"}),
    "POST /jobs/{job_id}/model-token": Row(VISIBLE),
    "GET /jobs/{job_id}/log": Row(VISIBLE),
    "GET /jobs/{job_id}/runs": Row(VISIBLE),
    "GET /counts": Row(EVERYBODY, quiet=True),
    "POST /jobs/{job_id}/files": Row(OWNERS, {"kind": "cover", "name": "c.png", "size_bytes": 1}),
    "GET /files/{file_id}": Row(VISIBLE),
    "DELETE /files/{file_id}": Row(OWNERS),
    "POST /files/{file_id}/urls": Row(OWNERS),
    "POST /files/{file_id}/complete": Row(OWNERS),
    "GET /reviews/next": Row(ONLY_REVIEWERS),
    "POST /jobs/{job_id}/approve": Row(OF_REVIEWERS),
    "POST /jobs/{job_id}/reject": Row(OF_REVIEWERS, {"reasons": ["no"]}),
    "POST /jobs/{job_id}/stop": Row(OF_ADMINS),
    "POST /jobs/{job_id}/retrain": Row(OF_ADMINS, {"stage": "training"}),
    "POST /jobs/{job_id}/reset": Row(OF_ADMINS),
    "POST /jobs/{job_id}/priority": Row(OF_ADMINS, {"priority": 1}),
    "POST /jobs/{job_id}/retry-count": Row(OF_ADMINS, {"retry_count": 1}),
    "POST /jobs/{job_id}/settings/{name}": Row(OF_ADMINS, {"value": 1}),
    "GET /runs/{run_id}": Row(VISIBLE),
    "GET /runs/{run_id}/log": Row(ONLY_ADMINS),
    "GET /assets": Row(EVERYBODY, quiet=True),
    "GET /assets/{asset_id}": Row(VISIBLE),
    "GET /media": Row(EVERYBODY, quiet=True),
    "POST /media": Row(EVERYBODY, {"url": "https://nowhere.example/a.mp4"}),
    "POST /media/uploads": Row(EVERYBODY, {"name": "a.mp4"}),
    "GET /media/{media_id}": Row(VISIBLE),
    "DELETE /media/{media_id}": Row(OWNERS),
    "GET /sweeps": Row(ONLY_OPERATORS),
    "POST /sweeps/{name}": Row(ONLY_OPERATORS),
    "POST /projects": Row(ONLY_OPERATORS, {"id": "new"}),
    "GET /keys": Row(ONLY_OPERATORS),
    "POST /keys": Row(ONLY_OPERATORS, {"project_id": "people", "role": "operator", "name": "eve"}),
    "POST /keys/{key_id}/replace": Row(ONLY_OPERATORS),
    "DELETE /keys/{key_id}": Row(ONLY_OPERATORS),
    "GET /audit": Row(ONLY_OPERATORS),
}

_OWNERS_COMMANDS: Final = (
    Command.SUBMIT, Command.DELETE_VIDEO, Command.REPAIR, Command.SUSPEND, Command.RESUME, Command.ACCEPT_RESULT,
    Command.REJECT_RESULT, Command.ANSWER,
)  # fmt: skip
_ADMINS_COMMANDS: Final = (
    Command.STOP, Command.RESET, Command.SET_PRIORITY, Command.SET_RETRY_COUNT, Command.ACCEPT, Command.CONFIRM_ACTION,
    Command.CONFIRM_ACTION_MARK, Command.UPLOAD_ACTION_MARK, Command.UPLOAD_MASK, Command.BEAUTIFY_BY_HAND,
    Command.UPLOAD_BEAUTY_VIDEO, Command.SKIP_TEST_VIDEO, Command.RESTART_TEST_VIDEO_CHECK,
    *(command for command in COMMANDS if command.startswith(("redo_", "set_"))),
)  # fmt: skip
NATIVE_COMMANDS: Final[Mapping[Command, Mapping[str, str]]] = (
    dict.fromkeys(_OWNERS_COMMANDS, OWNERS)
    | dict.fromkeys((Command.APPROVE, Command.REJECT), OF_REVIEWERS)
    | dict.fromkeys(_ADMINS_COMMANDS, OF_ADMINS)
)

_NEW_FILE: Final = {"file_name": "a.mp4", "file_type": "mp4", "asset_id": "{asset_id}", "asset_file_category": "MAIN"}
METASTUDIO: Final[Mapping[str, Row]] = {
    "create2d_model_training_job": Row(EVERYBODY, {"name": "Eve"}),
    "list2d_model_training_job": Row(EVERYBODY, quiet=True),
    "show2d_model_training_job": Row(OWN_PROJECT),
    "update2d_model_training_job": Row(OWN_PROJECT, {"name": "Eve"}),
    "delete2d_model_training_job": Row(OWN_PROJECT),
    "execute2d_model_training_command_by_user": Row(OWN_PROJECT, {"command": "SUBMITVERIFYING"}),
    "download2d_model_traning_encrypt_file": Row(OWN_PROJECT),
    "create_digital_asset": Row(EVERYBODY, {"asset_name": "Eve {number}", "asset_type": "VIDEO"}),
    "list_assets": Row(EVERYBODY, quiet=True),
    "list_asset_summary": Row(EVERYBODY, {"asset_ids": ["{asset_id}"]}, quiet=True),
    "batch_execute_asset_action": Row(EVERYBODY, {"action": "DELETE_FORCE", "asset_ids": ["{asset_id}"]}),
    "show_asset": Row(OWN_PROJECT),
    "update_digital_asset": Row(OWN_PROJECT, {"asset_name": "Eve {number}"}),
    "delete_asset": Row(OWN_PROJECT),
    "restore_asset": Row(OWN_PROJECT),
    "create_file": Row(OWN_PROJECT, _NEW_FILE | {"file_size": 1, "file_md5": "1B2M2Y8AsgTpgAmY7PhCfg=="}),
    "create_large_file": Row(OWN_PROJECT, _NEW_FILE),
    "confirm_file_upload": Row(OWN_PROJECT, {"state": "CREATED"}),
    "delete_file": Row(OWN_PROJECT),
}

_NEW_MEDIA: Final = {
    "FileInfo": '{{"Type": "video", "Name": "a", "Ext": "mp4"}}', "MediaMetaData": '{{"Title": "a"}}',
}  # fmt: skip
IMS: Final[Mapping[str, Row]] = {
    "CreateAvatarTrainingJob": Row(EVERYBODY, {"AvatarName": "Eve"}),
    "SubmitAvatarTrainingJob": Row(OWN_PROJECT, {"JobId": "{job_id}"}),
    "GetAvatarTrainingJob": Row(OWN_PROJECT, {"JobId": "{job_id}"}),
    "ListAvatarTrainingJobs": Row(EVERYBODY, quiet=True),
    "UpdateAvatarTrainingJob": Row(OWN_PROJECT, {"JobId": "{job_id}", "AvatarName": "Eve"}),
    "DeleteAvatarTrainingJob": Row(OWN_PROJECT, {"JobId": "{job_id}"}),
    "GetAvatar": Row(OWN_PROJECT, {"AvatarId": "{model_id}"}),
    "ListAvatars": Row(EVERYBODY, quiet=True),
    "RegisterMediaInfo": Row(EVERYBODY, {"InputURL": "https://nowhere.example/a.mp4"}),
    "GetMediaInfo": Row(OWN_PROJECT, {"MediaId": "{media_id}"}),
    "BatchGetMediaInfos": Row(EVERYBODY, {"MediaIds": "{media_id}"}, quiet=True),
    "CreateUploadMedia": Row(EVERYBODY, _NEW_MEDIA),
    "RefreshUploadMedia": Row(OWN_PROJECT, {"MediaId": "{media_id}"}),
    "UpdateMediaInfo": Row(OWN_PROJECT, {"MediaId": "{media_id}", "Title": "Eve"}),
    "DeleteMediaInfos": Row(EVERYBODY, {"MediaIds": "{media_id}"}, quiet=True),
    "ListMediaBasicInfos": Row(EVERYBODY, quiet=True),
}
