"""What travels inside an honest request: a copy of another object, a name that wants to be more than a name."""

from __future__ import annotations

import hashlib
from contextlib import suppress

import httpx
import pytest

from orchestrator.domain.errors import UploadError
from tests.integration.uploads.attacker import EVIL, GOOD, SECRET, put, send

pytestmark = pytest.mark.timeout(120)


def test_a_copy_smuggled_into_a_part_brings_no_foreign_bytes(target):
    secret_key = f"files/{hashlib.sha256(target.open().file.id.encode()).hexdigest()[:32]}"
    target.world.storage.put(secret_key, SECRET, "video/mp4")
    source = f"/{target.store.options.bucket}/{secret_key}"
    for size, body in ((len(SECRET), EVIL + b"!"), (None, b"")):
        upload = target.open(size)
        for headers in ({}, {"x_amz_copy_source_range": f"bytes=0-{len(SECRET) - 1}"}):
            answer = send("PUT", upload.urls[1], body, x_amz_copy_source=source, **headers)
            assert SECRET not in answer.content
        for part in target.world.storage.list_parts(upload.file.staging_key, upload.file.upload_id):
            assert part.etag != hashlib.md5(SECRET, usedforsecurity=False).hexdigest()
        with suppress(UploadError):
            assert target.bytes_of(target.uploads.confirm(target.owner, upload.file.id)) != SECRET
    assert target.world.storage.read_range(secret_key, 0, 100) == SECRET


@pytest.mark.parametrize(
    "name",
    ['a"\r\nX-Evil: 1\r\n\r\n<html>.mp4', "../../etc/passwd", "a;filename=b.exe", "\u202egpj.mp4", "日本 %0d%0a.mp4"],
)
def test_the_name_of_a_file_is_only_a_name(target, name):
    upload = target.open(name=name)
    put(upload.urls[1], GOOD)
    file = target.uploads.confirm(target.owner, upload.file.id)
    answer = httpx.get(target.uploads.download(target.owner, file), trust_env=False)
    assert answer.status_code == 200
    assert answer.content == GOOD
    assert "x-evil" not in answer.headers
    disposition = answer.headers["content-disposition"]
    assert disposition.startswith("attachment")
    assert not set("\r\n\0") & set(disposition)
