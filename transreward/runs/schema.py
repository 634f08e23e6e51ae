"""What each file of a run directory must hold to be read."""

from __future__ import annotations

from types import UnionType
from typing import Any

SEEDS, FIRST_SEED = range(1, 10_001), range(10**9 + 1)
COLUMNS = range(1, 1_000_001)  # of an observation or action
COUNT = range(2**53)  # whatever is counted: JSON's readers elsewhere know numbers up to there
LONGEST = 10_000  # entries of a list, characters of a text
SHOWN = 60  # characters of what is damaged

NUMBER = float | int
TEXTS, NUMBERS, GAPPED, TERMS = [str], [NUMBER], [NUMBER | None], {str: NUMBER}
EVAL_TARGETS = frozenset({"simulated", "training", "none"})
PARAMETER = {
    "name": str,
    "pattern": str | None,
    "unit": str,
    **dict.fromkeys(("source", "value", "low", "high"), NUMBER),
}
CANDIDATE = {"name": str, "mean": NUMBER, "low": NUMBER, "high": NUMBER, "episodes": COUNT}
ACTED = {"who": str, "return": NUMBER, "target_steps": COUNT}
ADOPTED = {"library": str, "file": str, "sha256": str, "exact": bool, "apart": NUMBER, "source_return": NUMBER}
# By path, where `a.b` is of a part that is no null, and `a?` of one that need not be there. What it is: a type, the
# range of a whole number, a set of words, [such a kind] of all entries of a list, {str: such a kind} of all of a
# mapping, {"a": a kind, "b?": a kind} of these keys of one, (a kind, a kind) of a list's entries one by one.
KEYS: dict[str, dict[str, Any]] = {
    "config.json": {
        "source": str, "target": str, "method": str, "source_steps": COUNT, "target_steps": COUNT, "seeds": SEEDS,
        "seed": FIRST_SEED, "source_run": str | None, "learner": dict, "learner.name": str, "loop": dict,
        "loop.eval_target?": EVAL_TARGETS, "loop.aligned?": NUMBER,
        "loop.converged?": COUNT, "spaces": dict, "spaces.obs": COLUMNS, "spaces.action": COLUMNS,
        "spaces.low": NUMBERS, "spaces.high": NUMBERS, "spaces.obs_names?": TEXTS, "spaces.action_names?": TEXTS,
        "spaces.obs_low?": GAPPED, "spaces.obs_high?": GAPPED, "spaces.changing?": {str: TEXTS},
        "spaces.apart?": {str: list}, "spaces.shared?": {"obs": [COUNT], "action": [COUNT]},
        "versions": {str: str}, "controls?": TEXTS, "imports?": TEXTS,
        "variant?": str, "feed?": dict, "gap?": dict, "use?": dict, "gate?": dict, "replaced?": dict,
        "evaluate?": str, "offline?": dict, "sources?": TEXTS,
        "shift?": dict | None, "shift.share": NUMBER, "shift.states": COUNT, "shift.obs": NUMBER,
        "shift.relative": NUMBER, "shift.entries": [(COUNT, NUMBER)],
        "shift.reward": NUMBER, "shift.target_steps": COUNT,
    },
    "result.json": {
        "source_steps": COUNT, "target_steps": COUNT, "target_return": dict | None, "target_return.per_seed": NUMBERS,
        "zero_shot_target_return": dict | None, "zero_shot_target_return.per_seed": NUMBERS,
        "source_return?": dict | None, "source_return.per_seed": NUMBERS, "source_return.mean": NUMBER,
        "source_evaluation_steps?": COUNT, "target_evaluation_steps?": COUNT, "rounds?": COUNT, "updates?": COUNT,
        "aligned_return?": NUMBER, "success?": {str: NUMBERS},
        "source_success?": {str: NUMBERS}, "source_agent_return?": NUMBERS,
        "sources?": [{
            "id": str, "steps": COUNT, "source_return": dict | None, "zero_shot_target_return": dict | None,
            "weight?": NUMBERS, "divergence?": NUMBERS,
        }],
        "estimated?": {"per_seed": NUMBERS, "log": NUMBER, "discount": NUMBER},
        "recorded?": {"episodes": COUNT, "mean": NUMBER, "least": NUMBER, "most": NUMBER},
        "delivered?": TEXTS, "stopped": str, "wall_seconds": NUMBER, "warnings?": TEXTS,
    },
    "provenance.json": {
        "command?": str, "started?": str, "machine?": dict, "machine.system?": str, "machine.processor?": str,
        "machine.cores?": COUNT, "machine.python?": str, "machine.device?": str, "source_policy?": ADOPTED,
    },
    "agent.json": {
        "source": str, "learner": dict, "learner.name": str, "seeds": [FIRST_SEED], "steps": COUNT,
        "evaluation_steps?": (COUNT, COUNT),
    },
    "adopted.json": ADOPTED,
    "comparison.json": {"methods": dict},
    "identification.json": {
        "source": str, "id": str, "words": TEXTS, "parameters": [PARAMETER], "explained": NUMBER, "target_steps": COUNT,
        "one_step_error": (NUMBER, NUMBER), "ten_step_error": (NUMBER | None, NUMBER | None), "discarded": bool,
        "entries": [{"name": str, "before": NUMBER, "after": NUMBER}],
        "seeds?": [{"parameters": [PARAMETER], "motors": str | None, "explained": NUMBER, "sure?": bool}],
    },
    "fallback.json": {
        "target_steps": COUNT,
        "seeds": [{"seed": FIRST_SEED, "delivered": str, "candidates": [CANDIDATE], "episodes": [ACTED]}],
    },
    "request.json": {
        "source": str, "target": str, "method": str, "learner": dict | str | None, "source_steps": COUNT,
        "target_steps": COUNT, "seeds": SEEDS, "seed": FIRST_SEED, "settings": dict, "controls": TEXTS,
        "source_run": str | None, "cotrain": bool, "imports": TEXTS, "log": TEXTS, "compared?": TEXTS, "begun_in?": str,
        "evaluate?": str | None,
    },
    "metrics.jsonl": {
        "method": str, "phase?": str, "seed": FIRST_SEED, "source_steps": COUNT, "target_steps": COUNT,
        "source_return": NUMBER | None, "target_return": NUMBER | None, "compensated_return?": NUMBER | None,
        "source_terms?": TERMS, "target_terms?": TERMS, "target_success?": TERMS,
        "gap_by_time?": GAPPED, "gap_by_obs?": GAPPED,
        "gap_by_action?": GAPPED,
        **dict.fromkeys(
            ("round?", "updates?", "source_evaluation_steps?", "target_evaluation_steps?", "identified_steps?"), COUNT
        ),
        **dict.fromkeys(
            (
                "seconds?", "gap_mean?", "gap_std?", "gap_q05?", "gap_q50?", "gap_q95?", "gap_loss?", "gap_accuracy?",
                "gap_held_out_loss?", "gap_trust?", "gap_explained?", "reward_std?", "effective_sample_size?",
                "policy_change?", "source_diverged?", "target_diverged?", "identified_return?",
            ),
            NUMBER,
        ),
    },
}  # fmt: skip
MISSING = ("source_evaluation_steps", "target_evaluation_steps", "updates", "aligned_return")  # null where unknown


