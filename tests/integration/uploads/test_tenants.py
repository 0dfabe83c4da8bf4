"""Uploads beside each other: of another project, of the same kind, given up while bytes are on their way."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

import pytest

from orchestrator.domain.errors import NotFound, UploadError
from tests.integration.uploads.attacker import EVIL, GOOD, KIND, changed, in_flight, put

pytestmark = pytest.mark.timeout(120)


def test_a_project_gets_nowhere_with_what_belongs_to_another(target):
    upload = target.open()
    stranger = target.world.stranger
    for ask in (target.uploads.confirm, target.uploads.progress, target.uploads.sign_again, target.uploads.give_up):
        with pytest.raises(NotFound):
            ask(stranger, upload.file.id)
    theirs = target.world.app.jobs.create(stranger, "plain", "Eve")
    own = target.uploads.open(stranger, theirs.id, KIND, "x.mp4", size_bytes=len(GOOD))
    aimed = changed(own.urls[1], urlsplit(upload.urls[1]).path)
    assert put(aimed, EVIL) >= 400
    both = dict(parse_qsl(urlsplit(upload.urls[1]).query))["uploadId"]
    assert put(changed(aimed, uploadId=both), EVIL) >= 400
    target.took_nothing(upload)
    assert put(upload.urls[1], GOOD) == 200
    file = target.uploads.confirm(target.owner, upload.file.id)
    assert target.uploads.download(stranger, file) is None
    target.holds(file)


def test_of_two_uploads_of_one_kind_the_second_counts(target):
    first = target.open()
    put(first.urls[1], EVIL)
    second = target.uploads.open(target.owner, first.file.job_id, KIND, "b.mp4", size_bytes=len(GOOD))
    target.until_aborted(first.file)
    assert put(first.urls[1], EVIL) >= 400
    put(second.urls[1], GOOD)
    file = target.uploads.confirm(target.owner, second.file.id)
    put(first.urls[1], EVIL)
    target.holds(file)
    with pytest.raises(UploadError):
        target.uploads.confirm(target.owner, first.file.id)


@pytest.mark.parametrize("how", ["replaced", "given up"])
def test_what_is_in_flight_when_an_upload_ends_leaves_nothing_behind(target, how):
    size = 1 << 20
    upload = target.open(size)
    thread, go_on = in_flight(upload.urls[1], b"e" * size)
    if how == "replaced":
        target.uploads.open(target.owner, upload.file.job_id, KIND, "b.mp4", size_bytes=len(GOOD))
    else:
        target.uploads.give_up(target.owner, upload.file.id)
    go_on.set()
    thread.join()
    target.until_aborted(upload.file)
    assert put(upload.urls[1], b"e" * size) >= 400
    assert target.world.storage.head(upload.file.staging_key) is None
