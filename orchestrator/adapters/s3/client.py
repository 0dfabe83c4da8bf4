"""boto3 clients of one store: made late, once per process, with settings that every S3-compatible store takes."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import SplitResult, urlsplit
from weakref import WeakSet

import boto3
from botocore.config import Config

from orchestrator.adapters.s3.options import S3Options, is_loopback
from orchestrator.adapters.s3.presign import Address, Credentials
from orchestrator.domain.errors import StorageUnavailable

if TYPE_CHECKING:
    from botocore.credentials import Credentials as BotoCredentials
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True, slots=True)
class ClientSet:
    """Clients of one process.

    Attributes:
        calls: for everything that may be repeated.
        slow: never repeats and waits long: for completing, where a second try at the same time can spoil the object.
        public: never calls; knows how boto3 writes URLs for the public endpoint.
        address: where signed URLs lead.
    """

    calls: S3Client
    slow: S3Client
    public: S3Client
    address: Address
    session: boto3.Session


class Clients:
    """Gives the clients of the process that asks.

    A connection made before a fork must not be used after it, so a child makes its own. Threads share them.
    """

    def __init__(self, options: S3Options) -> None:
        self._options = options
        self._lock = threading.Lock()
        self._made: tuple[int, ClientSet] | None = None
        _ALL.add(self)

    @property
    def calls(self) -> S3Client:
        return self._get().calls

    @property
    def slow(self) -> S3Client:
        return self._get().slow

    @property
    def public(self) -> S3Client:
        return self._get().public

    @property
    def address(self) -> Address:
        return self._get().address

    def credentials(self) -> Credentials:
        """Of the main principal. Temporary ones are renewed by boto3 before they run out.

        Raises:
            StorageUnavailable: there are none.
        """
        frozen = _found(self._get().session).get_frozen_credentials()
        return Credentials(frozen.access_key or "", frozen.secret_key or "", frozen.token or "")

    def signer_credentials(self) -> Credentials:
        """Of the principal that signs part URLs: the write-only one if there is one."""
        options = self._options
        if options.signer_access_key:
            return Credentials(options.signer_access_key, options.signer_secret_key, options.signer_session_token)
        return self.credentials()

    def _get(self) -> ClientSet:
        made = self._made
        if made is not None and made[0] == os.getpid():
            return made[1]
        with self._lock:
            if self._made is None or self._made[0] != os.getpid():
                self._made = (os.getpid(), _make(self._options))
            return self._made[1]

    def forget(self) -> None:
        """Start anew in a forked child: its parent's connections are not its own, nor is a lock that was held there."""
        self._lock = threading.Lock()
        self._made = None


_ALL: Final[WeakSet[Clients]] = WeakSet()


def _after_fork() -> None:
    for clients in list(_ALL):
        clients.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def client(
    session: boto3.Session, options: S3Options, endpoint: str, *, attempts: int, read_timeout_s: float
) -> S3Client:
    """A client with every setting named that differs between stores.

    SigV4 is asked for because boto3 still signs URLs with SigV2 in some regions. Checksums only when required: others
    than AWS refuse the chunked bodies that carry them.
    """
    return session.client(
        "s3",
        endpoint_url=endpoint or None,
        config=Config(
            signature_version="s3v4",
            s3={"addressing_style": options.style},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            retries={"mode": "standard", "total_max_attempts": attempts},
            connect_timeout=options.connect_timeout_s,
            read_timeout=read_timeout_s,
            max_pool_connections=32,
            # A proxy of the environment leads nowhere for a store on this machine.
            proxies={} if endpoint and is_loopback(endpoint) else None,
        ),
    )


def session_of(options: S3Options) -> boto3.Session:
    """A session of its own: the default one of boto3 is shared by everybody in the process and not safe to make."""
    if not options.access_key:
        return boto3.Session(region_name=options.region)
    return boto3.Session(
        aws_access_key_id=options.access_key,
        aws_secret_access_key=options.secret_key,
        aws_session_token=options.session_token or None,
        region_name=options.region,
    )


def _found(session: boto3.Session) -> BotoCredentials:
    found = session.get_credentials()
    if found is None:
        raise StorageUnavailable("the object store needs credentials: no key, role or profile was found")
    return found


def _make(options: S3Options) -> ClientSet:
    session = session_of(options)
    _found(session)  # without them boto3 writes no address either, and would say so in words of its own
    public = client(
        session, options, options.public_endpoint or options.endpoint, attempts=1, read_timeout_s=options.read_timeout_s
    )
    return ClientSet(
        calls=client(
            session,
            options,
            options.endpoint,
            attempts=options.attempts,
            read_timeout_s=options.read_timeout_s,
        ),
        slow=client(session, options, options.endpoint, attempts=1, read_timeout_s=options.slow_timeout_s),
        public=public,
        address=_address(public, options.bucket),
        session=session,
    )


def _address(public: S3Client, bucket: str) -> Address:
    """Where boto3 sends requests for this bucket: its own rules decide, once, and we only read the result."""
    url = public.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"})
    parts = urlsplit(url)
    return Address(
        base=f"{parts.scheme}://{parts.netloc}",
        host=_signed_host(parts),
        prefix=parts.path.removesuffix("k"),
        region=public.meta.region_name,
    )


def _signed_host(url: SplitResult) -> str:
    """What clients send as Host: in lower case, and without the port that goes without saying."""
    name = url.hostname or ""
    host = f"[{name}]" if ":" in name else name
    usual = {"http": 80, "https": 443}[url.scheme]
    return host if url.port in {None, usual} else f"{host}:{url.port}"
