"""Boundary, odd and hostile videos get the right reasons. Built here, so judged in this process: it is faster."""

from __future__ import annotations

import pytest

from tests.media_odd import corpus
from tests.media_samples import codes

CORPUS = corpus()


@pytest.mark.parametrize("odd", CORPUS, ids=[odd.name.replace(" ", "-") for odd in CORPUS])
def test_an_odd_video_gets_its_reasons(odd):
    assert tuple(codes(odd.build(), odd.rules)) == odd.codes
