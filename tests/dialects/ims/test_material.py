"""What videos the vendor's rules let through, through the SDK: both sides of every edge, read by the real readers."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import pytest

from orchestrator.domain.media_items import MediaType
from tests.dialects.ims.conftest import Api
from tests.dialects.ims.support import call
from tests.dialects.ims.test_jobs import create, show
from tests.fakes.app import World
from tests.media_samples import ReadHere, generator, sample

TICK = Fraction(1, 128)  # of a second; in the time base of the samples it is a whole number
LANDSCAPE, PORTRAIT = (1920, 1080), (1080, 1920)
OK = None


@pytest.fixture
def world(world: World) -> World:
    world.prober = ReadHere()  # type: ignore[assignment]  # another prober
    world.app = world.process()
    return world


def lasting(seconds: int, more: Fraction = Fraction(0), size: tuple[int, int] = LANDSCAPE, form: str = "mp4") -> bytes:
    """One picture a second, the last one a little longer or shorter."""
    made = generator()
    times = [(Fraction(at), Fraction(1)) for at in range(seconds - 1)] + [(Fraction(seconds - 1), 1 + more)]
    return made.mux(form, [made.Track(made.h264(*size, n=10), seconds, fps=1, times=times)])


def with_alpha() -> bytes:
    made = generator()
    return made.mux("webm", [made.vtrack(made.clip("libvpx-vp9", *LANDSCAPE, "yuva420p", n=10), 330)])


CASES: tuple[tuple[Callable[[], bytes], bool, str | None], ...] = (
    (lambda: lasting(300), False, OK),
    (lambda: lasting(300, -TICK), False, "5:00"),
    (lambda: lasting(900, size=PORTRAIT, form="mov"), False, OK),
    (lambda: lasting(900, TICK), False, "15:00"),
    (lambda: lasting(300, size=(1920, 1088)), False, "1088"),
    (lambda: lasting(300, form="matroska"), False, "MP4, MOV or WebM"),
    (with_alpha, True, OK),
    (with_alpha, False, "alpha"),
    (lambda: lasting(300), True, "alpha"),
)


def test_every_edge_from_both_sides(api: Api) -> None:
    client = api.client()
    face = api.media(MediaType.IMAGE, sample("square.jpg"))
    jobs = []
    for number, (make, transparent, _) in enumerate(CASES):
        video = api.media(data=make())
        jobs.append(create(client, f"n{number}", video=video, portrait=face, transparent=transparent))
        call(client, "submit_avatar_training_job", job_id=jobs[-1])
    api.verify()
    for job_id, (_, _, refused) in zip(jobs, CASES, strict=True):
        shown = show(client, job_id)
        if refused is OK:
            assert shown.status in {"Queuing", "Training"}, shown.message
        else:
            assert shown.status == "Fail"
            assert refused in shown.message
