"""The process that looks at one file and ends: `python -I -m orchestrator.adapters.media.child FD`.

It has no credentials, no network and no files: only a socket on which it asks its parent for ranges of the file. All
imports happen before it confines itself, and it confines itself before the first byte of the file.
"""

from __future__ import annotations

import json
import os
import resource
import socket
import sys
import time
from typing import TYPE_CHECKING, Any, Final

from orchestrator.adapters.media import confine, wire
from orchestrator.adapters.media.findings import Report, Unusable, finding
from orchestrator.adapters.media.ranges import Reader

if TYPE_CHECKING:
    from collections.abc import Callable

_KIB: Final = 1024


def _prepare(kind: str) -> Callable[[Reader, Report], None]:
    """Import and open whatever the kind may need: nothing can be loaded later."""
    if kind in {"image", "document"}:
        from orchestrator.adapters.media import documents, images  # noqa: PLC0415 - only when needed

        images.warm_up()
        return images.probe_image if kind == "image" else documents.probe_document
    import av  # noqa: PLC0415 - only when needed
    import av.audio.codeccontext  # noqa: PLC0415
    import av.audio.frame  # noqa: PLC0415
    import av.audio.stream  # noqa: PLC0415
    import av.logging  # noqa: PLC0415
    import av.sidedata.sidedata  # noqa: PLC0415
    import av.subtitles.codeccontext  # noqa: PLC0415
    import av.subtitles.stream  # noqa: PLC0415
    import av.video.codeccontext  # noqa: PLC0415
    import av.video.frame  # noqa: PLC0415
    import av.video.stream  # noqa: PLC0415

    from orchestrator.adapters.media import audio, decode, probe  # noqa: PLC0415

    av.logging.set_level(None)
    for name in decode.VIDEO_CODECS + decode.SOUND_CODECS:
        av.CodecContext.create(name, "r")
    return audio.probe_audio if kind == "audio" else probe.probe_video


class _MemoryMeter:
    """The most memory this process ever held. On Linux getrusage would count what the parent held before the start."""

    def __init__(self) -> None:
        try:
            self._status: int | None = os.open("/proc/self/status", os.O_RDONLY)
        except OSError:
            self._status = None

    def peak_bytes(self) -> int:
        if self._status is not None:
            for line in os.read(self._status, 1 << 16).splitlines():
                if line.startswith(b"VmHWM:"):
                    return int(line.split()[1]) * _KIB
        used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return used * (1 if sys.platform == "darwin" else _KIB)


def _run(channel: socket.socket) -> dict[str, Any]:
    job = json.loads(wire.receive_message(channel, wire.MAX_RESULT_BYTES))
    look = _prepare(job["kind"])
    confine.limit(job["memory_bytes"], job["cpu_s"])
    memory = _MemoryMeter()
    confined = confine.confine()
    report = Report()
    reader = Reader(lambda offset, length: wire.ask(channel, offset, length), job["size_bytes"])
    try:
        look(reader, report)
    except Unusable as exc:
        report.problem(exc.reason)
    except MemoryError:
        message = f"The check was stopped after {job['memory_bytes'] // 1024**2} MB."
        report.problem(finding("probe_limit_exceeded", "memory", message, allowed=job["memory_bytes"]))
    return {
        "facts": report.facts,
        "problems": [each.as_dict() for each in report.problems],
        "notes": [each.as_dict() for each in report.notes],
        "confined": confined,
        "peak_bytes": memory.peak_bytes(),
        "cpu_s": round(time.process_time(), 3),
    }


def main() -> None:
    channel = socket.socket(fileno=int(sys.argv[1]))
    channel.setblocking(True)  # noqa: FBT003 - the socket's own signature
    try:
        result = _run(channel)
    except wire.Closed:
        os._exit(0)  # the parent has stopped listening: nobody needs a report
    except Exception as exc:  # noqa: BLE001 - the top of a process: the parent logs it and refuses the file
        trace = exc.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        where = "" if trace is None else f" in {trace.tb_frame.f_code.co_qualname}, line {trace.tb_lineno}"
        result = {"error": f"{type(exc).__name__}{where}"}
    channel.sendall(wire.RESULT)
    wire.send_message(channel, json.dumps(result).encode())
    os._exit(0)  # no clean-up: the interpreter's own needs calls that are closed


if __name__ == "__main__":
    main()
