"""Every operation through the vendor's asynchronous client, which speaks HTTP by another library."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from alibabacloud_ice20201109 import models
from alibabacloud_tea_openapi.exceptions import ClientException

from orchestrator.domain.media_items import MediaType
from tests import web
from tests.dialects.ims.conftest import Api


async def call(client: Any, action: str, **parameters: object) -> Any:
    name = "".join(word.capitalize() for word in action.split("_"))
    answer = await getattr(client, f"{action}_async")(getattr(models, f"{name}Request")(**parameters))
    assert (answer.status_code, answer.body.request_id) == (200, answer.headers["x-acs-request-id"])
    return answer.body


async def jobs(client: Any, video: str, portrait: str) -> str:
    job_id = (await call(client, "create_avatar_training_job", avatar_name="Anna é", video=video)).data.job_id
    await call(client, "update_avatar_training_job", job_id=job_id, portrait=portrait, avatar_description="a+b c")
    shown = (await call(client, "get_avatar_training_job", job_id=job_id)).data.avatar_training_job
    assert (shown.avatar_name, shown.avatar_description, shown.portrait) == ("Anna é", "a+b c", portrait)
    assert (await call(client, "submit_avatar_training_job", job_id=job_id)).data.job_id == job_id
    draft = (await call(client, "create_avatar_training_job", avatar_name="draft")).data.job_id
    assert (await call(client, "delete_avatar_training_job", job_id=draft)).data.job_id == draft
    listed = (await call(client, "list_avatar_training_jobs", page_size=5, status="Queuing")).data
    assert (listed.total_count, [each.job_id for each in listed.avatar_training_job_list]) == (1, [job_id])
    return job_id


async def media(client: Any, address: str) -> None:
    media_id = (await call(client, "register_media_info", input_url=address, overwrite=False)).media_id
    assert (await call(client, "update_media_info", media_id=media_id, title="t")).media_id == media_id
    assert (await call(client, "get_media_info", media_id=media_id)).media_info.media_basic_info.title == "t"
    [found] = (await call(client, "batch_get_media_infos", media_ids=media_id)).media_infos
    [listed] = (await call(client, "list_media_basic_infos", media_id=media_id)).media_infos
    assert found.media_id == listed.media_id == media_id
    assert (await call(client, "delete_media_infos", media_ids=media_id)).ignored_list == []
    file, told = {"Type": "image", "Name": "n", "Ext": "png"}, {"Title": "t", "BusinessType": "cover"}
    made = await call(client, "create_upload_media", file_info=json.dumps(file), media_meta_data=json.dumps(told))
    assert (await asyncio.to_thread(web.put, made.file_url, content=b"face")).status_code == 200
    assert (await call(client, "refresh_upload_media", media_id=made.media_id)).media_id == made.media_id


async def avatars(client: Any, job_id: str) -> None:
    done = (await call(client, "get_avatar_training_job", job_id=job_id)).data.avatar_training_job
    assert done.status == "Success"
    assert (await call(client, "get_avatar", avatar_id=done.avatar_id)).data.avatar.avatar_name == "Anna é"
    [listed] = (await call(client, "list_avatars")).data.avatar_list
    assert listed.avatar_id == done.avatar_id


def test_all_operations(api: Api) -> None:
    client = api.client()
    address = api.place("a.mp4")
    job_id = asyncio.run(jobs(client, api.media(), api.media(MediaType.IMAGE, b"face")))
    asyncio.run(media(client, address))
    api.world.settle()
    asyncio.run(avatars(client, job_id))

    async def refused() -> ClientException:
        try:
            await call(client, "get_avatar", avatar_id="none")
        except ClientException as error:
            return error
        raise AssertionError

    error = asyncio.run(refused())
    assert (error.status_code, error.code) == (404, "InvalidParameter.ResourceNotFound")
