"""The HTTP process: every public API over the same use cases, health and metrics."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

import anyio.to_thread
import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import DEFAULT_EXCLUDED_CONTENT_TYPES, GZipMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from orchestrator.adapters.broker_check import check_broker
from orchestrator.app.app import App
from orchestrator.bootstrap import build_app
from orchestrator.dialects.ims.app import Ims
from orchestrator.dialects.metastudio.app import PREFIX as METASTUDIO_PREFIX
from orchestrator.dialects.metastudio.app import MetaStudio
from orchestrator.dialects.native import problems
from orchestrator.dialects.native.app import PREFIX, create_native
from orchestrator.domain.downloads import OPAQUE
from orchestrator.domain.errors import UnderstudyError
from orchestrator.http.edge import Edge
from orchestrator.http.health import Readiness
from orchestrator.http.limits import RateLimits
from orchestrator.http.metrics import Metrics
from orchestrator.http.routing import ActionRoute, WholeMount, form_of
from orchestrator.settings import Settings
from orchestrator.version import our_version

GZIP_FROM_BYTES: Final = 1024
# Models are dense already: packing gigabytes of them again costs a core, and the length of the answer.
_SENT_AS_IT_IS: Final = (*DEFAULT_EXCLUDED_CONTENT_TYPES, OPAQUE)

log = structlog.get_logger()


def create_asgi(settings: Settings, *, app: App | None = None) -> Starlette:
    """The application that uvicorn serves. Nothing connects before the first request.

    Plain Starlette: every request of every API passes through here, and FastAPI's own layers are a tenth of a fast one.

    Args:
        app: use cases to serve; None builds them from the settings.
    """
    app = app or build_app(settings)
    ready = Readiness(_checks(settings, app), necessary=frozenset({"database"}))
    metrics = Metrics(app.context)

    @asynccontextmanager
    async def lifespan(_asgi: Starlette) -> AsyncIterator[None]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = settings.api.threads
        yield
        ready.close()
        for part in (app.context.waker, app.context.store):
            close = getattr(part, "close", None) or getattr(part, "dispose", None)
            if close is not None:
                await anyio.to_thread.run_sync(close)

    asgi = Starlette(lifespan=lifespan)
    asgi.router.redirect_slashes = False
    asgi.add_exception_handler(HTTPException, problems.on_http_error)
    asgi.add_exception_handler(UnderstudyError, problems.on_error)
    asgi.add_exception_handler(Exception, problems.on_bug)
    _add_health(asgi, ready)
    if settings.api.metrics:
        _add_metrics(asgi, metrics)
    native = create_native(app, version=our_version(), idempotency_lifetime=settings.api.idempotency_lifetime)
    asgi.router.routes += [WholeMount(PREFIX, native), WholeMount(METASTUDIO_PREFIX, MetaStudio(app))]
    asgi.router.routes.insert(0, ActionRoute(Ims(app)))
    asgi.add_middleware(
        GZipMiddleware, minimum_size=GZIP_FROM_BYTES, compresslevel=5, exclude_content_types=_SENT_AS_IT_IS
    )
    asgi.add_middleware(
        Edge,
        body_limit=settings.api.body_limit,
        observe=metrics.observe,
        limits=RateLimits(settings.api.requests_per_key, settings.api.failed_sign_ins),
        form_of=form_of,
    )
    return asgi


def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, then let requests under way end."""
    api = settings.api
    asgi = create_asgi(settings)
    config = uvicorn.Config(
        asgi,
        host=api.host,
        port=api.port,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(api.trusted_proxies),
        forwarded_allow_ips=list(api.trusted_proxies),
        timeout_keep_alive=75,
        timeout_graceful_shutdown=round(api.shutdown_grace.total_seconds()),
    )
    log.info("api starts", host=api.host, port=api.port)
    uvicorn.Server(config).run()


def _checks(settings: Settings, app: App) -> dict[str, Callable[[], None]]:
    def store() -> None:
        app.context.storage.head("readyz")

    checks: dict[str, Callable[[], None]] = {"database": app.context.store.ping, "store": store}
    if settings.broker.kind != "none":
        url, prefix = settings.broker.url.get_secret_value(), settings.broker.prefix
        checks["broker"] = lambda: check_broker(url, prefix)
    return checks


def _add_health(asgi: Starlette, ready: Readiness) -> None:
    async def livez(_: Request) -> Response:
        """The process is up."""
        return JSONResponse({"status": "ok"})

    def readyz(_: Request) -> Response:
        """The parts we need, each by name; 503 when nothing can be served."""
        can_serve, parts = ready.look()
        status = "unavailable"
        if can_serve:
            status = "ok" if all(said == "ok" for said in parts.values()) else "degraded"
        return JSONResponse({"status": status, "parts": parts}, 200 if can_serve else 503)

    asgi.router.routes += [Route("/livez", livez), Route("/readyz", readyz)]


def _add_metrics(asgi: Starlette, metrics: Metrics) -> None:
    def numbers(_: Request) -> Response:
        """Prometheus's text format."""
        return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    asgi.router.routes.append(Route("/metrics", numbers))
