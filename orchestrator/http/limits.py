"""How often a key may ask and an address may fail to sign in, by moving windows kept in the memory of the process.

A deployment of N processes lets N times as much through. What a limit refuses costs neither the database nor a check of
a signature; a limit that is off costs nothing.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable

from limits import RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from orchestrator.domain.actors import Caller
from orchestrator.domain.errors import TooManyRequests
from orchestrator.settings.words import Rate

_NETWORK_BITS = 64  # of IPv6: a network is given out as a whole, and its holder may use every address of it


class RateLimits:
    """The limits of one process.

    Args:
        requests: of one key; None for no limit.
        failures: to sign in, from one address or IPv6 network; None for no limit.
    """

    def __init__(self, requests: Rate | None, failures: Rate | None) -> None:
        self._requests = None if requests is None else _Window(requests)
        self._failures = None if failures is None else _Window(failures)

    def visit(self, address: str) -> RateLimitedVisit:
        return RateLimitedVisit(self._requests, self._failures, address)


class RateLimitedVisit:
    """The port `Visit`."""

    def __init__(self, requests: _Window | None, failures: _Window | None, address: str) -> None:
        self._requests, self._failures, self._address = requests, failures, address

    def sign_in(self, identify: Callable[[], Caller], refusal: type[Exception]) -> Caller:
        """See the port. A key is counted once it is proved, so nobody uses up the limit of another's key."""
        if self._failures is None:
            caller = identify()
        else:
            source = _network(self._address)
            if not self._failures.has_room(source):
                raise _refused(f"{self._address} failed to sign in too often", self._failures.frees_after_s(source))
            try:
                caller = identify()
            except refusal:
                self._failures.take(source)
                raise
        if self._requests is not None and not self._requests.take(caller.key_id):
            told = f"the key {caller.key_id} asks more often than {self._requests.rate}"
            raise _refused(told, self._requests.frees_after_s(caller.key_id))
        return caller


class _Window:
    def __init__(self, rate: Rate) -> None:
        self.rate = rate
        self._item = RateLimitItemPerSecond(rate.count, rate.per_s)
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def has_room(self, name: str) -> bool:
        return self._limiter.test(self._item, name)

    def take(self, name: str) -> bool:
        return self._limiter.hit(self._item, name)

    def frees_after_s(self, name: str) -> float:
        return max(0.0, self._limiter.get_window_stats(self._item, name).reset_time - time.time())


def _refused(why: str, after_s: float) -> TooManyRequests:
    wait_s = int(after_s) + 1
    return TooManyRequests(f"{why}; ask again in {wait_s} s", retry_after_s=wait_s)


def _network(address: str) -> str:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:  # a unix socket, a test
        return address
    if found.version == 4:  # noqa: PLR2004  IPv4
        return address
    return str(ipaddress.ip_network((found, _NETWORK_BITS), strict=False))
