"""The vendor's own SDK, unmodified, against our API on a real socket and a store that checks signatures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.app.app import App
from orchestrator.app.keys import NewKey
from tests.dialects.conftest import ServedWorld
from tests.fakes.app import World


class Api(ServedWorld):
    """The served world, its keys, and clients with them."""

    def client(self, key: NewKey | None = None, *, client: Any = None, security_token: str | None = None) -> Any:
        """The SDK with a key of project-1 unless another is given."""
        from huaweicloudsdkcore.auth.credentials import BasicCredentials
        from huaweicloudsdkmetastudio.v1 import MetaStudioClient

        key = key or self.key()
        credentials = BasicCredentials(key.id, key.secret, key.project_id)
        if security_token is not None:
            credentials = credentials.with_security_token(security_token)
        builder = (client or MetaStudioClient).new_builder()
        return builder.with_credentials(credentials).with_endpoint(self.url).build()


@pytest.fixture
def api(world: World, server: Callable[[App], str]) -> Api:
    return Api(world, server(world.app))


@pytest.fixture
def client(api: Api) -> Any:
    return api.client()
