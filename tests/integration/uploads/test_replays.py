"""Replays after sealing: whoever kept a URL has nothing to change, read or delete with it."""

from __future__ import annotations

import hashlib
from urllib.parse import urlsplit

import httpx
import pytest

from orchestrator.domain.commands import Effect
from orchestrator.domain.errors import UploadError
from orchestrator.domain.model import FileState
from orchestrator.domain.states import JobState
from tests.integration.uploads.attacker import EVIL, GOOD, changed, put, send

pytestmark = pytest.mark.timeout(120)


def test_a_replay_after_sealing_changes_nothing(target):
    upload, file = target.sealed()
    for data in (EVIL, GOOD, EVIL):
        put(upload.urls[1], data)
    target.holds(file)
    assert target.uploads.confirm(target.owner, file.id) == file, "sealing again is not sealing anew"
    target.holds(file)


def test_fresh_urls_from_before_the_sealing_are_as_dead_as_the_first(target):
    upload = target.open()
    again = [target.uploads.sign_again(target.owner, upload.file.id, [1]).urls[1] for _ in range(3)]
    put(again[0], GOOD)
    file = target.uploads.confirm(target.owner, upload.file.id)
    for url in (upload.urls[1], *again):
        put(url, EVIL)
    target.holds(file)
    with pytest.raises(UploadError):
        target.uploads.sign_again(target.owner, file.id, [1])


def test_a_model_is_published_of_the_bytes_that_were_checked_whatever_is_replayed(target):
    upload, file = target.sealed()
    target.uploads.submit(target.owner, file.job_id)
    target.world.app.engine.drain(Effect.VERIFY)
    checked = hashlib.sha256(target.world.prober.judged[-1][0]).hexdigest()
    put(upload.urls[1], EVIL)
    target.world.app.review.approve(target.world.reviewer, file.job_id)
    put(upload.urls[1], EVIL)
    target.world.app.engine.drain(Effect.DISPATCH)
    [spec] = target.world.trainer.submitted.values()
    [source] = spec.inputs
    trained = hashlib.sha256(httpx.get(source.url, trust_env=False).content).hexdigest()
    job = target.world.app.jobs.show(target.owner, file.job_id).job
    target.world.succeed(target.world.run_of(job), input_hashes={source.name: trained})
    put(upload.urls[1], EVIL)
    target.world.settle()
    assert target.world.state(job) is JobState.JOB_SUCCESS
    assert checked == trained == target.world.file(file).sha256 == hashlib.sha256(GOOD).hexdigest()
    target.holds(file)


def test_the_url_of_a_part_reads_and_deletes_nothing(target):
    upload, file = target.sealed()
    waiting = target.open()
    put(waiting.urls[1], GOOD)
    for url in (upload.urls[1], waiting.urls[1]):
        for method in ("GET", "HEAD", "DELETE", "POST", "PATCH"):
            answer = send(method, url)
            assert answer.status_code >= 400, method
            assert GOOD not in answer.content
    target.holds(file)
    assert target.uploads.confirm(target.owner, waiting.file.id).state is FileState.SEALED


def test_a_download_url_writes_and_deletes_nothing(target):
    _, file = target.sealed()
    url = target.uploads.download(target.owner, file)
    for method in ("PUT", "DELETE", "POST"):
        assert send(method, url, EVIL).status_code >= 400
    other = changed(url, urlsplit(url).path.replace(file.id, "0" * 32))
    assert send("GET", other).status_code >= 400
    target.holds(file)


def test_without_a_signature_nothing_is_read_or_written(target):
    if target.store.options.profile == "aws":
        pytest.skip("LocalStack lets unsigned requests in; the store check says so")
    upload, file = target.sealed()
    base = target.uploads.download(target.owner, file).split("?")[0]
    for method in ("GET", "PUT", "DELETE"):
        answer = send(method, base, EVIL)
        assert answer.status_code >= 400
        assert GOOD not in answer.content
    assert put(upload.urls[1].split("?")[0], EVIL) >= 400
    target.holds(file)
