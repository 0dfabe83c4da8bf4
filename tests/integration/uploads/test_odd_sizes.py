"""Files and parts of odd sizes and numbers."""

from __future__ import annotations

import pytest

from orchestrator.domain.errors import Invalid, UploadIncomplete
from orchestrator.domain.model import FileState
from orchestrator.domain.uploads import MAX_PARTS, MIN_PART_BYTES
from tests.integration.uploads.attacker import GOOD, put

pytestmark = pytest.mark.timeout(120)


def test_a_file_of_one_byte_is_a_file(target):
    _, file = target.sealed(b"x")
    target.holds(file, b"x")


def test_a_file_of_no_bytes_is_none(target):
    with pytest.raises(Invalid):
        target.open(0)
    upload = target.open(None)
    put(upload.urls[1], b"")
    with pytest.raises(UploadIncomplete):
        target.uploads.confirm(target.owner, upload.file.id)
    assert put(upload.urls[1], GOOD) in {200, 501}  # rclone takes no other bytes for a part that it has


def test_a_thousand_parts_are_signed_and_signed_again(target):
    upload = target.open(MAX_PARTS * MIN_PART_BYTES, part_count=MAX_PARTS)
    assert len(set(upload.urls.values())) == MAX_PARTS
    assert put(upload.urls[MAX_PARTS], b"too short") >= 400
    again = target.uploads.sign_again(target.owner, upload.file.id)
    assert list(again.urls) == list(range(1, MAX_PARTS + 1))
    with pytest.raises(Invalid):
        target.open(None, part_count=MAX_PARTS + 1)
    with pytest.raises(Invalid):
        target.uploads.sign_again(target.owner, upload.file.id, [0])


def test_the_last_of_a_thousand_parts_alone_is_no_file(target):
    upload = target.open(None, part_count=MAX_PARTS)
    assert put(upload.urls[MAX_PARTS], b"the end") == 200
    assert len(target.uploads.progress(target.owner, upload.file.id).missing) == MAX_PARTS - 1
    with pytest.raises(UploadIncomplete):
        target.uploads.confirm(target.owner, upload.file.id)


def test_parts_too_small_to_join_are_told_before_anything_is_joined(target):
    upload = target.open(None, part_count=2)
    put(upload.urls[1], b"small")
    put(upload.urls[2], b"small")
    with pytest.raises(UploadIncomplete, match="at least"):
        target.uploads.confirm(target.owner, upload.file.id)
    assert target.world.file(upload.file).state is FileState.OPEN
