"""First page, total and page 1,000 of a project with nearly all jobs, at a thousand jobs and at a million."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.domain.states import Phase
from orchestrator.domain.views import JobQuery
from tests.bench.crowd import Crowd, crowds
from tests.bench.rows import Row, at_most, in_turns, row, taken_s
from tests.bench.stand import ME

ROUNDS = 51
PAGE = 10
FIRST = JobQuery(ME.project_id, limit=PAGE)
BY_PHASE = [replace(FIRST, phase=phase) for phase in Phase]  # also those that nearly no job is in
DEEP = replace(FIRST, offset=999 * PAGE)


def run() -> list[Row]:
    small, large = crowds()
    marker = _page(large, replace(FIRST, offset=DEEP.offset - 1), 10)[0]
    by_cursor = replace(FIRST, before=marker)
    assert _page(large, by_cursor, PAGE) == _page(large, DEEP, PAGE), "cursor and offset name different pages"
    phase_small, phase_large, first_small, first_large, page_1, cursor_1000, offset_1000 = in_turns(
        ROUNDS,
        lambda: taken_s(lambda: _by_phase(small)),
        lambda: taken_s(lambda: _by_phase(large)),
        lambda: taken_s(lambda: _first(small)),
        lambda: taken_s(lambda: _first(large)),
        lambda: taken_s(lambda: _page(large, FIRST, PAGE)),
        lambda: taken_s(lambda: _page(large, by_cursor, PAGE)),
        lambda: taken_s(lambda: _page(large, DEEP, PAGE)),
    )
    return [
        row("list: first page and total at 1,000", first_small * 1000, "ms"),
        row("list: first page and total at 1,000,000", first_large * 1000, "ms"),
        at_most("list: first page and total, 1,000,000 to 1,000", first_large / first_small, 2),
        at_most("list: first page and total by every phase, 1,000,000 to 1,000", phase_large / phase_small, 2),
        row("list: page 1 at 1,000,000", page_1 * 1000, "ms"),
        at_most("list: page 1,000 to page 1, by cursor", cursor_1000 / page_1, 10),
        at_most("list: page 1,000 to page 1, by offset", offset_1000 / page_1, 10),
    ]


def _first(crowd: Crowd) -> None:
    with crowd.store.read() as tx:
        assert len(tx.reads.page(FIRST)) == PAGE
        assert tx.reads.count(FIRST) > 0


def _by_phase(crowd: Crowd) -> None:
    with crowd.store.read() as tx:
        for query in BY_PHASE:
            assert min(tx.reads.count(query), PAGE) == len(tx.reads.page(query))


def _page(crowd: Crowd, query: JobQuery, expected: int) -> list[str]:
    with crowd.store.read() as tx:
        found = [summary.job.id for summary in tx.reads.page(query)]
    assert len(found) == expected
    return [str(job_id) for job_id in found]
