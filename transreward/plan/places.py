"""In which of its domains a method's robots walk."""

from __future__ import annotations

from transreward.domains.domain import Domain
from transreward.domains.several import Several
from transreward.methods import Method
from transreward.request.budgets import falls_back
from transreward.request.config import Config


def walks_in(config: Config, row: Method) -> Domain:
    """Where a method's robots walk in the source: where there are several, in all of them side by side, unless the
    method puts one where the target was."""
    if not config.others or not falls_back(config, row) or row.ground is not None or row.replayed:
        return config.domains.source
    return Several(config.sources)
