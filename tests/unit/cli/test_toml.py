from orchestrator.cli.toml import settings_text
from orchestrator.settings import Settings, load


def test_settings_come_back_from_the_file_as_they_were(tmp_path):
    flags = {
        "database.url": 'postgresql://me:p%40ss"word@host/db', "api.port": 8123, "timing.lease": "45s",
        "api.trusted_proxies": "10.0.0.1,10.0.0.2", "pools.local.slots": 3, "pools.local.runs_dir": str(tmp_path),
        "pools.local.environment": {"A": 'quoted "b"'}, "probe.max_memory": "1GiB", "api.metrics": False,
    }  # fmt: skip
    settings = load(flags=flags, environ={})
    path = tmp_path / "understudy.toml"
    path.write_text(settings_text(settings))
    assert load(path, environ={}) == settings


def test_defaults_are_not_written():
    assert settings_text(Settings()) == ""
