"""Training in the source as the package itself does it, with settings of a benchmark's choice."""

from __future__ import annotations

import contextlib
import importlib
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from transreward.domains.domain import Domain
from transreward.domains.ids import domain
from transreward.learners.ppo import PPO
from transreward.learners.sac import SAC
from transreward.presets import make_learner
from transreward.runs.result import Result
from transreward.transfer import Progress, Watch, transfer
from transreward.types import Pair

# The settings that ours and the peer share, said in our words; see OURS_PPO and SAC_DEFAULTS in peers_sb3.py.
PEERS_PPO = PPO(robots=32, rollout_steps=256, minibatches=32, epochs=10, learning_rate=3e-4, hidden=(64, 64))
PEERS_SAC = SAC(
    hidden=(256, 256),
    batch=256,
    learning_rate=3e-4,
    robots=1,
    n_step=1,
    steps_per_update=1.0,
    burst=1,
    random_steps=1_000,
)


class Enough(Exception):
    """Raised by a watch to end a training that has shown what it was run for."""


@lru_cache
def pair(robot: str) -> Pair[Domain]:
    """The robot and some other of its kind, which a transfer must have; made once, so that nothing compiles twice."""
    return Pair(domain(robot), domain(f"{robot}:mass=2"))


def preset_ppo(robot: str) -> Any:
    """PPO as the robot's preset has it, or as it comes where the preset has another learner."""
    return make_learner("ppo", robot)


def train(
    robot: str,
    learner: Any,
    budget: int,
    seeds: int,
    seed: int = 0,
    watch: Watch | None = None,
    **loop: Any,
) -> Result:
    """Train a plain agent on `robot` for `budget` steps per seed; its returns are those of a zero-shot transfer."""
    source, target = pair(robot)
    settings = {f"loop.{name}": value for name, value in loop.items()}
    return transfer(
        source,
        target,
        "zero_shot",
        learner=learner,
        source_steps=budget,
        target_steps=1,
        seeds=seeds,
        fresh=True,
        seed=seed,
        settings=settings,
        watch=watch,
    )


def rate(robot: str, learner: Any, seeds: int, seconds: float) -> float:
    """Steps per second of all seeds in whole training: rollouts, learning and bookkeeping, no evaluation.

    Measured for `seconds` from the end of the second round, as the peer's: the first compiles.
    """
    stamps: list[tuple[float, int]] = []

    def watch(progress: Progress) -> None:
        if progress.steps.source:  # it is also called before the first round
            stamps.append((time.perf_counter(), progress.steps.source))
        if len(stamps) > 2 and stamps[-1][0] - stamps[1][0] >= seconds:
            raise Enough

    with contextlib.suppress(Enough):
        train(robot, learner, 100_000_000, seeds, watch=watch, source_evaluations=1)
    (began, first), (ended, last) = stamps[1], stamps[-1]
    return seeds * (last - first) / (ended - began)


def seconds_of(robot: str, learner: Any, budget: int, seeds: int) -> float:
    """Wall time of a whole source training, with one short evaluation at its end."""
    began = time.perf_counter()
    train(robot, learner, budget, seeds, source_evaluations=1, eval_episodes=1, final_episodes=1)
    return time.perf_counter() - began


def phase_seconds(robot: str, learner: Any, method: str, budget: int) -> dict[str, float]:
    """Seconds per source step of one seed, in each phase of a method that goes on in the source: without evaluations,
    and from the end of each phase's third round, since the first ones compile."""
    source, target = pair(robot)
    stamps: dict[str, list[tuple[float, int]]] = {}
    with EvaluationClock(time.perf_counter()) as clock:

        def watch(progress: Progress) -> None:
            stamps.setdefault(progress.phase, []).append((clock.training, progress.steps.source))

        settings = {"loop.aligned": 0, "loop.evaluations": 1, "loop.source_evaluations": 1, "loop.pretrain": 0.5}
        transfer(
            source, target, method, learner=learner, source_steps=budget, target_steps=2_000, seeds=1,
            settings=settings, fresh=True, watch=watch,
        )  # fmt: skip
    found = {}
    for phase, rows in stamps.items():
        (began, first), (ended, last) = rows[3], rows[-1]
        found[phase] = (ended - began) / (last - first)
    return found


def task_seconds(source: str, target: str, method: str, budget: int) -> float:
    """Seconds per target step of one seed of a method that learns on target steps: without evaluations, and from the
    end of its fifth round of learning, since the first ones compile."""
    stamps: list[tuple[float, int]] = []
    with EvaluationClock(time.perf_counter()) as clock:

        def watch(progress: Progress) -> None:
            if progress.phase == "transfer" and progress.steps.target > 0.2 * budget:
                stamps.append((clock.training, progress.steps.target))

        transfer(
            source, target, method, learner=SAC(random_steps=100), source_steps=20_000, target_steps=budget, seeds=1,
            settings={"loop.aligned": 0, "loop.evaluations": 1, "loop.source_evaluations": 1}, fresh=True,
            watch=watch,
        )  # fmt: skip
    (began, first), (ended, last) = stamps[5], stamps[-1]
    return (ended - began) / (last - first)


class EvaluationClock:
    """Tells training from evaluation: inside the block it stands in for the loop's `evaluation_rows` and times it."""

    def __init__(self, began: float) -> None:
        self.began, self.evaluating = began, 0.0
        self._loop: Any = importlib.import_module("transreward.engine.loop")
        self._rows = self._loop.evaluation_rows

    def __enter__(self) -> EvaluationClock:
        self._loop.evaluation_rows = self._timed
        return self

    def __exit__(self, *exception: object) -> None:
        self._loop.evaluation_rows = self._rows

    @property
    def training(self) -> float:
        """Seconds since the start less those of evaluations."""
        return time.perf_counter() - self.began - self.evaluating

    def _timed(self, run: Any) -> list[dict[str, Any]]:
        began = time.perf_counter()
        rows = self._rows(run)
        self.evaluating += time.perf_counter() - began
        return rows


class Watched:
    """The share of a run's time in which it is told, shown and written down: inside the block it times these."""

    def __enter__(self) -> Watched:
        self.began, self.spent = time.perf_counter(), 0.0
        run: Any = importlib.import_module("transreward.engine.state").Run
        store: Any = importlib.import_module("transreward.runs.store")
        self._plain = [(run, "tell"), (store, "append_lines"), (store, "save_tree")]
        self._plain = [(owner, name, getattr(owner, name)) for owner, name in self._plain]
        for owner, name, work in self._plain:
            setattr(owner, name, self._timed(work))
        return self

    def __exit__(self, *exception: object) -> None:
        for owner, name, work in self._plain:
            setattr(owner, name, work)
        self.share = self.spent / (time.perf_counter() - self.began)

    def _timed(self, work: Callable[..., None]) -> Callable[..., None]:
        def timed(*arguments: Any) -> None:
            began = time.perf_counter()
            work(*arguments)
            self.spent += time.perf_counter() - began

        return timed


def point(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """One point of a curve: the evaluation's raw source returns, one per seed."""
    per_seed = [row["source_return"] for row in rows]
    return {"steps": rows[0]["source_steps"], "return_mean": float(np.mean(per_seed)), "per_seed": per_seed}
