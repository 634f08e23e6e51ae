"""Why what a run's compensation learned is of no use elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from transreward.domains.bridged import view_of
from transreward.row import Method


def withheld(config: dict[str, Any], row: Method, log: Sequence[dict[str, Any]]) -> str:
    """Why the compensation of a run of this method cannot pay other steps, by its config.json and metrics.jsonl; empty
    where it can. A source that nobody else has is one in another view of its robot, or an identified simulator."""
    name, source, of_source = config["method"], config["source"], row.side == "source"
    if row.use is None:
        return f"'{name}' has no compensation: it trains on raw rewards"
    if of_source and view_of(source):
        return (
            f"'{name}' learned what a source step is worth as {source} shows it, which no other environment does: run "
            f"it with `bridge=none`"
        )
    if of_source and any(line.get("grounded_explained") for line in log):
        return (
            f"'{name}' learned what the target does unlike the simulator that it identified, not unlike {source}: its "
            f"compensation cannot be computed for other steps"
        )
    if row.needs("source_model") and any(line.get("twin") == "model" for line in log):
        return (
            f"'{name}' learned the target's difference to a model of the source, which the run does not keep: its "
            f"compensation cannot be computed for other steps"
        )
    return ""
