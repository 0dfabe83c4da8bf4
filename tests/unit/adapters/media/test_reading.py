"""Reading by ranges: few requests, never more than asked for, and only of the object that was pinned."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.adapters.media.ranges import BLOCK_BYTES, CACHE_BYTES, InputFile, Reader
from orchestrator.adapters.media.sources import LocalFile
from orchestrator.app.stored import StoredObject
from orchestrator.domain.errors import StorageUnavailable
from orchestrator.ports.storage import ObjectChanged, ObjectInfo, ObjectMissing
from tests.media_samples import Bytes

DATA = bytes(index * 7 % 251 for index in range(5 * BLOCK_BYTES + 123))


def reader_of(data=DATA):
    source = Bytes(data)
    return source, Reader(source.read_range, len(data))


@given(st.lists(st.tuples(st.integers(-10, len(DATA) + 10), st.integers(-10, len(DATA))), max_size=12))
def test_ranges_are_the_file_whatever_is_asked_in_whatever_order(asked):
    source, reader = reader_of()
    for offset, length in asked:
        start = max(offset, 0)
        assert reader.read_at(offset, length) == DATA[start : start + max(length, 0)]
    assert all(start >= 0 and start + length <= len(DATA) for start, length in source.ranges)


def test_neighbouring_blocks_come_in_one_request_and_only_once():
    source, reader = reader_of()
    reader.read_at(BLOCK_BYTES + 5, 10)
    reader.read_at(0, len(DATA))
    reader.read_at(0, len(DATA))
    assert source.ranges == [
        (BLOCK_BYTES, BLOCK_BYTES),
        (0, BLOCK_BYTES),
        (2 * BLOCK_BYTES, len(DATA) - 2 * BLOCK_BYTES),
    ]


def test_the_cache_stays_within_its_size():
    source, reader = reader_of(bytes(CACHE_BYTES + 4 * BLOCK_BYTES))
    for at in range(0, source.size_bytes, BLOCK_BYTES):
        reader.read_at(at, 1)
    before = len(source.ranges)
    reader.read_at(source.size_bytes - 1, 1)
    assert len(source.ranges) == before
    reader.read_at(0, 1)
    assert len(source.ranges) == before + 1


def test_pieces_of_ours_and_of_the_file_read_as_one():
    source, reader = reader_of()
    file = InputFile(reader, [b"head", (100, 5), (7, 0), b"", (50, 3), b"tail"])
    whole = b"head" + DATA[100:105] + DATA[50:53] + b"tail"
    assert file.seek(0, 2) == len(whole)
    for start in range(len(whole)):
        file.seek(start)
        out = b""
        while piece := file.read(4):
            assert len(piece) <= 4
            out += piece
        assert out == whole[start:]
    assert source.ranges


def test_the_file_for_the_decoder_gives_no_more_than_asked_and_seeks_for_free():
    source, reader = reader_of()
    file = InputFile(reader)
    assert file.seek(0, io.SEEK_END) == len(DATA)
    assert file.read(10) == b""
    assert file.seek(-5, io.SEEK_CUR) == len(DATA) - 5
    assert source.ranges == []
    assert file.read(100) == DATA[-5:]
    file.seek(0)
    assert file.read(3) == DATA[:3]
    assert file.tell() == 3


def test_a_file_on_disk_is_read_by_ranges_and_must_not_change(tmp_path):
    path = tmp_path / "video.mp4"
    path.write_bytes(DATA)
    with LocalFile(path) as source:
        assert source.size_bytes == len(DATA)
        assert source.read_range(7, 5) == DATA[7:12]
        path.write_bytes(DATA + b"more")
        with pytest.raises(ObjectChanged):
            source.read_range(0, 1)
    with pytest.raises(ObjectMissing):
        LocalFile(tmp_path / "nothing")
    with pytest.raises(ObjectMissing):
        LocalFile(tmp_path)


class OneObject:
    """As much of a store as a source needs."""

    def __init__(self, data, short=0):
        self.data, self.short, self.etags = data, short, []

    def head(self, key):
        return ObjectInfo(key, "etag", len(self.data)) if key == "here" else None

    def read_range(self, key, start, length, *, etag=None):
        self.etags.append((key, etag))
        return self.data[start : start + length - self.short]


def test_an_object_is_read_pinned_by_its_etag():
    store = OneObject(DATA)
    source = StoredObject.at(store, "here")
    assert source.read_range(10, 20) == DATA[10:30]
    assert source.read_range(len(DATA) - 5, 20) == DATA[-5:]
    assert store.etags == [("here", "etag")] * 2


def test_a_store_that_answers_too_little_is_unavailable_and_nothing_is_missing():
    with pytest.raises(StorageUnavailable):
        StoredObject.at(OneObject(DATA, short=1), "here").read_range(0, 10)
    with pytest.raises(ObjectMissing):
        StoredObject.at(OneObject(DATA), "elsewhere")
