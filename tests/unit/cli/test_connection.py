import json

import pytest

from orchestrator.cli.connection import connect
from orchestrator.cli.failures import CliError, Exit
from orchestrator.cli.main import run
from orchestrator.cli.options import hoisted
from orchestrator.domain.actors import Role

FACTS = {"endpoint": "http://127.0.0.1:1", "user_token": "u", "reviewer_token": "r", "admin_token": "a"}


@pytest.fixture
def dev(tmp_path):
    (tmp_path / "dev.json").write_text(json.dumps(FACTS))
    return tmp_path


@pytest.mark.parametrize(("role", "token"), [(Role.USER, "u"), (Role.REVIEWER, "r"), (Role.ADMIN, "a")])
def test_a_running_dev_gives_the_token_that_the_command_needs(dev, role, token):
    found = connect(role, dev=dev, environment={})
    assert (found.endpoint, found.token) == (FACTS["endpoint"], token)


def test_options_win_over_variables_and_those_over_dev(dev):
    environment = {"UNDERSTUDY_ENDPOINT": "http://b", "UNDERSTUDY_TOKEN": "tb", "UNDERSTUDY_DEV": str(dev)}
    assert connect(Role.USER, endpoint="http://a", token="ta", environment=environment).endpoint == "http://a"
    assert connect(Role.USER, environment=environment).token == "tb"
    assert connect(Role.USER, environment={"UNDERSTUDY_DEV": str(dev)}).token == "u"
    assert connect(Role.USER, dev=dev, environment=environment).token == "u", "a directory that was named is meant"


def test_tokens_of_dev_never_go_to_another_address(dev):
    with pytest.raises(CliError, match="not for http://elsewhere"):
        connect(Role.USER, endpoint="http://elsewhere", dev=dev, environment={})


def test_nothing_told_and_nothing_found_says_what_to_give(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CliError, match="--endpoint and --token") as failed:
        connect(Role.USER, environment={})
    assert failed.value.exit_code is Exit.USAGE


def test_a_dev_that_does_not_run_is_named(tmp_path):
    with pytest.raises(CliError, match="nothing runs on") as failed:
        connect(Role.USER, dev=tmp_path, environment={})
    assert failed.value.exit_code is Exit.UNREACHABLE


def test_a_token_does_not_show_in_a_repr(dev):
    assert "'u'" not in repr(connect(Role.USER, dev=dev, environment={}))


def test_options_of_understudy_itself_may_stand_anywhere():
    assert hoisted(["job", "list", "--dev", "d", "--json"]) == ["--dev", "d", "job", "list", "--json"]
    assert hoisted(["job", "list", "--token=t"]) == ["--token=t", "job", "list"]
    assert hoisted(["worker", "--", "--config", "c"]) == ["worker", "--", "--config", "c"]


def test_an_expected_error_is_one_line_on_standard_error_and_an_exit_code(tmp_path, capsys):
    assert run(["job", "list", "--dev", str(tmp_path)]) == Exit.UNREACHABLE
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("understudy: nothing runs on")
    assert said.err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments", [["nothing-of-the-kind"], ["media", "check"], ["job", "wait", "j", "--timeout", "x"]]
)
def test_wrong_arguments_exit_with_2(arguments, capsys):
    assert run(arguments) == Exit.USAGE
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "group",
    [
        "job",
        "review",
        "media",
        "sweep",
        "store",
        "db",
        "key",
        "project",
        "config",
        "dev",
        "demo",
        "worker",
        "beat",
        "api",
    ],
)
def test_every_command_has_help(group, capsys):
    assert run([group, "--help"]) == Exit.OK
    assert "Usage: understudy" in capsys.readouterr().out
