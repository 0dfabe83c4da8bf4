"""`python -m orchestrator.http`: the HTTP process, with the settings that UNDERSTUDY_CONFIG and variables give."""

from __future__ import annotations

from orchestrator.bootstrap import refuse_other_schema
from orchestrator.domain.errors import Invalid, Refused
from orchestrator.http.server import run
from orchestrator.logs import configure_logging
from orchestrator.settings import load


def main() -> None:
    """Serve. What keeps it from beginning is one line on standard error, and exit code 1."""
    try:
        settings = load()
        configure_logging(settings.log.level, settings.log.format)
        refuse_other_schema(settings)
        run(settings)
    except (Invalid, Refused) as exc:
        raise SystemExit(exc.message) from None


if __name__ == "__main__":
    main()
