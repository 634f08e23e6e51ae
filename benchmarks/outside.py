"""Targets that no shift describes: what differs from the package's robots is no parameter that identification has.

    transreward transfer halfcheetah benchmarks.outside:falling_torque --method mix

from the repository's root. Each is made by a function below. Observation, actions, reward, episodes and resets are the
robot's own, and n of them are simulated side by side on all cores, as it is. Nothing else of them can be asked: they
have no model, no physics state and no shifts. With the effect at zero their steps are the robot's own, bit for bit.

    python benchmarks/outside.py RUN ...

measures what the source agents of earlier runs keep of their return there. The sizes of the effects were chosen by
that, with two PPO agents a robot, and by no method's result.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import mujoco
import numpy as np

from transreward.domains.domain import Domain, altered, row_seeds
from transreward.domains.ids import domain
from transreward.domains.mujoco import MujocoDomain, MujocoSimulation
from transreward.domains.names import entries
from transreward.domains.shifts.compiled import applied, prepared
from transreward.presets import restore_learner
from transreward.runs.policy import policy_of
from transreward.runs.source_agent import SourceAgent

LAG = mujoco.mjtDyn.mjDYN_FILTEREXACT  # pyright: ignore[reportAttributeAccessIssue]  # the bindings carry no types
CAPSULE = mujoco.mjtGeom.mjGEOM_CAPSULE  # pyright: ignore[reportAttributeAccessIssue]


class Outside:
    """One of the package's robots with an effect, as a domain of which only the steps are seen.

    `simulation` simulates it; `edit` changes its `MjSpec` before that is compiled.
    """

    def __init__(
        self,
        robot: str,
        simulation: Callable[..., MujocoSimulation] = MujocoSimulation,
        edit: Callable[[Any], None] | None = None,
    ):
        plain = domain(robot)
        assert isinstance(plain, MujocoDomain)
        if edit is not None:
            spec = prepared(plain.robot)
            edit(spec)
            physics = applied(spec, plain.robot)
            plain = altered(plain, physics=physics, model=physics.model, variants=(physics,))
        self._plain, self._simulation = plain, simulation
        self.name, self.spaces, self.reward_terms = plain.name, plain.spaces, plain.reward_terms
        self.episode_steps, self.control_rate = plain.episode_steps, plain.control_rate
        self.entries, self.action_entries = plain.entries, plain.action_entries

    def simulate(self, n: int, seed: int | Sequence[int] = 0, threads: int = 0) -> MujocoSimulation:
        return self._simulation(self._plain, row_seeds(n, seed), threads)


class FallingTorque(MujocoSimulation):
    """Each motor's torque falls in proportion to its joint's speed, and is 0 from `free` rad/s, in either direction.

    It follows the speed from one MuJoCo step to the next, not only from one control step to the next.
    """

    def __init__(self, domain: MujocoDomain, seeds: Sequence[tuple[int, int]], threads: int = 0, *, free: float):
        super().__init__(domain, seeds, threads)
        self._free, self._substeps = free, self.robot.frame_skip
        self._driven = domain.model.jnt_dofadr[domain.model.actuator_trnid[:, 0]]
        self.robot = replace(self.robot, frame_skip=1)  # of which `_advance` makes one

    def _advance(self) -> None:
        for _ in range(self._substeps):
            left = 1 - np.abs(self._qvel[:, self._driven]) / self._free
            self._ctrl[:] = self._rows.action * left.clip(min=0)
            super()._advance()


class WeakOneWay(MujocoSimulation):
    """The left leg's motors turn with a share of their strength where their action is below 0. The action is paid."""

    def __init__(self, domain: MujocoDomain, seeds: Sequence[tuple[int, int]], threads: int = 0, *, strength: float):
        super().__init__(domain, seeds, threads)
        left = ["left" in entry.name for entry in domain.action_entries]
        self._downward = np.where(left, strength, 1.0)

    def _advance(self) -> None:
        self._ctrl[:] = np.where(self._ctrl < 0, self._downward * self._ctrl, self._ctrl)
        super()._advance()


