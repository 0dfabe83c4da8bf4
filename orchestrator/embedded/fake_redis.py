"""fakeredis over TCP, for machines without a Redis binary: `python -m orchestrator.embedded.fake_redis --port N`.

It keeps nothing when it ends. Two ways in which fakeredis 2.40 differs from a server are put right here:

* Nagle's algorithm is on, so that every MULTI/EXEC waits 44 ms for a delayed acknowledgement.
* It hangs up after every error it answers, as NOSCRIPT, which redis-py's locks meet on their first use: the client
  then loses its connection at random.
"""

from __future__ import annotations

import argparse
from typing import Any

from fakeredis import TcpFakeServer
from fakeredis._clients._tcp_server import TCPFakeRequestHandler
from redis.exceptions import ResponseError


class _Handler(TCPFakeRequestHandler):
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        read = self.current_client.read_response

        def read_or_error(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - whatever Redis may answer
            try:
                return read(*args, **kwargs)
            except ResponseError as exc:
                return exc  # an answer like any other, encoded as `-NOSCRIPT ...`

        self.current_client.read_response = read_or_error  # type: ignore[method-assign]  # of this one connection


def serve(port: int) -> None:
    """Serve on `127.0.0.1:port` until killed."""
    TcpFakeServer.allow_reuse_address = True  # the same port again right after a restart
    server = TcpFakeServer(("127.0.0.1", port), server_version=(7, 0))
    server.daemon_threads = True
    server.RequestHandlerClass = _Handler
    server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m orchestrator.embedded.fake_redis")
    parser.add_argument("--port", type=int, required=True)
    serve(parser.parse_args().port)


if __name__ == "__main__":
    main()
