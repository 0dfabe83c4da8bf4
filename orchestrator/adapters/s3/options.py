"""What one bucket of one store needs to be spoken to: plain values, checked once."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Literal
from urllib.parse import urlsplit

from orchestrator.domain.errors import Invalid
from orchestrator.domain.uploads import GIB, MIB

Addressing = Literal["path", "virtual"]


class StoreKind(StrEnum):
    AWS = "aws"
    OSS = "oss"  # Alibaba Cloud
    OBS = "obs"  # Huawei Cloud
    MINIO = "minio"
    GENERIC = "generic"


@dataclass(frozen=True, slots=True)
class StoreProfile:
    """What differs between kinds of stores and cannot be found out by asking.

    Attributes:
        addressing: where the bucket stands in a URL: in the path, or in the host name.
        lists_uploads: answers ListMultipartUploads.
        checks_completed_size: takes the size of the whole in CompleteMultipartUpload and refuses another.
        needs_endpoint: has no endpoint that boto3 knows by the region.
    """

    addressing: Addressing
    lists_uploads: bool = True
    checks_completed_size: bool = False
    needs_endpoint: bool = True


PROFILES: Final[Mapping[StoreKind, StoreProfile]] = MappingProxyType(
    {
        StoreKind.AWS: StoreProfile("virtual", checks_completed_size=True, needs_endpoint=False),
        # Path style is answered with 403 SecondLevelDomainForbidden; the S3 mode has no ListMultipartUploads.
        # https://www.alibabacloud.com/help/en/oss/developer-reference/compatibility-with-amazon-s3
        StoreKind.OSS: StoreProfile("virtual", lists_uploads=False),
        # Path style is answered with 403 VirtualHostDomainRequired on domain endpoints.
        # https://support.huaweicloud.com/intl/en-us/api-obs/obs_04_0115.html
        StoreKind.OBS: StoreProfile("virtual"),
        StoreKind.MINIO: StoreProfile("path"),
        StoreKind.GENERIC: StoreProfile("path"),
    }
)


@dataclass(frozen=True, slots=True)
class S3Options:
    """One bucket and who speaks to it. Secrets do not show in the repr.

    Attributes:
        endpoint: for our own calls, such as `http://store.internal:9000`; empty on AWS: boto3 knows it by the region.
        public_endpoint: what clients can reach; goes into signed URLs, whose host cannot be changed afterwards.
            Empty: the same as `endpoint`.
        access_key: empty only on AWS: then boto3 looks for a role or a profile.
        profile: the kind of store.
        addressing: empty: as the kind of store wants it.
        signer_access_key: of a principal that may only PutObject below the staging prefix; signs part URLs. Empty: the
            main key signs, and then a part URL can make a careless store copy whatever the main key can read.
        copy_part_limit_bytes: larger objects are copied in parts of this size. S3 allows 5 GiB for one copy.
        upload_part_bytes: our own files above this size are stored in parts.
        clock_skew_s: URLs begin this much earlier, for stores whose clock is late.
        connect_timeout_s: for a connection.
        read_timeout_s: between two bytes of an answer.
        slow_timeout_s: the same for completing and copying, which large objects keep busy for minutes.
        attempts: tries of a call that can be repeated, the first included.
    """

    endpoint: str
    bucket: str
    access_key: str = ""
    secret_key: str = field(default="", repr=False)
    session_token: str = field(default="", repr=False)
    public_endpoint: str = ""
    region: str = "us-east-1"
    profile: StoreKind = StoreKind.GENERIC
    addressing: Addressing | Literal[""] = ""
    signer_access_key: str = ""
    signer_secret_key: str = field(default="", repr=False)
    signer_session_token: str = field(default="", repr=False)
    copy_part_limit_bytes: int = 5 * GIB
    upload_part_bytes: int = 64 * MIB
    clock_skew_s: int = 60
    connect_timeout_s: float = 5
    read_timeout_s: float = 60
    slow_timeout_s: float = 300
    attempts: int = 5

    def __post_init__(self) -> None:
        object.__setattr__(self, "profile", StoreKind(self.profile))
        for problem in self._problems():
            raise Invalid(f"object store: {problem}")

    @property
    def facts(self) -> StoreProfile:
        return PROFILES[self.profile]

    @property
    def style(self) -> Addressing:
        return self.addressing or self.facts.addressing

    @property
    def has_own_signer(self) -> bool:
        """Part URLs are signed by somebody else than who reads and writes the bucket."""
        return bool(self.signer_access_key) and self.signer_access_key != self.access_key

    def _problems(self) -> list[str]:
        problems = []
        if not self.bucket:
            problems.append("no bucket is named")
        if not self.endpoint and self.facts.needs_endpoint:
            problems.append(f"a store of kind {self.profile} needs an endpoint")
        problems += [
            f"{url!r} is no endpoint, expected http(s)://host[:port]"
            for url in (self.endpoint, self.public_endpoint)
            if url and not _is_endpoint(url)
        ]
        if bool(self.access_key) != bool(self.secret_key):
            problems.append("access key and secret key come together, one of them is missing")
        if not self.access_key and self.profile is not StoreKind.AWS:
            problems.append(f"a store of kind {self.profile} needs an access key: requests without one are open to all")
        if bool(self.signer_access_key) != bool(self.signer_secret_key):
            problems.append("the signer's access key and secret key come together, one of them is missing")
        return problems


def is_loopback(url: str) -> bool:
    """Whether a URL points to this very machine."""
    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_endpoint(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and not parts.query and not parts.fragment
