"""Which of several sources helped: what each one's policy earned, and what became of it, seed by seed."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from transreward.evaluation.diagnostics import guided, guided_by
from transreward.evaluation.verdict import number
from transreward.fallback import SOURCE
from transreward.reports.subject import Subject
from transreward.types import ZERO_SHOT

COLUMNS = ["source", "return in the source", "zero-shot in the target", "target episodes", "learned on", "delivered"]
GUIDED = "guided in"  # a column for methods that ask all policies state by state: of the states, in training
WEIGHTED = ["nats a step from the target", "drawn"]
HTML = """\
<h2>Which source helped</h2>
<p>{{ said }}</p>
<p class="quiet">Each source has an agent of its own. Their policies act in turn in the first target episodes; the \
method goes on from the one that is believed to be the best, seed by seed, and all stay candidates.\
{% if weighted %} Steps of the sources were drawn by how like the target's they are: in nats, how much better the \
target foretells one of its own steps than the source does.{% endif %}</p>
{{ plain("What became of each source", columns, rows) }}
"""


def content(subject: Subject) -> dict[str, Any] | None:
    one = subject.focus
    sources = (one.result or {}).get("sources")
    if not sources or one.fallback is None:
        return None
    seeds, columns, said = one.fallback["seeds"], [*COLUMNS], went_on(sources, one.fallback["seeds"])
    rows = [_row(source, seeds) for source in sources]
    if shares := guided(one.own):
        columns, rows = [*columns, GUIDED], [[*row, f"{x:.0%}"] for row, x in zip(rows, shares, strict=True)]
        said += f" It was {guided_by({one['id']: x for one, x in zip(sources, shares, strict=True)})}."
    if weighted := all(source.get("weight") and source.get("divergence") for source in sources):
        columns += WEIGHTED
        rows = [[*row, *_drawn(source)] for row, source in zip(rows, sources, strict=True)]
    return {"said": said, "columns": columns, "rows": rows, "weighted": weighted}


def led(subject: Subject) -> str:
    """Whose policy `zero_shot` is, where another source's returns more in the target as it is; else empty."""
    sources = (subject.focus.result or {}).get("sources") or []
    means = [one["zero_shot_target_return"]["mean"] for one in sources if one["zero_shot_target_return"]]
    shown = [r.outcome.mean for r in subject.records if r.config["method"] == ZERO_SHOT and len(r.outcome.per_seed)]
    if not (shown and means) or len(means) < len(sources) or max(means) <= max(means[0], *shown):
        return ""
    best = sources[means.index(max(means))]["id"]
    return f"it is the policy of {sources[0]['id']} alone, and that of {best} returns {number(max(means))} as it is"


def _row(source: dict[str, Any], seeds: list[dict[str, Any]]) -> list[str]:
    name, many = f"{SOURCE} {source['id']}", len(seeds)
    acted = sum(c["episodes"] for seed in seeds for c in seed["candidates"] if c["name"] == name)
    began, ended = (sum(seed.get(key) == name for seed in seeds) for key in ("began", "delivered"))
    learned = f"{began} of {many}" if any("began" in seed for seed in seeds) else "-"
    returns = [_mean(source[key]) for key in ("source_return", "zero_shot_target_return")]
    return [source["id"], *returns, str(acted), learned, f"{ended} of {many}"]


def _drawn(source: dict[str, Any]) -> list[str]:
    """How far it is from the target, and the share of the source steps that come from it, both at the end and over
    seeds; with the range of the latter."""
    shares = source["weight"]
    spread = f" ({min(shares):.0%} to {max(shares):.0%})" if len(shares) > 1 else ""
    return [number(fmean(source["divergence"])), f"{fmean(shares):.0%}{spread}"]


def _mean(known: dict[str, Any] | None) -> str:
    return "-" if known is None else number(known["mean"])


def went_on(sources: Sequence[dict[str, Any]], seeds: Sequence[dict[str, Any]]) -> str:
    """From whose policy a method went on, in one sentence; `seeds` of fallback.json."""
    began = {source["id"]: sum(s.get("began") == f"{SOURCE} {source['id']}" for s in seeds) for source in sources}
    used = [f"{name} for {n} of {len(seeds)} seeds" for name, n in began.items() if n]
    return f"The method went on from the policy of {', '.join(used)}." if used else "No policy was trained on from."