class Gusts(MujocoSimulation):
    """A horizontal force on the torso, drawn anew every `hold` control steps: normal, with standard deviation `force`
    in N. A row's gusts depend on its seed and on the number of the step alone, so the state has nothing to keep."""

    def __init__(
        self, domain: MujocoDomain, seeds: Sequence[tuple[int, int]], threads: int = 0, *, force: float, hold: int
    ):
        super().__init__(domain, seeds, threads)
        self._seeds, self._force, self._hold = tuple(seeds), force, hold
        self._applied = self._batch.bind("xfrc_applied")[:, domain.model.body("torso").id, 0]
        self._blowing = -1

    def _advance(self) -> None:
        if self._blowing != self.steps // self._hold:
            self._blowing = self.steps // self._hold
            drawn = [np.random.default_rng([*seed, self._blowing]).standard_normal() for seed in self._seeds]
            self._gust = self._force * np.array(drawn)
        self._applied[:] = self._gust  # a reset has taken it away
        super()._advance()


def _lagging(seconds: float, spec: Any) -> None:
    """Motors follow their action with this time constant: a first-order lag, which MuJoCo integrates."""
    for motor in spec.actuators:
        motor.dyntype = LAG
        motor.dynprm = [seconds, *motor.dynprm[1:]]


def _bumpy(height: float, spec: Any) -> None:
    """Logs across the track, sunk into the floor: from 0 to `height` m above it, 0.3 m apart or so.

    The foot begins 0.04 m above the floor, with them under it.
    """
    rng, place, floor = np.random.default_rng(0), -10.0, spec.geom("floor")
    while place < 60:
        thick, top = 0.15, height * rng.random()
        log = spec.worldbody.add_geom(type=CAPSULE, fromto=[place, -0.5, top - thick, place, 0.5, top - thick])
        log.size, log.condim, log.friction = [thick, 0, 0], floor.condim, floor.friction
        place += rng.uniform(0.2, 0.4)


def falling_torque(free: float = 20.0) -> Outside:
    """Half-cheetah whose motors have the less torque the faster a joint turns, and none from `free` rad/s."""
    return Outside("halfcheetah", partial(FallingTorque, free=free))


def lag(seconds: float = 0.015) -> Outside:
    """Half-cheetah whose motors follow their actions with a first-order lag."""
    return Outside("halfcheetah", edit=partial(_lagging, seconds) if seconds else None)


def weak_one_way(strength: float = 0.5) -> Outside:
    """Walker2d whose left leg has this share of its motors' strength where their action is below 0."""
    return Outside("walker2d", partial(WeakOneWay, strength=strength))


def bumpy(height: float = 0.01) -> Outside:
    """Hopper on ground with logs across it, up to `height` m high."""
    return Outside("hopper", edit=partial(_bumpy, height) if height else None)


def gusts(force: float = 50.0, hold: int = 20) -> Outside:
    """Half-cheetah with a horizontal force on its torso that is drawn anew every `hold` control steps."""
    return Outside("halfcheetah", partial(Gusts, force=force, hold=hold))


TARGETS = (falling_torque, lag, weak_one_way, bumpy, gusts)


def returned(target: Domain, act: Callable[[np.ndarray], np.ndarray], episodes: int) -> float:
    """The mean return of whole episodes, each of a robot of its own."""
    simulation, paid, going = target.simulate(episodes, 0), np.zeros(episodes), np.ones(episodes, bool)
    while going.any():
        t = simulation.step(act(simulation.obs))
        paid += going * t.reward
        going &= ~np.logical_or(t.terminated, t.truncated)
    return float(paid.mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, help="directories of runs with source agents")
    parser.add_argument("--episodes", type=int, default=10)
    args = parser.parse_args()
    for run in args.runs:
        about = SourceAgent.about(run)
        learner, source = restore_learner(about["learner"]), domain(about["source"])
        agents = SourceAgent.load(run, source, learner, about["seeds"]).agents
        acts = [policy_of(learner, agents, k, source.spaces.obs) for k in range(len(about["seeds"]))]
        targets = {made.__name__: made() for made in TARGETS}
        for name, target in {source.name: source, **targets}.items():
            if entries(target) == entries(source):
                print(f"{name:16}", *(f"{returned(target, act, args.episodes):>8,.0f}" for act in acts))


if __name__ == "__main__":
    main()
