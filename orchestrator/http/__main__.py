"""`python -m orchestrator.http`: the HTTP process, with the settings that UNDERSTUDY_CONFIG and variables give."""

from __future__ import annotations

from orchestrator.bootstrap import configure_logging
from orchestrator.http.server import run
from orchestrator.settings import load


def main() -> None:
    settings = load()
    configure_logging(settings)
    run(settings)


if __name__ == "__main__":
    main()
