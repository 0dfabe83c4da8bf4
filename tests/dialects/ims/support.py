"""What several of these tests say."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from alibabacloud_ice20201109 import models
from alibabacloud_tea_openapi.exceptions import ClientException

UPPER_UUID = re.compile(r"[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}")


def call(client: Any, action: str, **parameters: object) -> Any:
    """Do an action by its name in the SDK, such as `get_avatar`; gives the body."""
    name = "".join(word.capitalize() for word in action.split("_"))
    return getattr(client, action)(getattr(models, f"{name}Request")(**parameters)).body


def refused(done: Callable[[], object], code: str, status: int = 400) -> ClientException:
    with pytest.raises(ClientException) as caught:
        done()
    error = caught.value
    assert (error.status_code, error.code) == (status, code), error.message
    assert UPPER_UUID.fullmatch(error.request_id)
    for name in ("HostId", "Message", "Recommend"):
        assert isinstance(error.data[name], str)
        assert error.data[name]
    return error
