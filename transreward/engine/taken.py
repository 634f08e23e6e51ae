"""The target steps that a run's directory holds, as a log."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from transreward import replay as rp
from transreward.domains.logs.log import Log
from transreward.engine.checkpoint import Checkpoints
from transreward.runs import store
from transreward.runs.places import STATE
from transreward.types import RequestError, Spaces

TERMS = 64  # columns beside a transition's, at most


def target_steps(directory: Path, seed: int = 0) -> Log:
    """The stored target steps of one seed (counted from 0) of a run, robot by robot, in the order of time, with the
    actions that were executed: a draw of a learner that does not squash may leave the box, and the robot clips it.

    Raises RequestError for a run that keeps none (`loop.keep_state=false`, or a method without target steps).
    """
    config = store.read_json(directory / "config.json")
    if not 0 <= seed < config["seeds"]:
        raise RequestError(f"seed {seed} of a run with seeds 0 to {config['seeds'] - 1}")
    spaces = Spaces(*(config["spaces"][key] for key in ("obs", "action", "low", "high")))
    robots = config["loop"]["target_robots"]
    for k, about, place in _states(directory):
        stored, rows = about["stored"].get("target", 0), about["rows"].get("target")
        if not stored or not rows:
            continue
        file, controls = place / f"{k}-target-{rows['generation']}.rows", stored - rows["first"]
        flat = _flat(file, rows["sha256"], controls * config["seeds"] * robots, 2 * spaces.obs + spaces.action)
        packed = flat.reshape(controls, config["seeds"], robots, -1)[:, seed]
        t = rp.unpacked(packed.swapaxes(0, 1).reshape(robots * controls, -1), spaces).transition
        t = t._replace(action=np.clip(t.action, spaces.low, spaces.high))
        return _log(t, robots, f"{directory}, seed {seed}")
    raise RequestError(f"{directory} keeps no target steps: its method took none, or loop.keep_state was false")


def _flat(file: Path, sha256: str, steps: int, least: int) -> np.ndarray:
    """The numbers of so many steps at the start of a file, by their hash, which tells how many belong to each, `least`
    or more: a run that was interrupted may have appended others. Raises RequestError where they are not there."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise RequestError(f"{file} cannot be read: {error.strerror or error}") from None
    for width in range(least, least + TERMS) if steps > 0 else ():
        end = 4 * width * steps
        if end <= len(content) and hashlib.sha256(content[:end]).hexdigest() == sha256:
            return np.frombuffer(content[:end], np.float32)
    raise RequestError(f"{file} is damaged")


def _states(directory: Path) -> list[tuple[int, dict[str, Any], Path]]:
    """The number of the run in the newest checkpoint of each stage, what that says of its rows, and its place; the
    stage with the most of them first. A run that trains together with partners comes after them."""
    places = sorted((directory / STATE).glob("**/"))
    runs = [(about["runs"], place) for place in places if (about := Checkpoints(place).told()) is not None]
    found = [(len(of) - 1, of[-1], place) for of, place in runs]
    return sorted(found, key=lambda one: -one[1]["stored"].get("target", 0))


def _log(t: Any, robots: int, source: str) -> Log:
    over = np.asarray(t.truncated, bool).reshape(robots, -1)
    over[:, -1] |= ~np.asarray(t.terminated, bool).reshape(robots, -1)[:, -1]  # the last that is stored
    flags = np.asarray(t.terminated, bool), over.ravel()
    return Log(t.obs, t.action, t.reward, t.next_obs, *flags, source=source)
