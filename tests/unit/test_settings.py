from __future__ import annotations

import dataclasses
import tomllib
from datetime import timedelta
from pathlib import Path

import pytest

from orchestrator.app.context import Timing
from orchestrator.settings import BadSettings, Settings, explain, load
from orchestrator.settings.load import DEFAULTS, flat
from orchestrator.settings.render import default_toml, settings_table
from orchestrator.settings.words import Rate, duration, duration_text, rate, rate_text, size, size_text

README = DEFAULTS.parent / "README.md"


def test_the_shipped_file_holds_every_default():
    text = DEFAULTS.read_text("utf-8")
    assert text == default_toml()  # ./run docs
    assert load(DEFAULTS, environ={}) == Settings()
    for name in flat(Settings()):
        table, _, key = name.rpartition(".")
        found = tomllib.loads(text)
        for part in table.split("."):
            found = found[part]
        assert key in found


def test_the_table_of_settings_is_current():
    assert settings_table() in README.read_text("utf-8")  # ./run docs


def test_the_folder_at_the_top_is_the_one_that_ships():
    top = Path(__file__).parents[2] / "config"
    assert top.resolve() == DEFAULTS.parent.resolve()


def test_timing_has_the_defaults_of_the_core():
    core = Timing()
    assert {f.name: getattr(core, f.name) for f in dataclasses.fields(Timing)} == dict(Settings().timing)


def test_flags_come_before_variables_before_the_file_before_defaults(tmp_path: Path):
    file = tmp_path / "u.toml"
    file.write_text('[api]\nhost = "file"\nport = 1\nthreads = 2\n[log]\nlevel = "debug"\n')
    environ = {"UNDERSTUDY_API__HOST": "variable", "UNDERSTUDY_API__PORT": "3"}
    flags = {"api.host": "flag", "log.level": None}
    settings = load(file, flags, environ)
    assert (settings.api.host, settings.api.port, settings.api.threads) == ("flag", 3, 2)
    assert settings.log.level == "debug"
    sources = {each.name: each.source for each in explain(file, flags, environ)}
    assert sources["api.host"] == "flag"
    assert sources["api.port"] == "UNDERSTUDY_API__PORT"
    assert sources["api.threads"] == str(file)
    assert sources["api.body_limit"] == "default"


def test_a_variable_names_the_file(tmp_path: Path):
    file = tmp_path / "u.toml"
    file.write_text("[api]\nport = 1\n")
    assert load(environ={"UNDERSTUDY_CONFIG": str(file)}).api.port == 1


def test_pools_are_named_by_users(tmp_path: Path):
    file = tmp_path / "u.toml"
    file.write_text('[pools.gpu]\nslots = 4\ngpus = ["0", "1"]\nenvironment = { A = "b" }\n')
    pools = load(file, environ={"UNDERSTUDY_POOLS__GPU__SLOTS": "2", "UNDERSTUDY_POOLS__CPU__GPUS": ""}).pools
    assert sorted(pools) == ["cpu", "gpu", "local"]
    assert (pools["gpu"].slots, pools["gpu"].gpus, pools["gpu"].environment) == (2, ("0", "1"), {"A": "b"})
    assert pools["cpu"].gpus == ()


