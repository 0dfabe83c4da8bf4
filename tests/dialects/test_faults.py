"""Every error of the core in the words of every API, and requests that no API can make sense of."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from structlog.testing import CapturingLogger

from orchestrator.app.app import App
from orchestrator.dialects.common.faults import row_of
from orchestrator.dialects.ims import errors as ims
from orchestrator.dialects.metastudio import errors as metastudio
from orchestrator.dialects.native.problems import STATUSES
from orchestrator.domain import errors
from orchestrator.domain.actors import Role
from orchestrator.domain.assets import AssetNotFound
from orchestrator.domain.media_items import MediaInUse
from orchestrator.http.server import create_asgi
from orchestrator.ports.storage import ObjectMissing, UploadGone
from orchestrator.settings import Settings
from tests.fakes.app import a_world
from tests.fakes.client import AsgiClient

JOBS = "/v1/project-1/digital-human-training-manage/user/jobs"

# statuses of the native API, MetaStudio and IMS; the codes of the two vendors
WORDS = {
    errors.NotFound: (404, 400, 404, "MSS.10001004", "InvalidParameter.ResourceNotFound"),
    AssetNotFound: (404, 400, 404, "MSS.10001001", "InvalidParameter.ResourceNotFound"),
    ObjectMissing: (404, 400, 404, "MSS.10001004", "InvalidParameter.ResourceNotFound"),
    errors.CommandNotAllowed: (409, 400, 400, "MSS.10000003", "InvalidParameter.InvalidState"),
    errors.StaleJob: (409, 400, 400, "MSS.10000003", "InvalidParameter.InvalidState"),
    MediaInUse: (409, 400, 400, "MSS.10000003", "InvalidParameter.InvalidState"),
    errors.Invalid: (422, 400, 400, "MSS.10000003", "InvalidParameter"),
    errors.KeyDisabled: (401, 401, 404, "MSS.00000001", "InvalidAccessKeyId.NotFound"),
    errors.Forbidden: (403, 400, 403, "MSS.10000003", "Forbidden"),
    errors.UploadTooLarge: (422, 400, 400, "MSS.10000003", "InvalidParameter.InvalidState"),
    UploadGone: (404, 400, 404, "MSS.10001004", "InvalidParameter.ResourceNotFound"),
    errors.StorageUnavailable: (503, 503, 503, "MSS.00000004", "ServiceUnavailable"),
    errors.CheckBrokenOff: (503, 503, 503, "MSS.00000004", "ServiceUnavailable"),
    errors.UnderstudyError: (400, 400, 400, "MSS.10000003", "InvalidParameter"),
}


@pytest.mark.parametrize("error", WORDS, ids=lambda error: error.__name__)
def test_an_error_has_the_words_of_the_nearest_class_that_has_any(error: type[errors.UnderstudyError]) -> None:
    raised = error("what was found")
    ours, theirs = row_of(STATUSES, raised), (metastudio.fault_of(raised, metastudio.FILES), ims.fault_of(raised))
    assert (ours, *(fault.status for fault in theirs), *(fault.code for fault in theirs)) == WORDS[error]
    for fault in theirs:  # what is no fault of the caller tells nothing of the inside
        assert ("what was found" in fault.message) is (fault.status < 500)


def test_who_asks_too_often_is_told_when_to_come_again_by_every_vendor() -> None:
    error = errors.TooManyRequests("too often", retry_after_s=7)
    for fault in (metastudio.fault_of(error, metastudio.TRAINING), ims.fault_of(error)):
        assert fault.retry_after_s == 7


@pytest.fixture
def served(sqlite_url: str) -> Iterator[tuple[App, AsgiClient]]:
    with a_world(sqlite_url) as world, AsgiClient(create_asgi(Settings(), app=world.app)) as client:
        yield world.app, client


@pytest.mark.parametrize("name", ["X-App-UserId", "X-Project-Id"])
def test_a_header_that_came_twice_beside_a_token_is_refused(served: tuple[App, AsgiClient], name: str) -> None:
    app, client = served
    token = app.keys.create("project-1", Role.USER, "ada").token
    refused = client.request("GET", JOBS, headers=[("X-Auth-Token", token), (name, "project-1"), (name, "project-1")])
    assert (refused.status_code, refused.json()["error_code"]) == (400, "MSS.00000003")
    assert f"{name.lower()} came 2 times" in refused.json()["error_msg"]


def test_the_log_names_the_action_where_all_paths_are_the_same(
    served: tuple[App, AsgiClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    log = CapturingLogger()
    monkeypatch.setattr("orchestrator.http.edge.log", log)
    served[1].request("POST", "/", headers={"x-acs-action": "ListAvatars", "x-acs-version": "2020-11-09"})
    assert [call.kwargs["route"] for call in log.calls if call.args == ("request",)] == ["/?Action=ListAvatars"]
