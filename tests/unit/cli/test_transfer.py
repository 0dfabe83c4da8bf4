import os
import threading

import pytest

from orchestrator.cli.failures import CliError, Exit
from orchestrator.cli.transfer import ATTEMPTS, parts_for, slices, upload
from orchestrator.domain.uploads import MIB
from tests.unit.cli.fake_api import FakeApi

SIZE = 16 * MIB + 12_345
PARTS = 3


@pytest.fixture(scope="module")
def content() -> bytes:
    return os.urandom(SIZE)


@pytest.fixture
def file(tmp_path, content):
    path = tmp_path / "video.mp4"
    path.write_bytes(content)
    return path


def send(fake: FakeApi, file, **options):
    with fake.api() as api:
        return upload(
            api, "j1", "training_video", file, part_count=PARTS, transport=fake.store, sleep=lambda _: None, **options
        )


def test_a_file_arrives_in_parts_and_is_sealed(file, content):
    fake = FakeApi()
    sent = send(fake, file)
    assert fake.held() == content
    assert sent.file["state"] == "sealed"
    assert (sent.resumed, sent.parts_sent) == (False, PARTS)


def test_a_sealing_that_takes_long_is_waited_for(file):
    fake = FakeApi(sealing_looks=3)
    assert send(fake, file).file["state"] == "sealed"
    assert fake.sealing_looks == 0


def test_parts_are_sent_at_the_same_time(file):
    fake = FakeApi(gate=threading.Barrier(PARTS))
    send(fake, file, threads=PARTS)
    assert fake.most_at_once == PARTS


def test_an_upload_that_broke_off_is_taken_up_with_what_is_missing(file, content):
    fake = FakeApi(store_answers={2: [500] * ATTEMPTS})
    with pytest.raises(CliError, match="part 2 could not be sent") as failed:
        send(fake, file, threads=1)
    assert failed.value.exit_code is Exit.UNREACHABLE
    assert 2 not in fake.parts
    already = len(fake.parts)

    sent = send(fake, file)
    assert sent.resumed
    assert sent.parts_sent == PARTS - already
    assert fake.held() == content
    assert [path for _, path in fake.asked].count("/jobs/j1/files") == 1, "no second upload was opened"


def test_a_file_that_was_changed_meanwhile_does_not_become_a_mixture(file):
    fake = FakeApi(store_answers={3: [500] * ATTEMPTS})
    with pytest.raises(CliError):
        send(fake, file, threads=1)
    changed = os.urandom(SIZE)
    file.write_bytes(changed)
    assert send(fake, file).parts_sent == PARTS
    assert fake.held() == changed


def test_an_etag_that_is_no_md5_says_nothing_of_a_part(file, content):
    fake = FakeApi(store_answers={3: [500] * ATTEMPTS}, etag="0x8DCAFE")
    with pytest.raises(CliError):
        send(fake, file, threads=1)
    assert send(fake, file).parts_sent == 1
    assert fake.held() == content


def test_an_expired_url_is_signed_again_and_only_its_own_part_is_sent_again(file, content):
    fake = FakeApi(store_answers={3: [403]})
    send(fake, file)
    assert fake.held() == content
    assert fake.signatures == 2
    assert ("POST", "/files/f1/urls") in fake.asked


def test_a_store_that_stumbles_is_asked_again(file, content):
    fake = FakeApi(store_answers={1: [503, 500], 2: [502]})
    send(fake, file)
    assert fake.held() == content


def test_a_refusal_that_will_not_change_is_not_repeated(file):
    fake = FakeApi(store_answers={1: [404, 404]})
    with pytest.raises(CliError, match="404"):
        send(fake, file, threads=1)
    assert len(fake.store_answers[1]) == 1


def test_progress_adds_up_to_the_size_although_parts_are_sent_twice(file):
    told = []
    send(
        FakeApi(store_answers={2: [500]}), file, on_start=lambda _total, done, _parts: told.append(done) or told.append
    )
    assert sum(told) == SIZE
    assert min(told) < 0, "what did not arrive is taken back"


def test_errors_never_show_a_signed_url(file):
    with pytest.raises(CliError) as failed:
        send(FakeApi(store_answers={1: [404]}), file, threads=1)
    assert "signed=" not in str(failed.value)


def test_an_empty_file_is_refused_before_anybody_is_asked(tmp_path):
    fake = FakeApi()
    empty = tmp_path / "empty.mp4"
    empty.touch()
    with pytest.raises(CliError, match="is empty"):
        send(fake, empty)
    assert fake.asked == []


def test_slices_cover_a_file_without_gap_or_overlap(tmp_path):
    cut = slices(tmp_path / "x", SIZE, PARTS)
    assert [part.number for part in cut] == [1, 2, 3]
    assert [part.offset for part in cut] == [0, cut[0].size_bytes, cut[0].size_bytes + cut[1].size_bytes]
    assert sum(part.size_bytes for part in cut) == SIZE


def test_small_files_go_in_one_part():
    assert parts_for(1) == parts_for(64 * MIB) == 1
    assert parts_for(64 * MIB + 1) == 2
