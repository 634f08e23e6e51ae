"""Which policies a run with candidates delivered, in words."""

from __future__ import annotations

from collections import Counter
from typing import Any

from transreward.evaluation.verdict import number


def delivered_in_words(seeds: list[dict[str, Any]]) -> str:
    """`seeds` of fallback.json. Of one seed with what is known of each candidate; of several how many have which, and
    how many of these policies never acted in a whole target episode."""
    names = [one["delivered"] for one in seeds]
    if len(seeds) == 1:
        own = sorted(seeds[0]["candidates"], key=lambda c: c["name"] != names[0])  # what is delivered first
        first, *others = map(_known, own)
        return first + (f", rather than {'; '.join(others)}" if others else "")
    text = ", ".join(f"{name} {n} of {len(names)}" for name, n in Counter(names).items())
    untested = sum(not _own(one)["episodes"] for one in seeds)
    return text + (f", {untested} of them not tested on the target" if untested else "")


def _own(seed: dict[str, Any]) -> dict[str, Any]:
    return next(c for c in seed["candidates"] if c["name"] == seed["delivered"])


def _known(candidate: dict[str, Any]) -> str:
    n, mean = candidate["episodes"], number(candidate["mean"])
    if not n:
        return f"{candidate['name']}, foreseen {mean}, not tested on the target"
    return f"{candidate['name']}, expected {mean} after {n} episode{'s' * (n > 1)}"
