import httpx
import pytest

from orchestrator.cli.client import ATTEMPTS, Api, ApiError
from orchestrator.cli.connection import Connection
from orchestrator.cli.failures import CliError, Exit
from tests.unit.cli.fake_api import FakeApi


def api_that(answer) -> Api:
    return Api(Connection("http://api.test", "t"), transport=httpx.MockTransport(answer), sleep=lambda _: None)


@pytest.mark.parametrize(
    ("status", "code", "exit_code"),
    [
        (401, "unauthenticated", Exit.FORBIDDEN),
        (403, "forbidden", Exit.FORBIDDEN),
        (404, "not_found", Exit.NOT_FOUND),
        (409, "command_not_allowed", Exit.REFUSED),
        (422, "invalid", Exit.USAGE),
        (503, "database_unavailable", Exit.UNREACHABLE),
        (500, "", Exit.REFUSED),
    ],
)
def test_what_the_api_refuses_has_its_exit_code_and_its_words(status, code, exit_code):
    api = api_that(lambda _: httpx.Response(status, json={"code": code, "detail": "so it is."}))
    with pytest.raises(ApiError, match="so it is") as refused:
        api.get("/jobs/x")
    assert refused.value.exit_code is exit_code


def test_a_post_is_repeated_with_the_same_key_so_that_nothing_happens_twice():
    keys = []

    def answer(request):
        keys.append(request.headers["Idempotency-Key"])
        if len(keys) < ATTEMPTS:
            raise httpx.ReadTimeout("lost", request=request)
        return httpx.Response(201, json={"id": "j"})

    assert api_that(answer).post("/jobs", name="n") == {"id": "j"}
    assert len(keys) == ATTEMPTS
    assert len(set(keys)) == 1


def test_an_api_that_is_not_there_is_one_line_that_says_what_to_do():
    def answer(request):
        raise httpx.ConnectError("refused", request=request)

    with pytest.raises(CliError, match=r"no API answers at http://api.test .*understudy dev") as failed:
        api_that(answer).get("/jobs")
    assert failed.value.exit_code is Exit.UNREACHABLE


def test_something_else_on_the_port_is_not_taken_for_an_api():
    with pytest.raises(CliError, match="not as an Understudy API does"):
        api_that(lambda _: httpx.Response(200, text="<html>hello</html>")).get("/jobs")


def test_the_token_goes_with_every_question():
    fake = FakeApi()
    with fake.api() as api:
        api.get("/jobs/j1")
    assert fake.headers[0]["authorization"] == "Bearer secret-token"


def test_pages_are_followed_to_the_end():
    def answer(request):
        page = int(request.url.params.get("cursor", 0))
        return httpx.Response(200, json={"items": [{"n": page}], "next_cursor": str(page + 1) if page < 2 else None})

    assert [item["n"] for item in api_that(answer).pages("/jobs")] == [0, 1, 2]


def pauses_before(answers: list[httpx.Response]) -> tuple[list[float], object]:
    slept: list[float] = []
    left = list(answers)
    transport = httpx.MockTransport(lambda _: left.pop(0))
    with Api(Connection("http://api.test", "t"), transport=transport, sleep=slept.append) as api:
        try:
            return slept, api.get("/counts")
        except ApiError as error:
            return slept, error.exit_code


def busy(after: str) -> httpx.Response:
    return httpx.Response(
        429, json={"code": "too_many_requests", "detail": "too often"}, headers={"Retry-After": after}
    )


def test_who_is_told_when_to_come_again_comes_then():
    assert pauses_before([busy("7"), httpx.Response(200, json={"n": 1})]) == ([7.0], {"n": 1})


def test_who_is_told_to_come_much_later_is_not_kept_waiting():
    assert pauses_before([busy("3600")]) == ([], Exit.UNREACHABLE)


def test_a_date_to_come_again_is_not_read():
    slept, found = pauses_before([busy("Sun, 29 Nov 2026 20:00:00 GMT"), httpx.Response(200, json={"n": 1})])
    assert (len(slept), found) == (1, {"n": 1})


def test_what_was_deleted_by_a_try_whose_answer_was_lost_is_deleted():
    tries = []

    def answer(request):
        tries.append(request.method)
        if len(tries) == 1:
            raise httpx.ReadTimeout("lost", request=request)
        return httpx.Response(404, json={"code": "not_found", "detail": "there is no job j"})

    api = api_that(answer)
    assert api.delete("/jobs/j") == {}
    with pytest.raises(ApiError, match="there is no job j"):  # now nothing was lost
        api.delete("/jobs/j")
