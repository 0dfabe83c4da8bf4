"""How every process of ours writes its log: events with fields, one JSON object a line, or lines for people.

No query string and no password of a URL gets through: signed URLs are bearer secrets, whoever logs them.
"""

from __future__ import annotations

import logging
import re
import sys
from typing import Final

import structlog

_QUERY: Final = re.compile(r"(https?://[^\s\"'?]+)\?[^\s\"'<>]+")
_SIGNED: Final = re.compile(r"\?[^\s\"'<>]*X-Amz-[^\s\"'<>]*", re.IGNORECASE)  # also without scheme and host
_PASSWORD: Final = re.compile(r"(\w://[^\s\"'/:@]*):(?!\*\*@)[^\s\"'/@]+@")
# They tell of every request, message and task; our own events tell what came of it.
_QUIET: Final = (
    *("botocore", "boto3", "urllib3", "s3transfer", "httpx", "httpcore", "alembic"),
    *("celery.worker.strategy", "celery.app.trace", "celery.beat"),
)


def configure_logging(level: str = "info", form: str = "json") -> None:
    """Set up structlog and the standard library's logging alike, on standard error. May be called again.

    Args:
        level: debug, info, warning or error.
        form: "json" or "console".
    """
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _without_queries,
    ]
    last: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=False)
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _without_queries, last],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


def _without_queries(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    return {key: _clean(value) for key, value in event.items()}


def _clean(value: object) -> object:
    if isinstance(value, str):
        if "?" in value:
            value = _SIGNED.sub("?…", _QUERY.sub(r"\1?…", value))
        return _PASSWORD.sub(r"\1:…@", value) if "@" in value else value
    if isinstance(value, dict):
        return {key: _clean(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean(each) for each in value]
    if isinstance(value, BaseException):
        return _clean(repr(value))
    return value