def damaged(name: str, value: dict[str, Any]) -> str:
    """What is wrong with an object of the file of that name, such as `has no 'seed'`; nothing: empty."""
    for path, kind in KEYS.get(name, {}).items():
        *section, key = path.rstrip("?").split(".")
        within = value.get(section[0]) if section else value
        if within is None or (path.endswith("?") and key not in within):
            continue
        if key not in within:
            return f"has no '{path}'"
        found = within[key]
        if not fits(found, kind) and not (found is None and key in MISSING):
            return f"is damaged: '{path.rstrip('?')}' is {cut(repr(found))}"
    return ""


def fits(value: Any, kind: Any) -> bool:
    """Whether a value is of a kind, see `KEYS`."""
    if isinstance(kind, range):
        return type(value) is int and value in kind
    if isinstance(kind, tuple):
        return isinstance(value, list) and len(value) == len(kind) and all(map(fits, value, kind))
    if isinstance(kind, frozenset):
        return isinstance(value, str) and value in kind
    if isinstance(kind, list):
        return isinstance(value, list) and len(value) <= LONGEST and all(fits(x, kind[0]) for x in value)
    if isinstance(kind, dict) and str in kind:
        return isinstance(value, dict) and all(fits(x, kind[str]) for x in value.values())
    if isinstance(kind, dict):
        return isinstance(value, dict) and all(_has(value, key, of) for key, of in kind.items())
    if isinstance(value, str) and len(value) > LONGEST:
        return False
    if isinstance(value, bool) and isinstance(kind, UnionType) and bool not in kind.__args__:  # it is an int, too
        return False
    return isinstance(value, kind)


def _has(value: dict[str, Any], key: str, kind: Any) -> bool:
    name = key.rstrip("?")
    return fits(value[name], kind) if name in value else name != key


def cut(text: str) -> str:
    """As much of it as fits a line."""
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
