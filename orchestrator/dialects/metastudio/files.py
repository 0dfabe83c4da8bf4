"""Handlers of files of assets."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.app.app import App
from orchestrator.dialects.metastudio.asset_schemas import ConfirmFile, CreateFile, CreateLargeFile
from orchestrator.dialects.metastudio.operation import Asked


def create_file(app: App, asked: Asked) -> Mapping[str, object]:
    request = asked.read(CreateFile)
    upload = app.asset_files.open(
        asked.caller, request.asset_id, request.asset_file_category, request.file_name, size_bytes=request.file_size,
        md5=request.file_md5, file_type=request.file_type,
    )  # fmt: skip
    return {"file_id": upload.file.id, "upload_url": upload.urls[1]}


def create_large_file(app: App, asked: Asked) -> Mapping[str, object]:
    request = asked.read(CreateLargeFile)
    upload = app.asset_files.open(
        asked.caller, request.asset_id, request.asset_file_category, request.file_name, size_bytes=request.file_size,
        parts=request.file_multipart_count or 1, file_type=request.file_type,
    )  # fmt: skip
    return {"file_id": upload.file.id, "upload_urls": list(upload.urls.values())}


def confirm_file(app: App, asked: Asked) -> None:
    request = asked.read(ConfirmFile)
    file_id = asked.path["file_id"]
    if request.state == "CREATED":
        app.asset_files.confirm(asked.caller, file_id)
    else:
        app.asset_files.fail(asked.caller, file_id, cancelled=request.state == "CANCELLED")


def delete_file(app: App, asked: Asked) -> None:
    app.asset_files.delete(asked.caller, asked.path["file_id"])
