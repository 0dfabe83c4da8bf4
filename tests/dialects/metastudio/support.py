"""What several of these tests say."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException


def refused(call: Callable[[], object], code: str, status: int = 400) -> ClientRequestException:
    with pytest.raises(ClientRequestException) as caught:
        call()
    assert (caught.value.status_code, caught.value.error_code) == (status, code), caught.value.error_msg
    assert caught.value.request_id
    assert 1 <= len(caught.value.error_msg) <= 256
    return caught.value
