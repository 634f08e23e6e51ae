"""policy_contract.json: what has to be known to run an exported policy on a robot."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from transreward.bridges.bridge import Map
from transreward.domains.bridged import crossing_of
from transreward.domains.domain import Domain, control_rate, table_robot
from transreward.domains.history import history_of, without_history
from transreward.domains.names import Entry, action_entries, entries
from transreward.domains.shifts.kinds import Range
from transreward.reports.golden import Walk
from transreward.runs import store
from transreward.runs.result import Result
from transreward.types import Pair

OPSET, IR_VERSION = 17, 9  # old enough for runtimes on robots
LIMIT = 1e-5  # of the largest difference of an action, in its own unit or, in a box wider than that, in half widths
OBSERVATION, ACTION = "observation", "action"  # input and output of the graph
SET_POINT = re.compile(r"(\S+ )?(rad|m)")  # units in which an action asks for a position
DELAYS = {"actions": "delay", "observations": "sensor_delay"}  # names of shifts


def contract(
    run: Result, domains: Pair[Domain], seed: int, file: str, graph: bytes, normaliser: Any, walk: Walk, error: float
) -> dict[str, Any]:
    """Contents of policy_contract.json, but for the golden rows."""
    about, target = run.as_json(), domains.target
    return {
        "schema": store.SCHEMA,
        "file": file,
        "sha256": sha256(graph),
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        **describe(target),
        "source": describe(domains.source),
        "control_hz": control_rate(target),
        "episode_steps": target.episode_steps,
        "input": {"name": OBSERVATION, "dtype": "float32", "shape": ["batch", target.spaces.obs]},
        "output": {"name": ACTION, "dtype": "float32", "shape": ["batch", target.spaces.action]},
        "deterministic": True,
        "observations": _observations(target, walk.states),
        "history": history(target),
        "actions": _actions(target, walk.change),
        "delay": {**delays(target), "found": delays_found(run.saved)},
        "view": view(target),
        "normaliser": None if normaliser is None else _normaliser(normaliser),
        "check": {"states": len(walk.states), "max_error": error, "limit": LIMIT},
        "run": {
            **{key: about[key] for key in ("method", "learner", "source_steps", "target_steps")},
            "seed": about["seeds"][seed],
            "versions": about["versions"],
        },
        "versions": {**store.versions(), **{name: metadata.version(name) for name in ("onnx", "onnxruntime")}},
        "opset": OPSET,
    }


def describe(of: Domain) -> dict[str, Any]:
    """Robot, task and shifts of a domain; one that is not in the table has its id alone."""
    robot = table_robot(of)
    return {
        "id": of.name,
        "robot": robot.robot.name if robot else of.name,
        "task": [str(task) for task in (robot.tasks if robot else ())],
        "shifts": [str(shift) for shift in (robot.shifts if robot else ())],
        "reward_terms": list(of.reward_terms),
    }


def history(target: Domain) -> dict[str, Any] | None:
    """The commanded actions that end an observation: how many, in which columns [from, to), and what stands there when
    an episode begins."""
    n, spaces = history_of(target), target.spaces
    if not n:
        return None
    start = np.clip(np.zeros(spaces.action), spaces.low, spaces.high).tolist()
    return {"actions": n, "columns": [spaces.obs - n * spaces.action, spaces.obs], "start": start}


def delays(target: Domain) -> dict[str, Any]:
    """How many control steps late a domain's actions act and its observations are seen, [least, most] for a family;
    null where that is not known."""
    robot = table_robot(target)
    if robot is None:
        return dict.fromkeys(DELAYS)
    late: dict[str, Any] = {"actions": robot.physics.delay, "observations": robot.physics.sensor_delay}
    for key, name in DELAYS.items():
        told = [shift.value for shift in robot.shifts if shift.name == name]
        if any(isinstance(value, Range) for value in told):
            ends = [(v.low, v.high) if isinstance(v, Range) else (v, v) for v in told]
            late[key] = np.sum(ends, axis=0).tolist()
    return late


def delays_found(place: Path | None) -> dict[str, Any] | None:
    """What a run's identification.json says of delays, with the id in which its policy was trained; None without."""
    path = place and place / store.IDENTIFICATION
    if path is None or not path.exists():
        return None
    found = store.read_json(path)
    values = {one["name"]: one["value"] for one in found["parameters"]}
    return {"id": found["id"], **{key: values.get(name, 0) for key, name in DELAYS.items()}}


def view(target: Domain) -> dict[str, Any] | None:
    """The maps between a robot's own columns and those of the view in which its policy sees it. The last column of a
    matrix is what is added: shown = there @ [own, 1], and own = back @ [shown, 1]."""
    crossing = crossing_of(without_history(target))
    if crossing is None:
        return None
    own = crossing.own
    return {
        "there": _matrix(crossing.there.obs),
        "back": _matrix(crossing.back.action),
        "observations": [_entry(i, entry) for i, entry in enumerate(own.entries)],
        "actions": [_entry(i, entry) for i, entry in enumerate(own.action_entries)],
    }


def sha256(data: bytes) -> str:
    """The hash of a file's bytes, in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def _matrix(of: Map) -> list[list[float]]:
    return np.column_stack([of.matrix, of.fill]).tolist()


def _observations(target: Domain, states: np.ndarray) -> list[dict[str, Any]]:
    low, high = states.min(axis=0).tolist(), states.max(axis=0).tolist()
    return [{**_entry(i, entry), "seen": [low[i], high[i]]} for i, entry in enumerate(entries(target))]


def _actions(target: Domain, change: np.ndarray | None) -> list[dict[str, Any]]:
    """Rows of the actions, with the largest change in a control step that the policy made and what stops them."""
    most = [None] * target.spaces.action if change is None else change.tolist()
    return [
        {**_entry(i, entry), "change": most[i], "stop": "hold" if SET_POINT.fullmatch(entry.unit) else "zero"}
        for i, entry in enumerate(action_entries(target))
    ]


def _entry(index: int, entry: Entry) -> dict[str, Any]:
    bounds = [bound if np.isfinite(bound) else None for bound in (entry.low, entry.high)]
    about: dict[str, Any] = {"index": index, "name": entry.name, "unit": entry.unit, "part": entry.part or None}
    return {**about, "range": None if bounds == [None, None] else bounds, "soft": entry.soft}


def _normaliser(normaliser: Any) -> dict[str, Any]:
    """Mean and scale by which the graph first normalises an observation."""
    scale = np.sqrt(np.asarray(normaliser.var, float) + 1e-8)
    mean = np.asarray(normaliser.mean, float)
    return {"inside": True, "mean": mean.tolist(), "std": scale.tolist(), "clip": 10.0}
