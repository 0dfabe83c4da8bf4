"""`python -m orchestrator.http`: the HTTP process, with the settings that UNDERSTUDY_CONFIG and variables give."""

from __future__ import annotations

from orchestrator.bootstrap import refuse_other_schema
from orchestrator.domain.errors import Refused
from orchestrator.http.server import run
from orchestrator.logs import configure_logging
from orchestrator.settings import load


def main() -> None:
    settings = load()
    configure_logging(settings.log.level, settings.log.format)
    try:
        refuse_other_schema(settings)
    except Refused as exc:
        raise SystemExit(exc.message) from None
    run(settings)


if __name__ == "__main__":
    main()
