"""Requests made from a description of an API, by schemathesis: what a client would send who knows nothing but that."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

Check = Callable[[schemathesis.Case, schemathesis.Response], None]


def operations(document: Mapping[str, Any]) -> Iterator[Any]:
    """Every operation of an OpenAPI document."""
    for found in schemathesis.openapi.from_dict(dict(document)).get_all_operations():
        yield found.ok()


def ask_at_random(
    operation: Any,
    url: str,
    headers: Mapping[str, str],
    known: Mapping[str, str],
    check: Check,
    *,
    examples: int,
    always: Sequence[str] = (),
) -> None:
    """Send requests as the description has them, half of them about things that are there.

    Args:
        known: parameters of the path by name; others are made up.
        always: names of those that are never made up.
    """

    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
    @given(case=operation.as_strategy(), is_known=st.booleans())
    def ask(case: schemathesis.Case, *, is_known: bool) -> None:
        held = {name: value for name, value in known.items() if name in case.path_parameters}
        case.path_parameters |= held if is_known else {name: held[name] for name in always if name in held}
        check(case, case.call(base_url=url, headers=dict(headers), session=session))

    with requests.Session() as session:
        session.trust_env = False
        ask()


def sizes(statuses: Sequence[int]) -> dict[int, int]:
    """How many answers were 2xx, 4xx, 5xx."""
    return {group: sum(status // 100 == group for status in statuses) for group in (2, 4, 5)}
