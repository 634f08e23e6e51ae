"""What differs physically between a simulator and a robot, from few of the robot's steps or from logs of it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from transreward.domains import logs as recorded
from transreward.domains.bridged import plain
from transreward.domains.difference import require_fit
from transreward.domains.domain import Domain
from transreward.domains.history import history_of, with_history
from transreward.domains.ids import domain
from transreward.domains.logs.recorded import file_of
from transreward.identify.evidence import Evidence, evidence, of_logs
from transreward.identify.identification import Identification
from transreward.identify.identified import Watch, identifiable, identified
from transreward.preflight.steps import source_policy
from transreward.request.resolve import count
from transreward.runs.source_agent import import_all
from transreward.types import RequestError

STEPS = 500
HOLD = 3  # control steps for which a random action is held
EXPLORE = 0.1  # half ranges: noise on the source policy's actions, without which some parameters hardly show

Paths = str | os.PathLike[str]


def identify(
    source: Domain | str,
    target: Domain | str | None = None,
    *,
    logs: Paths | Sequence[Paths] | None = None,
    source_run: str | Path | None = None,
    target_steps: int | None = None,
    seed: int = 0,
    imports: Sequence[str] = (),
    watch: Watch = nullcontext,
) -> Identification:
    """Find the parameters of `source`, a robot of the table or in a file, with which its simulator does as `target`.

    `target` takes `target_steps` control steps (500) with one robot: with the source policy of `source_run` and some
    noise, or with random actions. Instead `logs` names a file of steps that it took (see docs/logs.md), or several, of
    which the first `target_steps` are read (all of them); a target `data:FILE` is the same as the file's name there.
    Nothing of the target is read but what it observes.
    `watch(problem)` is a context manager within which the fit goes on.
    Raises RequestError for a source that cannot be put into an observed state, for spaces that differ, for too few
    steps, for steps in which the robot only stands still, and for steps that no robot of the kind can have taken.
    """
    imports = import_all(imports, source_run)
    robot = identifiable(source)
    target, logs = target_or_logs(target, logs)
    count("target_steps", target_steps, STEPS)
    seed = count("seed", seed, 0, least=0)
    if logs is not None:
        if source_run is not None:
            raise RequestError("`source_run` acts in a target, and logs are of what acted already: leave one of them")
        if seed:
            raise RequestError("`seed` is of a robot that takes steps, and logs are of what was taken: leave it out")
        told = of_logs(robot, read(logs), target_steps)
    else:
        assert target is not None
        other, sent = plain(domain(target)), history_of(domain(source))
        require_fit(robot, other)
        acts, takes = with_history(robot, sent), with_history(other, sent)
        told = walked(acts, takes, source_run, STEPS if target_steps is None else target_steps, seed)
    return identified(robot, told, watch)


def target_or_logs(
    target: Domain | str | None, logs: Paths | Sequence[Paths] | None
) -> tuple[Domain | str | None, Paths | Sequence[Paths] | None]:
    """What there is of a target, the other None: a domain that takes steps, or logs, as which an id `data:FILE` counts.

    Raises RequestError for both, for neither, and for an id that names no file.
    """
    if (target is None) == (logs is None):
        raise RequestError("name the target, or `logs` of it, and not both")
    if target is None:
        return None, logs
    path = file_of(target)
    return (target, logs) if path is None else (None, path)


def read(paths: Paths | Sequence[Paths]) -> list[recorded.Log]:
    """The logs in these files."""
    several = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    if not several:
        raise RequestError("`logs` names no file")
    return [recorded.read(path) for path in several]


def walked(source: Domain, target: Domain, source_run: str | Path | None, steps: int, seed: int) -> Evidence:
    """Steps of one robot in the target, in its plain columns; the source policy may see commanded actions, too."""
    act = None if source_run is None else source_policy(Path(source_run), source)
    rng, spaces, width = np.random.default_rng(seed), target.spaces, plain(target).spaces.obs
    low, high, simulation = spaces.low.astype(float), spaces.high.astype(float), target.simulate(1, seed, 1)
    columns: dict[str, list[Any]] = {"obs": [], "action": [], "next_obs": [], "reward": [], "begins": []}
    begins, held = True, np.zeros((1, spaces.action))
    for step in range(steps):
        obs = np.array(simulation.obs, float)
        if act is not None:
            held = act(obs.astype(np.float32)) + EXPLORE * (high - low) / 2 * rng.standard_normal(held.shape)
            held = held.clip(low, high)
        elif step % HOLD == 0:
            held = rng.uniform(low, high, held.shape)
        t = simulation.step(held)
        taken = (t.obs[0, :width], held[0], t.next_obs[0, :width], t.reward[0], begins)
        for name, value in zip(columns, taken, strict=True):
            columns[name].append(value)
        begins = bool(t.terminated[0] or t.truncated[0])
    return evidence(*(np.array(column) for column in columns.values()))
