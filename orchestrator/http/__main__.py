"""`python -m orchestrator.http`: the HTTP process, with the settings that UNDERSTUDY_CONFIG and variables give."""

from __future__ import annotations

from orchestrator.http.server import run
from orchestrator.logs import configure_logging
from orchestrator.settings import load


def main() -> None:
    settings = load()
    configure_logging(settings.log.level, settings.log.format)
    run(settings)


if __name__ == "__main__":
    main()
