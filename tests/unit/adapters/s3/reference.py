"""boto3 as the reference of the fast signer, with its clock stopped."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch

import botocore.auth


@contextmanager
def clock_at(now: datetime) -> Iterator[None]:
    """botocore signs as if it were `now`."""
    stopped = now.astimezone(UTC).replace(tzinfo=None)

    def get_current_datetime(*, remove_tzinfo: bool = True) -> datetime:
        return stopped if remove_tzinfo else stopped.replace(tzinfo=UTC)

    with patch.object(botocore.auth, "get_current_datetime", get_current_datetime):
        yield


def url_of(client: Any, operation: str, now: datetime, expires_s: int, **params: object) -> str:
    with clock_at(now):
        return str(client.generate_presigned_url(operation, Params=params, ExpiresIn=expires_s))
