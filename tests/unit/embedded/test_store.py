from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.embedded.store import store


def a_store(directory: Path, **changes):
    values = {"rclone": Path("/usr/bin/rclone"), "port": 9100, "bucket": "b", "access_key": "AKEY", "secret_key": "s"}
    return store(directory, **values | changes)


def test_the_store_has_its_bucket_and_a_fixed_loopback_address(tmp_path):
    made = a_store(tmp_path / "objects", allow_origin="http://127.0.0.1:8000")
    assert (tmp_path / "objects" / "b").is_dir()
    assert made.endpoint == "http://127.0.0.1:9100"
    assert made.argv[made.argv.index("--addr") + 1] == "127.0.0.1:9100"
    assert made.argv[made.argv.index("--allow-origin") + 1] == "http://127.0.0.1:8000"


def test_the_secret_goes_by_environment_not_by_argument(tmp_path):
    made = a_store(tmp_path, secret_key="very-secret")
    assert made.env["RCLONE_AUTH_KEY"] == '"AKEY,very-secret"'
    assert not any("very-secret" in word for word in made.argv)


@pytest.mark.parametrize(
    "keys",
    [{"access_key": ""}, {"access_key": "AK"}, {"secret_key": ""}, {"secret_key": 'a"b'}, {"access_key": "A,B,C"}],
)
def test_a_store_that_would_let_everybody_in_is_refused(tmp_path, keys):
    with pytest.raises(ValueError, match="the store needs an access key"):
        a_store(tmp_path, **keys)
