"""What downloads are called and served as: nothing that a browser would run, no name that leaves its header."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.downloads import OPAQUE, attachment, served_type


@pytest.mark.parametrize(
    ("told", "served"),
    [
        ("video/mp4", "video/mp4"), ("IMAGE/PNG; x=y", "image/png"), ("audio/wav", "audio/wav"),
        ("application/pdf", "application/pdf"), ("text/html", OPAQUE), ("image/svg+xml", OPAQUE),
        ("application/xhtml+xml", OPAQUE), ("text/javascript", OPAQUE), ("application/xml", OPAQUE), ("", OPAQUE),
    ],
)  # fmt: skip
def test_downloads_are_of_types_that_no_browser_runs(told: str, served: str):
    assert served_type(told) == served


@given(st.text())
def test_no_file_name_gets_out_of_its_header(filename):
    header = attachment(filename)
    assert header.isascii()
    assert header.isprintable()
    assert header.count('"') == 2
    assert header.startswith("attachment; filename=")
