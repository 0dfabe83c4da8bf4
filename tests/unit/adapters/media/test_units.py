"""What a coded picture says of itself."""

from __future__ import annotations

from orchestrator.adapters.media.units import needs_others

FRAME, SEQUENCE = b"\x32\x01\x00", b"\x0a\x01\x00"  # kind and "tells its size"; size; one byte


def test_an_av1_frame_without_a_sequence_header_needs_others() -> None:
    assert needs_others("libdav1d", b"", FRAME)
    assert not needs_others("libdav1d", b"", SEQUENCE + FRAME)


def test_a_size_has_at_most_eight_bytes_however_many_say_that_they_go_on() -> None:
    """A number of two million bytes would take minutes to read."""
    assert not needs_others("libdav1d", b"", FRAME + b"\x32" + b"\xff" * 2_000_000)
    assert not needs_others("libdav1d", b"", b"\x32" + b"\x80" * 8 + FRAME)
    assert needs_others("libdav1d", b"", b"\x32" + b"\x81" + b"\x80" * 6 + b"\x00" + b"\x00")
