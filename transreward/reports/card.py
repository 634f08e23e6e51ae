"""The model card of an exported policy: README.md in the format of model hubs, with results and limits."""

from __future__ import annotations

from typing import Any

import numpy as np

from transreward.domains.several import sources_in
from transreward.evaluation.statistics import Summary, known
from transreward.evaluation.verdict import ENOUGH
from transreward.runs.result import Result
from transreward.types import ASKED, CEILING, DATA, ZERO_SHOT

ALONE = (
    ": `low`, `high`, `change` and `safe` of the session are not in it, so set them again where it acts (`change` is a "
    "parameter of policy_node.py)"
)
LOAD = """\
import numpy as np
import onnxruntime

policy = onnxruntime.InferenceSession("{file}")
observation = np.zeros((1, {observations}), np.float32)  # raw, in the contract's order and units
(action,) = policy.run(["action"], {{"observation": observation}})  # [1, {actions}], inside its box
"""


def text(run: Result, about: dict[str, Any]) -> str:
    """README.md of the export that `about`, the contract, describes."""
    parts = (
        front_matter(run, about),
        f"# {about['robot']}: {_pair(about)}",
        _introduction(run, about),
        _results(run, about),
        _limits(run, about),
        _use(about),
        _entries(about),
        _provenance(run, about),
    )
    return "\n\n".join(parts) + "\n"


def front_matter(run: Result, about: dict[str, Any]) -> str:
    """YAML, by the Hugging Face Hub's specification of model cards; the licence is left to whoever publishes."""
    import yaml

    returns, target = known(run.target_return), _judge(run, about)
    result = {
        "task": {"type": "reinforcement-learning", "name": "reinforcement-learning"},
        "dataset": {"name": target, "type": target},
        "metrics": [_metric(returns)] if returns else [],
    }
    head = {
        "library_name": "transreward",
        "pipeline_tag": "reinforcement-learning",
        "tags": ["reinforcement-learning", "transfer-learning", "robotics", "onnx", run.method, run.learner.name],
        "model-index": [{"name": f"{run.method}-{about['robot']}", "results": [result]}],
    }
    return f"---\n{yaml.safe_dump(head, sort_keys=False, allow_unicode=True)}---"


def _metric(returns: Summary) -> dict[str, Any]:
    spread = "" if returns["ci95"] is None else f" +/- {returns['ci95'][1] - returns['mean']:.2f}"
    return {
        "type": "mean_reward",
        "name": "raw return, mean over seeds with the half-width of its 95% interval",
        "value": f"{returns['mean']:.2f}{spread}",
        "verified": False,
    }


def _pair(about: dict[str, Any]) -> str:
    return f"`{about['source']['id']}` to `{about['id']}`"


def _judge(run: Result, about: dict[str, Any]) -> str:
    """The domain whose returns the card has: the target, or the simulator that stands for it."""
    return run.config.get("evaluate", about["id"])


def _introduction(run: Result, about: dict[str, Any]) -> str:
    return (
        f"A deterministic policy that TransReward transferred from {_pair(about)} with `{run.method}` and "
        f"`{run.learner.name}`, from {run.steps.source:,} source steps and, in the target, {run.account}. It is the "
        f"policy of seed {about['run']['seed']}; the results are those of all {run.config['seeds']} seeds, since "
        f"picking a seed by its returns would spend target steps. Reward: {' + '.join(about['reward_terms'])}."
    )


def _results(run: Result, about: dict[str, Any]) -> str:
    """A table of every method of the run; returns are raw."""
    rows = [(f"**{run.method}**", run.target_return, run.account)]
    rows += [(name, control.target_return, control.account) for name, control in run.controls.items()]
    if run.zero_shot is not None and ZERO_SHOT not in run.controls:
        rows.append((ZERO_SHOT, run.zero_shot, "0 learning"))
    of = {"simulated": f"{run.target_return.shape[1]} episodes", "training": "their last training episodes"}
    lines = [
        "## Results",
        f"Raw return in `{_judge(run, about)}`, {run.config['seeds']} seeds of "
        f"{of.get(run.eval_target, 'no episodes')}; the interval is Student's t over seeds, 95%. Target steps are per "
        "seed.",
        "| method | target return | 95% interval | per seed | target steps |\n|---|---|---|---|---|",
    ]
    table = [f"| {name} | {_cells(known(returns))} | {steps} |" for name, returns, steps in rows]
    lines[-1] += "\n" + "\n".join(table)
    own = int(about["run"]["seed"]) - run.config["seed"]
    source = known(run.source_return)
    returned = run.target_return[own]
    where = f"`{_judge(run, about)}`" if "evaluate" in run.config else "the target"
    alone = f"{returned.mean():,.1f} in {where}" if returned.size else f"nothing yet: it was not evaluated in {where}"
    lines.append(f"This file's own seed returned {alone}.")
    if source is not None:
        lines[-1] += f" In `{about['source']['id']}` all seeds returned {source['mean']:,.1f} ({_interval(source)})."
    return "\n\n".join(lines)


