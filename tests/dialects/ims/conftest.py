"""The vendor's own SDK, unmodified, against our API on a real socket and a store that checks signatures."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.app.app import App
from orchestrator.app.keys import NewKey
from orchestrator.domain.media_items import MediaType
from tests import web
from tests.dialects.conftest import ServedWorld
from tests.fakes.app import World


class Api(ServedWorld):
    """The served world, its keys, and clients with them."""

    @property
    def host(self) -> str:
        return self.url.removeprefix("http://")

    def client(self, key: NewKey | None = None, **config: object) -> Any:
        """The SDK with a key of project-1 unless another is given; `config` goes into its Config."""
        from alibabacloud_ice20201109.client import Client
        from alibabacloud_tea_openapi.utils_models import Config

        key = key or self.key()
        values = {"access_key_id": key.id, "access_key_secret": key.secret, "endpoint": self.host, "protocol": "http"}
        return Client(Config(**(values | config)))

    def metastudio(self, key: NewKey) -> Any:
        """The other vendor's SDK with the same key."""
        from huaweicloudsdkcore.auth.credentials import BasicCredentials
        from huaweicloudsdkmetastudio.v1 import MetaStudioClient

        credentials = BasicCredentials(key.id, key.secret, key.project_id)
        return MetaStudioClient.new_builder().with_credentials(credentials).with_endpoint(self.url).build()

    def media(self, kind: MediaType = MediaType.VIDEO, data: bytes = b"film") -> str:
        """Media of project-1 whose bytes are there."""
        item, upload = self.world.app.media.upload(self.world.owner, "a.mp4", kind)
        assert web.put(upload.urls[1], content=data).status_code == 200
        return item.id

    def place(self, name: str, data: bytes = b"x", project_id: str = "project-1") -> str:
        """Puts an object into a project's inbox; gives its address as the vendor writes it."""
        key = f"inbox/{project_id}/{uuid.uuid4().hex}/{name}"
        self.world.storage.put(key, data, "application/octet-stream")
        return self.world.storage.address_of(key)


@pytest.fixture
def api(world: World, server: Callable[[App], str]) -> Api:
    return Api(world, server(world.app))


@pytest.fixture
def client(api: Api) -> Any:
    return api.client()