def test_secrets_come_from_files_and_are_never_shown(tmp_path: Path):
    file = tmp_path / "secret"
    file.write_text("hunter2\n")
    environ = {
        "UNDERSTUDY_STORAGE__SECRET_KEY_FILE": str(file),
        "UNDERSTUDY_DATABASE__URL": "postgresql://a:hunter2@b/c",
    }
    settings = load(environ=environ)
    assert settings.storage.secret_key.get_secret_value() == "hunter2"
    assert "hunter2" not in repr(settings)
    told = {each.name: each for each in explain(environ=environ)}
    assert "hunter2" not in str(told)
    assert told["storage.secret_key"].value == "********"
    assert told["storage.secret_key"].source == "UNDERSTUDY_STORAGE__SECRET_KEY_FILE"
    assert told["secrets.encryption_key"].value == ""


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"UNDERSTUDY_STORAGE__BUKCET": "b"}, "there is no setting storage.bukcet; did you mean storage.bucket?"),
        ({"UNDERSTUDY_DATABASE_URL": "x"}, "did you mean UNDERSTUDY_DATABASE__URL?"),
        ({"UNDERSTUDY_API__HOST_FILE": "/x"}, "api.host is no secret"),
        ({"UNDERSTUDY_DATABASE__URL_FILE": "/nowhere/x"}, "cannot be read"),
        ({"UNDERSTUDY_DATABASE__URL_FILE": "/x", "UNDERSTUDY_DATABASE__URL": "y"}, "are both set"),
        ({"UNDERSTUDY_API__PORT": "70000"}, "api.port: Input should be less than or equal to 65535, found '70000'"),
        ({"UNDERSTUDY_TIMING__LEASE": "3"}, "'3' is no duration; write a number with its unit"),
        ({"UNDERSTUDY_API__BODY_LIMIT": "1 MB"}, "'1 MB' is no size"),
        ({"UNDERSTUDY_API": "x", "UNDERSTUDY_CONFIG": "/nowhere/u.toml"}, "/nowhere/u.toml: cannot be read"),
    ],
)
def test_mistakes_are_named_with_what_was_meant(environ: dict[str, str], said: str):
    with pytest.raises(BadSettings) as caught:
        load(environ=environ)
    assert said in str(caught.value)


def test_every_mistake_is_told_at_once(tmp_path: Path):
    file = tmp_path / "u.toml"
    file.write_text("[aip]\nport = 1\n[api]\nprot = 1\n[pools.gpu]\nslot = 1\n")
    with pytest.raises(BadSettings) as caught:
        load(file, environ={"UNDERSTUDY_LOG__LEVLE": "debug"})
    assert len(caught.value.problems) == 4


def test_a_file_that_is_no_toml_is_named(tmp_path: Path):
    file = tmp_path / "u.toml"
    file.write_text("[api\n")
    with pytest.raises(BadSettings, match=r"u\.toml: is no TOML"):
        load(file, environ={})


def test_a_wrong_secret_is_not_repeated():
    with pytest.raises(BadSettings) as caught:
        load(flags={"database.url": {"oops": "hunter2"}}, environ={})
    assert "hunter2" not in str(caught.value)


def test_variables_of_other_programs_are_left_alone():
    assert load(environ={"UNDERSTUDY_TOKEN": "x", "UNDERSTUDY_DATA_MARK": "y", "PATH": "z"}) == Settings()


@pytest.mark.parametrize(
    ("text", "seconds"), [("500ms", 0.5), ("30s", 30), ("1.5m", 90), ("10m", 600), ("24h", 86400), ("7d", 604800)]
)
def test_durations_are_read_and_written(text: str, seconds: float):
    assert duration(text) == timedelta(seconds=seconds)
    assert duration(duration_text(duration(text))) == duration(text)


@pytest.mark.parametrize("wrong", ["", "5", "s", "-5s", "5 weeks", 5, None, True, "1e3s"])
def test_a_number_without_unit_is_no_duration(wrong: object):
    with pytest.raises(ValueError, match="no duration"):
        duration(wrong)


@pytest.mark.parametrize("text", ["1B", "512KiB", "64MiB", "5GiB", "0B"])
def test_sizes_are_read_and_written(text: str):
    assert size_text(size(text)) == text


@pytest.mark.parametrize("text", ["100/second", "600/minute", "5000/hour", ""])
def test_rates_are_read_as_they_are_written(text: str):
    assert rate_text(rate(text)) == text
    assert rate(" 600 / minute ") == Rate(600, 60)


@pytest.mark.parametrize("value", ["0/second", "5", "5/fortnight", "-1/second", 5, "many"])
def test_what_is_no_rate_is_refused_with_examples(value: object):
    with pytest.raises(ValueError, match="100/second"):
        rate(value)
