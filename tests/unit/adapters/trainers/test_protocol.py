from __future__ import annotations

import json
import math
import re

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.adapters.trainers.protocol import LINE_LIMIT_BYTES, Lines, Said, parse


def test_a_line_with_everything_is_read_whole() -> None:
    line = b'{"progress": 1, "message": "m", "metrics": {"loss": 0.5, "steps": 3}, "error": "e"}\n'
    assert parse(line) == Said(1.0, "m", {"loss": 0.5, "steps": 3.0}, "e")


def test_text_and_other_json_are_no_words_of_ours() -> None:
    for line in (b"", b"hello", b"{", b"[]", b"1", b'{"other": 1}', b'{"progress": 0.5', b"{" * 5000, b"\xff{"):
        assert parse(line) is None


def test_parts_that_make_no_sense_are_left_out_and_the_rest_is_kept() -> None:
    for progress in ("-0.1", "1.1", "true", '"0.5"', "NaN", "1e999", "null", "1" + "0" * 400):
        assert parse(b'{"message": "m", "progress": ' + progress.encode() + b"}") == Said(message="m")
    assert parse(b'{"message": 7, "metrics": {"a": "x", "b": 1, "c": NaN, "d": true}}') == Said(metrics={"b": 1.0})
    assert parse(b'{"message": "a\\u0000\\ud800"}') == Said(message="a?")


@given(
    st.dictionaries(
        st.sampled_from(["progress", "message", "metrics", "error"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        ),
    )
)
def test_whatever_is_said_can_be_stored(value: dict[str, object]) -> None:
    said = parse(json.dumps(value).encode())
    if said is not None:
        assert said.progress is None or 0 <= said.progress <= 1
        assert all(math.isfinite(number) for number in said.metrics.values())
        assert "\0" not in f"{said.message}{said.error}".encode().decode()


@given(st.lists(st.binary(max_size=40), max_size=20))
def test_lines_lose_no_byte_however_they_arrive(pieces: list[bytes]) -> None:
    lines = Lines()
    seen = [piece for data in pieces for piece in lines.feed(data)] + list(lines.end())
    assert b"".join(data for data, _ in seen) == b"".join(pieces)
    assert [data for data, _ in seen] == re.findall(rb"[^\n]*\n|[^\n]+", b"".join(pieces))


def test_a_line_without_end_is_passed_on_in_pieces_and_never_parsed() -> None:
    lines = Lines()
    long = b'{"message": "' + b"x" * LINE_LIMIT_BYTES
    assert list(lines.feed(long)) == [(long, False)]
    assert list(lines.feed(b'"}\n{}\n')) == [(b'"}\n', False), (b"{}\n", True)]
