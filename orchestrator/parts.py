"""What is built from the settings alone, without a database, a broker or a store: it starts in a moment."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from orchestrator.adapters.media.prober import SandboxedProber
from orchestrator.adapters.media.sandbox import Limits
from orchestrator.domain.profile import Profile
from orchestrator.settings import BadSettings, Settings, load_profiles


def build_prober(settings: Settings) -> SandboxedProber:
    limits = settings.probe
    return SandboxedProber(
        Limits(
            max_read_bytes=limits.max_read,
            max_requests=limits.max_requests,
            max_wall_s=limits.max_wall.total_seconds(),
            max_cpu_s=max(1, round(limits.max_cpu.total_seconds())),
            max_memory_bytes=limits.max_memory,
        )
    )


def profiles_of(settings: Settings) -> Mapping[str, Profile]:
    """The kinds of jobs. Raises BadSettings, also for a stage whose pool is not configured."""
    profiles = load_profiles([Path(settings.profiles.dir)] if settings.profiles.dir else [])
    problems = [
        f"profile {profile.name}: stage {stage} runs in the pool {how.pool!r}; there are {sorted(settings.pools)}"
        for profile in profiles.values()
        for stage, how in profile.stages.items()
        if how.pool not in settings.pools
    ]
    if problems:
        raise BadSettings(problems)
    return profiles
