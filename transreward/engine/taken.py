"""The target steps that a run's directory holds, as a log."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from transreward import replay as rp
from transreward.domains.logs.log import Log
from transreward.engine.checkpoint import PLACE
from transreward.runs import store
from transreward.types import RequestError, Spaces


def target_steps(directory: Path, seed: int = 0) -> Log:
    """The stored target steps of one seed (counted from 0) of a run, robot by robot, in the order of time.

    Raises RequestError for a run that keeps none (`loop.keep_state=false`, or a method without target steps).
    """
    config = store.read_json(directory / "config.json")
    if not 0 <= seed < config["seeds"]:
        raise RequestError(f"seed {seed} of a run with seeds 0 to {config['seeds'] - 1}")
    spaces = Spaces(*(config["spaces"][key] for key in ("obs", "action")), *map(np.array, _bounds(config)))
    robots = config["loop"]["target_robots"]
    for about, place in _states(directory):
        stored, rows = about["stored"].get("target", 0), about["rows"].get("target")
        if not stored or not rows:
            continue
        file = place / f"0-target-{rows['generation']}.rows"
        flat = np.fromfile(file, np.float32)
        controls = stored - rows["first"]
        if controls <= 0 or flat.size % (controls * config["seeds"] * robots):
            raise RequestError(f"{file} is damaged")
        packed = flat.reshape(controls, config["seeds"], robots, -1)[:, seed]
        t = rp.unpacked(packed.swapaxes(0, 1).reshape(robots * controls, -1), spaces).transition
        return _log(t, robots, f"{directory}, seed {seed}")
    raise RequestError(f"{directory} keeps no target steps: its method took none, or loop.keep_state was false")


def _bounds(config: dict[str, Any]) -> tuple[list[float], list[float]]:
    return config["spaces"]["low"], config["spaces"]["high"]


def _states(directory: Path) -> list[tuple[dict[str, Any], Path]]:
    """What the newest checkpoint of each stage says of its rows, the stage with the most of them first."""
    found = []
    for place in sorted((directory / PLACE).glob("**/")):
        numbers = sorted((p for p in place.glob("*.json") if p.stem.isdecimal()), key=lambda p: int(p.stem))
        if numbers:
            about = json.loads(json.loads(numbers[-1].read_text())["about"])
            found.append((about["runs"][0], place))
    return sorted(found, key=lambda pair: -pair[0]["stored"].get("target", 0))


def _log(t: Any, robots: int, source: str) -> Log:
    over = np.asarray(t.truncated, bool).reshape(robots, -1)
    over[:, -1] |= ~np.asarray(t.terminated, bool).reshape(robots, -1)[:, -1]  # the last that is stored
    flags = np.asarray(t.terminated, bool), over.ravel()
    return Log(t.obs, t.action, t.reward, t.next_obs, *flags, source=source)
