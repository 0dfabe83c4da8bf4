"""How parent and child speak: the child asks for ranges, the parent answers bytes, the child ends with one report."""

from __future__ import annotations

import struct
from typing import Final, Protocol

READ: Final = b"R"
RESULT: Final = b"J"
MAX_REQUEST_BYTES: Final = 64 * 1024 * 1024
MAX_RESULT_BYTES: Final = 1024 * 1024
_READ_LAYOUT: Final = struct.Struct(">QI")
_LENGTH: Final = struct.Struct(">I")


class Channel(Protocol):
    """As much of a socket as is needed."""

    def recv(self, most: int, /) -> bytes: ...

    def sendall(self, data: bytes, /) -> None: ...


class Closed(Exception):
    """The other side is gone."""


def receive(channel: Channel, count: int) -> bytes:
    """Exactly `count` bytes. Raises Closed, TimeoutError."""
    out = bytearray()
    while len(out) < count:
        data = channel.recv(min(count - len(out), 1 << 20))
        if not data:
            raise Closed
        out += data
    return bytes(out)


def ask(channel: Channel, offset: int, length: int) -> bytes:
    """Child: bytes of the file."""
    channel.sendall(READ + _READ_LAYOUT.pack(offset, length))
    return receive_message(channel, MAX_REQUEST_BYTES)


def send_message(channel: Channel, data: bytes) -> None:
    channel.sendall(_LENGTH.pack(len(data)) + data)


def receive_message(channel: Channel, limit: int) -> bytes:
    (length,) = _LENGTH.unpack(receive(channel, _LENGTH.size))
    if length > limit:
        raise Closed
    return receive(channel, length)


def receive_request(channel: Channel) -> tuple[int, int] | None:
    """Parent: the next range asked for, None when the report follows. Raises Closed for anything else."""
    kind = receive(channel, 1)
    if kind == READ:
        offset, length = _READ_LAYOUT.unpack(receive(channel, _READ_LAYOUT.size))
        return offset, length
    if kind != RESULT:
        raise Closed
    return None