def _cells(of: Summary | None) -> str:
    if of is None:
        return "not evaluated | - | -"
    return f"{of['mean']:,.1f} | {_interval(of)} | {' '.join(f'{r:,.1f}' for r in of['per_seed'])}"


def _interval(of: Summary) -> str:
    return "-" if of["ci95"] is None else f"{of['ci95'][0]:,.1f} to {of['ci95'][1]:,.1f}"


def _limits(run: Result, about: dict[str, Any]) -> str:
    """Limits of the results, in sentences."""
    seeds, limits = run.config["seeds"], []
    if seeds == 1:
        limits.append("One seed: there is no interval, and another seed may do far better or worse.")
    elif seeds < ENOUGH:
        limits.append(f"{seeds} seeds: the interval is wide, and another seed may lie outside it.")
    if run.eval_target == "simulated":
        logged = any(id.startswith(DATA) for id in (*sources_in(run.config), run.config["target"]))
        limits.append(f"It was {'' if logged else 'trained and '}evaluated in simulation only, never on hardware.")
    limits += [
        "Outside the range of observations in its rollouts (`seen` in the contract) its actions are arbitrary.",
        f"It has no safety limits but the box of its actions{ALONE if ASKED in run.config['target'] else ''}.",
        *(f"The run warns: {warning}" for warning in run.warnings),
    ]
    if run.method == CEILING:
        limits.append("It was trained in the target with the source's budget: a ceiling, not a transfer.")
    return "## Limits\n\n" + "\n".join(f"- {limit}" for limit in limits)


def _use(about: dict[str, Any]) -> str:
    code = LOAD.format(
        file=about["file"], observations=len(about["observations"]), actions=len(about["actions"])
    ).rstrip()
    rate = f" Ask it {about['control_hz']:g} times a second." if about["control_hz"] else ""
    return (
        f"## Use\n\n```python\n{code}\n```\n\nThe normaliser and the scaling of the actions are inside.{rate} "
        f"`policy_contract.json` holds every entry's name, unit, order and range. On {about['check']['states']:,} "
        f"states of real episodes the file's actions differed from the policy's by at most "
        f"{about['check']['max_error']:.1e}."
    )


def _entries(about: dict[str, Any]) -> str:
    """Order, names and units; the whole is in the contract."""

    def table(title: str, rows: list[dict[str, Any]]) -> str:
        head = f"### {title}\n\n| | name | unit | range |\n|---|---|---|---|\n"
        return head + "\n".join(f"| {r['index']} | {r['name']} | {r['unit']} | {_range(r)} |" for r in rows)

    return f"{table('Observations', about['observations'])}\n\n{table('Actions', about['actions'])}"


def _range(row: dict[str, Any]) -> str:
    if row["range"] is None:
        return ""
    low, high = (np.inf if bound is None else bound for bound in row["range"])
    return f"{-low if np.isinf(low) else low:.4g} to {high:.4g}" + (" (soft)" if row["soft"] else "")


def _provenance(run: Result, about: dict[str, Any]) -> str:
    packages = ", ".join(f"{name} {version}" for name, version in about["run"]["versions"].items())
    again = "`config.json` of the run repeats it: `transreward transfer --config config.json`."
    if ASKED in run.config["target"]:
        again = "A program stepped the robot, so that no command repeats it."
    return (
        f"## Provenance\n\nTrained with {packages}; exported on {about['made']}. SHA-256 of `{about['file']}`: "
        f"`{about['sha256']}`. {again}"
    )
