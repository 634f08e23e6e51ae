"""What every check says of a pair, as JSON."""

from __future__ import annotations

from typing import Any

import numpy as np

from transreward.domains.domain import Domain
from transreward.domains.names import Entry, action_entries, entries
from transreward.runs import store
from transreward.types import Pair

SCHEMA = 1


def about(pair: Pair[Domain], seed: int, source_run: str | None) -> dict[str, Any]:
    """The request, and the spaces."""
    return {
        "schema": SCHEMA,
        "versions": store.versions(),
        "source": pair.source.name,
        "target": pair.target.name,
        "seed": seed,
        "source_run": source_run,
        "spaces": pair.map(_space)._asdict(),
    }


def _space(d: Domain) -> dict[str, Any]:
    def row(entry: Entry) -> dict[str, Any]:
        bounds = {k: v if np.isfinite(v) else None for k, v in (("low", entry.low), ("high", entry.high))}
        return {"name": entry.name, "unit": entry.unit, "part": entry.part, **bounds}

    return {
        "observation": [row(entry) for entry in entries(d)],
        "action": [row(entry) for entry in action_entries(d)],
        "episode_steps": d.episode_steps,
        "reward_terms": list(d.reward_terms),
    }
