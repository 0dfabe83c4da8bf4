"""What every use case works with: the ports, the profiles, the clock. Built once by bootstrap, never global."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from orchestrator.domain.downloads import served_type
from orchestrator.domain.errors import Invalid
from orchestrator.domain.model import Job
from orchestrator.domain.profile import Profile
from orchestrator.ports.courier import Courier, NoCourier
from orchestrator.ports.prober import Prober
from orchestrator.ports.secrets import SecretBox
from orchestrator.ports.storage import Storage
from orchestrator.ports.store import Store
from orchestrator.ports.trainer import TrainerBackend
from orchestrator.ports.waker import Waker

_DOUBLED: Final = 5  # times, no more: a job that keeps losing its workers is still looked at every few minutes


@dataclass(frozen=True, slots=True)
class Pool:
    """A backend and how many runs it takes at once."""

    backend: TrainerBackend
    slots: int


@dataclass(frozen=True, slots=True)
class Timing:
    """How patient the machinery is.

    Attributes:
        lease: a worker that does not renew within it has lost its jobs; renewed three times as often.
        step_retry: wait before a step is tried again that something outside kept from working.
        max_takeovers: so many lost leases or crashed steps of one job at one place, and it is given up there.
        start_grace: a run that was written but not submitted for so long is looked for at its backend.
        poll_first, poll_longest: how soon a running training is looked at; the wait grows with its age.
        heartbeat_limit: silent for so long counts as the first of the two signals that a run is lost.
        single_part_poll: how soon an upload of one part is looked for; grows with its age.
        abort_retry: an abandoned upload is aborted again after this, until the store knows nothing of it.
        upload_url_lifetime, download_url_lifetime: of signed URLs; both vendors promise 24 hours.
        keep_deleted: rows and objects of deleted jobs are kept for so long.
        keep_runs: working directories and artefacts of ended runs are kept for so long.
        orphan_age: objects and uploads that no row knows are left alone for so long.
    """

    lease: timedelta = timedelta(seconds=30)
    step_retry: timedelta = timedelta(seconds=15)
    max_takeovers: int = 5
    start_grace: timedelta = timedelta(seconds=30)
    poll_first: timedelta = timedelta(seconds=1)
    poll_longest: timedelta = timedelta(seconds=15)
    heartbeat_limit: timedelta = timedelta(seconds=60)
    single_part_poll: timedelta = timedelta(seconds=10)
    abort_retry: timedelta = timedelta(minutes=1)
    upload_url_lifetime: timedelta = timedelta(hours=24)
    download_url_lifetime: timedelta = timedelta(hours=24)
    keep_deleted: timedelta = timedelta(days=7)
    keep_runs: timedelta = timedelta(days=14)
    orphan_age: timedelta = timedelta(days=2)

    def takeover_delay(self, takeovers: int) -> timedelta:
        """How long a job waits that has lost so many workers at one place: the first time not at all, then longer."""
        return self.step_retry * ((1 << min(takeovers, _DOUBLED)) - 1)


@dataclass(frozen=True, slots=True)
class Context:
    """Ports and settings of one process."""

    store: Store
    storage: Storage
    prober: Prober
    pools: Mapping[str, Pool]
    waker: Waker
    secret_box: SecretBox
    profiles: Mapping[str, Profile]
    timing: Timing = Timing()
    courier: Courier = NoCourier()  # noqa: RUF009  it has no state
    batch: int = 250
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)

    def download_url(self, key: str, name: str, content_type: str, lifetime: timedelta | None = None) -> str:
        """A URL that downloads an object under a name: always as an attachment, of a type that no browser runs."""
        return self.storage.presign_get(
            key, filename=name, content_type=served_type(content_type), now=self.clock(),
            expires_in=lifetime or self.timing.download_url_lifetime,
        )  # fmt: skip

    def profile(self, name: str) -> Profile:
        """Raises Invalid for an unknown name."""
        found = self.profiles.get(name)
        if found is None:
            raise Invalid(f"there is no profile {name!r}; there are {sorted(self.profiles)}", profile=name)
        return found

    def profile_of(self, job: Job) -> Profile:
        return self.profile(job.profile)


def new_id(at: datetime) -> str:
    """32 hex digits that sort by time: 48 bits of milliseconds, 80 random bits (the layout of a version 7 UUID)."""
    milliseconds = int(at.timestamp() * 1000)
    random = secrets.randbits(74)
    value = milliseconds << 80 | 0x7 << 76 | (random >> 62) << 64 | 0b10 << 62 | (random & (1 << 62) - 1)
    return f"{value:032x}"


def new_token() -> str:
    """128 random bits as hex: names a lease, a claim, a staging key."""
    return secrets.token_hex(16)
