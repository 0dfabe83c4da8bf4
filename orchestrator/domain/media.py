"""What a file is, what a profile allows, and every reason to refuse it. No I/O: facts in, verdict out."""

from __future__ import annotations

from orchestrator.domain.media_facts import MediaFacts, MediaKind, Reason, Verdict
from orchestrator.domain.media_rules import ORDER, MediaRules, check

__all__ = ["ORDER", "MediaFacts", "MediaKind", "MediaRules", "Reason", "Verdict", "check"]
