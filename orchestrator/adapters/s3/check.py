"""What a real bucket honours: the self-test behind `understudy store check`.

"S3-compatible" says little about what happens to a part URL after its upload is complete, or to a header nobody signed.
So we ask the bucket itself, once, with small objects of our own that are removed afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal
from urllib.parse import urlsplit

import httpx

from orchestrator.adapters.s3.errors import translated
from orchestrator.adapters.s3.options import S3Options, is_loopback
from orchestrator.adapters.s3.probes import PROBES, Fails, Level, Probe
from orchestrator.adapters.s3.trial import Trial
from orchestrator.domain.errors import UnderstudyError

SMALL_SKEW_S: Final = 60
"""URLs begin a minute early, so a clock this late does no harm."""

LARGEST_SKEW_S: Final = 900
"""Beyond, AWS refuses every request: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html"""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One line of the answer.

    Attributes:
        level: "must": not safe to use without it; "want": we do without, `message` says how; "info".
    """

    name: str
    ok: bool
    level: Level
    message: str


def is_safe(results: Sequence[CheckResult]) -> bool:
    """Whether everything holds that has to."""
    return all(result.ok for result in results if result.level == "must")


def check_store(
    options: S3Options,
    *,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    staging_prefix: str = "staging/",
    final_prefix: str = "data/",
) -> list[CheckResult]:
    """Try everything that we rely on: a few seconds, some 40 MiB of traffic.

    Stops after the first questions when the bucket cannot be used at all.

    Args:
        staging_prefix: where the signing principal may write.
        final_prefix: where sealed objects go.
    """
    results = list(_settings(options))
    with Trial(options, clock, staging_prefix, final_prefix) as trial:
        results += _bucket(trial)
        if not is_safe(results):
            return results
        for probe in PROBES:
            try:
                with translated("checking", probe.name):
                    results.append(_result(probe, probe.run(trial), ok=True))
            except (Fails, UnderstudyError) as exc:
                results.append(_result(probe, str(exc), ok=False))
            except httpx.HTTPError as exc:  # its text may carry a signed URL
                results.append(_result(probe, f"no answer ({type(exc).__name__})", ok=False))
        left = trial.clean_up()
    results.append(
        CheckResult("clean-up", not left, "want", f"left behind: {left}" if left else "nothing was left behind")
    )
    return results


def _settings(options: S3Options) -> Iterator[CheckResult]:
    plain = [
        urlsplit(url).hostname
        for url in dict.fromkeys((options.endpoint, options.public_endpoint))
        if url.startswith("http://") and not is_loopback(url)
    ]
    yield CheckResult(
        "https",
        not plain,
        "want",
        f"plain http to {' and '.join(map(str, plain))}: whoever listens can use the signed URLs"
        if plain
        else "every connection is encrypted or stays on this machine",
    )
    yield CheckResult(
        "own-signer",
        options.has_own_signer,
        "want",
        "part URLs are signed by a principal of its own"
        if options.has_own_signer
        else "part URLs are signed with the main key: give a key that may only write below the staging prefix",
    )


def _bucket(trial: Trial) -> Iterator[CheckResult]:
    try:
        date = trial.bucket_date()
    except UnderstudyError as exc:
        yield CheckResult("bucket", ok=False, level="must", message=str(exc))
        return
    yield CheckResult("bucket", ok=True, level="must", message=f"bucket {trial.options.bucket!r} is there")
    skew_s = abs((date - trial.clock()).total_seconds())
    level: Literal["must", "want"] = "must" if skew_s > LARGEST_SKEW_S else "want"
    yield CheckResult(
        "clock",
        skew_s <= SMALL_SKEW_S,
        level,
        f"the store's clock and ours are {skew_s:.0f} s apart, {SMALL_SKEW_S} s do no harm",
    )


def _result(probe: Probe, message: str, *, ok: bool) -> CheckResult:
    return CheckResult(probe.name, ok, probe.level, message)
