"""Which addresses name an object of the bucket, and which key they name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.adapters.s3.addresses import address_of, key_of
from orchestrator.adapters.s3.options import S3Options, StoreKind

HERE = S3Options(
    endpoint="http://store.internal:9000", public_endpoint="https://media.example", bucket="films", access_key="a" * 8,
    secret_key="b" * 8,
)  # fmt: skip


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("oss://films/inbox/p/a.mp4", "inbox/p/a.mp4"),
        ("s3://films/inbox/p/a b%20.mp4", "inbox/p/a b%20.mp4"),
        ("OSS://films/a.mp4", "a.mp4"),
        ("http://store.internal:9000/films/inbox/p/a%20b.mp4", "inbox/p/a b.mp4"),
        ("http://films.store.internal:9000/inbox/p/a.mp4", "inbox/p/a.mp4"),
        ("https://media.example/films/a.mp4", "a.mp4"),
        ("https://media.example:443/films/%E4%BA%BA.mp4", "人.mp4"),
        ("https://films.oss-cn-shanghai.aliyuncs.com/inbox/p/a.mp4", "inbox/p/a.mp4"),
        ("http://films.oss-cn-shanghai-internal.aliyuncs.com/a.mp4", "a.mp4"),
        # left as they are: whoever registers them looks at the key
        ("http://store.internal:9000/films/inbox/p/../q/a.mp4", "inbox/p/../q/a.mp4"),
        ("http://store.internal:9000/films/inbox/p/%2e%2e/q/a.mp4", "inbox/p/../q/a.mp4"),
    ],
)
def test_an_address_of_the_bucket_names_a_key(address: str, key: str) -> None:
    assert key_of(HERE, address) == key


@pytest.mark.parametrize(
    "address",
    [
        "", "a.mp4", "oss://films", "oss://films/", "oss://other/a.mp4", "oss:/films/a.mp4", "vod://671c70",
        "http://store.internal/films/a.mp4",  # another port
        "https://store.internal:9000/other/a.mp4", "http://store.internal:9000/a.mp4",
        "http://user:word@store.internal:9000/films/a.mp4", "http://store.internal:9000/films/a.mp4?X-Amz-Signature=1",
        "http://store.internal:9000/films/a.mp4#x", "http://store.internal:port/films/a.mp4",
        "http://store.internal:9000.evil.example/films/a.mp4", "http://evil.example/films/a.mp4",
        "https://films.oss-cn-shanghai.aliyuncs.com.evil.example/a.mp4", "https://other.oss-cn-x.aliyuncs.com/a.mp4",
        "http://169.254.169.254/films/a.mp4", "file:///etc/passwd", "http://[::1/films/a.mp4",
        "http://store.internal:9000/films/%ff", "ftp://store.internal:9000/films/a.mp4",
    ],
)  # fmt: skip
def test_every_other_place_is_no_place_of_ours(address: str) -> None:
    assert key_of(HERE, address) is None


def test_amazons_own_endpoint_needs_no_name() -> None:
    there = S3Options(endpoint="", bucket="films", region="eu-west-1", profile=StoreKind.AWS)
    assert key_of(there, "https://films.s3.eu-west-1.amazonaws.com/a.mp4") == "a.mp4"
    assert key_of(there, "https://s3.eu-west-1.amazonaws.com/films/a.mp4") == "a.mp4"


@given(st.text(alphabet=st.characters(blacklist_characters="?#", blacklist_categories=("Cs",)), min_size=1))
def test_the_plain_address_of_a_key_names_it_again(key: str) -> None:
    assert key_of(HERE, address_of(HERE, key)) == key


@given(st.text())
def test_no_text_breaks_it(address: str) -> None:
    assert key_of(HERE, address) is None or "films" in address
