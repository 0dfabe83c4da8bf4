"""Follows a job: asks the API again and again, tells every change once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from orchestrator.cli.failures import CliError, Exit
from orchestrator.domain.actors import Actor
from orchestrator.domain.states import STATES, JobState, Phase

if TYPE_CHECKING:
    from orchestrator.cli.client import Api, Json  # not for --help: it loads an HTTP client

SHORTEST_S: Final = 0.3
LONGEST_S: Final = 2.0
AWAY_S: Final = 60.0  # an API that answered before may be away for so long: it is being restarted
_ENDED: Final = frozenset({Phase.SUCCEEDED, Phase.FAILED})


def follow(
    api: Api,
    job_id: str,
    *,
    timeout_s: float | None = None,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Json]:
    """The job, whenever its state, progress or message changed; never ends by itself.

    Raises:
        CliError: the time is over (exit code 6), or the API said no.
    """
    began_s, pause_s, last, state = clock(), SHORTEST_S, None, "not known"
    answered_s: float | None = None
    while True:
        try:
            job = api.get(f"/jobs/{job_id}")
        except CliError as exc:
            away = exc.exit_code is Exit.UNREACHABLE and answered_s is not None and clock() - answered_s < AWAY_S
            if not away:
                raise
            pause_s = LONGEST_S
        else:
            answered_s, state = clock(), job["state"]
            seen = (job["version"], state, progress_of(job), job.get("message"))
            if seen != last:
                last, pause_s = seen, SHORTEST_S
                yield job
            else:
                pause_s = min(LONGEST_S, pause_s * 1.3)
        if timeout_s is not None and clock() - began_s > timeout_s:
            raise CliError(f"job {job_id} is still {state} after {timeout_s:g} s", Exit.TIMEOUT)
        sleep(pause_s)


def until_ended(api: Api, job_id: str, on_change: Callable[[Json], None], *, timeout_s: float | None = None) -> Json:
    """The job once it has succeeded or failed."""
    return until(api, job_id, has_ended, on_change, timeout_s=timeout_s)


def until(
    api: Api,
    job_id: str,
    is_enough: Callable[[Json], bool],
    on_change: Callable[[Json], None] = lambda _: None,
    *,
    timeout_s: float | None = None,
) -> Json:
    """The job as it is when `is_enough` says so. Raises as `follow` does."""
    for job in follow(api, job_id, timeout_s=timeout_s):
        on_change(job)
        if is_enough(job):
            return job
    raise AssertionError  # pragma: no cover - the loop ends by return or an exception


def has_ended(job: Json) -> bool:
    """Succeeded, or failed with nobody but a person to go on."""
    return STATES[JobState(job["state"])].phase in _ENDED


def has_succeeded(job: Json) -> bool:
    return STATES[JobState(job["state"])].phase is Phase.SUCCEEDED


def waits_for(job: Json) -> Actor | None:
    """Who has to act next; None: nobody any more."""
    return STATES[JobState(job["state"])].owner


def run_of(job: Json) -> Json | None:
    """The run at work, if there is one."""
    runs = [run for run in job.get("runs", []) if run["id"] == job.get("run_id")]
    return runs[0] if runs else None


def progress_of(job: Json) -> tuple[object, ...]:
    run = run_of(job)
    return (run["stage"], run["attempt"], run["outcome"], run["progress"], run["message"]) if run else ()


def share(run: Json) -> str:
    """How much of a run is done, empty where it does not say."""
    return "" if run["progress"] is None else f"{run['progress']:.0%}"


def sentence(job: Json) -> str:
    """Where a job stands, in a line."""
    state = JobState(job["state"])
    said = f"{state}: {STATES[state].meaning}"
    run = run_of(job)
    if run is not None and run["outcome"] in {"starting", "running"}:
        said += f" [{' '.join(filter(None, (run['stage'], share(run), run['message'])))}]"
    return said + (f" ({job['message']})" if job.get("message") else "")
