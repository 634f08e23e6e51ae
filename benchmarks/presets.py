"""Does each robot's preset reach its mark: two thirds of a public figure, within its own source budget?

    python benchmarks/presets.py run [--robots swimmer,ant] [--learners ppo,sac]
    python benchmarks/presets.py table [--markdown]
    python benchmarks/presets.py untrained

A cell trains a plain source agent with a robot's preset of one learner, three seeds, for the preset's source budget,
and reads the mean deterministic return of ten episodes a seed at the end. It is written when it ends, as JSON below
benchmarks/results/presets/, and skipped when it is there already with the same settings. The machine may be busy.

The mark lies two thirds of the way from a random policy's return to the public one. Public figures at 300,000 steps
stand for SAC where there are such; all others are after 1,000,000, so with a smaller budget the mark is a harder one.

The last writes results/presets/untrained.json: the mean return of agents of ten seeds and of both learners' presets
before their first step, the low end of the scale by which a source agent is found not to have learned its task.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import record
import training

from transreward.domains.ids import domain
from transreward.engine.programs import programs
from transreward.evaluation.returns import evaluate
from transreward.evaluation.statistics import interval
from transreward.presets import LEARNERS, PRESETS
from transreward.request.config import PLAIN

RESULTS = record.RESULTS / "presets"
SEEDS, FIRST_SEED, EPISODES, UNTRAINED = 3, 400, 10, 10  # the last: seeds of agents that are not trained
# A table of Tianshou's PPO and SAC, MuJoCo v4, ten seeds, 1,000,000 steps, in the README of `pdarl` (arXiv:2603.10199)
PDARL = "pdarl, Tianshou 1.2, 1M steps"
# Eight seeds at 300,000 steps, MuJoCo v4, in the README of github.com/seungju-k1m/sac-td3-td7
OFF_POLICY = "sac-td3-td7, 300k steps"
CLEANRL = "CleanRL, 1M steps"
RAPID = "RAPID-Policy-Distillation, five seeds"


class Public(NamedTuple):
    """What others have."""

    value: float
    source: str


PUBLIC: dict[str, dict[str, Public]] = {
    "ant": {"ppo": Public(2589.5, PDARL), "sac": Public(1953, OFF_POLICY)},
    "halfcheetah": {"ppo": Public(4067.5, PDARL), "sac": Public(7847, OFF_POLICY)},
    "hopper": {"ppo": Public(2329.7, PDARL), "sac": Public(1908, OFF_POLICY)},
    "humanoid": {"ppo": Public(669.2, PDARL), "sac": Public(3199, OFF_POLICY)},
    "humanoid_standup": {"ppo": Public(135853.7, PDARL), "sac": Public(146249.0, PDARL)},
    "inverted_double_pendulum": {"ppo": Public(7926.8, PDARL), "sac": Public(9183.2, PDARL)},
    "inverted_pendulum": {"ppo": Public(993.3, PDARL), "sac": Public(1000.0, PDARL)},
    "pusher": {"ppo": Public(-26.2, RAPID), "sac": Public(-22.45, CLEANRL)},
    "reacher": {"ppo": Public(-18.7, PDARL), "sac": Public(-3.6, PDARL)},
    "swimmer": {"ppo": Public(54.2, PDARL), "sac": Public(43.5, PDARL)},
    "walker2d": {"ppo": Public(3277.0, PDARL), "sac": Public(2560, OFF_POLICY)},
}


def main() -> None:
    """Run what is missing, or print what there is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("run", "table", "untrained"), nargs="?", default="run")
    parser.add_argument("--robots", default=",".join(PUBLIC))
    parser.add_argument("--learners", default=",".join(sorted(LEARNERS)))
    parser.add_argument("--markdown", action="store_true", help="the table as the documents have it")
    args = parser.parse_args()
    if args.what == "untrained":
        print(json.dumps(untrained(args.robots.split(",")), indent=1))
        return
    cells = [(robot, learner) for robot in args.robots.split(",") for learner in args.learners.split(",")]
    if args.what == "run":
        for robot, learner in cells:
            cell(robot, learner)
    print(table(cells, args.markdown))


def cell(robot: str, learner: str) -> None:
    """One robot's preset of one learner, unless it was trained with these settings already."""
    tuned = PRESETS[robot].of(learner)
    settings = {"name": learner, "source_steps": tuned.source_steps, **dataclasses.asdict(tuned.settings)}
    settings = {name: list(value) if isinstance(value, tuple) else value for name, value in settings.items()}
    file = RESULTS / f"{robot}-{learner}.json"
    found = record.read(file)
    if found is not None and found["settings"] == settings:
        return
    print(f"{time.strftime('%H:%M:%S')} {robot} {learner} {tuned.source_steps:,} steps", flush=True)
    head, began = record.provenance(), time.perf_counter()
    result = training.train(
        robot, tuned.settings, tuned.source_steps, SEEDS, FIRST_SEED, final_episodes=EPISODES, source_evaluations=10,
    )  # fmt: skip
    head |= {"robot": robot, "settings": settings, "seconds": time.perf_counter() - began}
    curve = [{k: row[k] for k in ("source_steps", "seed", "source_return")} for row in result.log]
    returns = result.returns.source.mean(axis=1).tolist()
    record.write(file, {**head, "random": random_return(robot), "source_return": returns, "curve": curve})


def untrained(robots: list[str]) -> dict[str, float]:
    """Mean return of agents that were never trained, without exploration, by robot."""
    head, found = record.provenance(), dict[str, dict[str, list[float]]]()
    for robot in robots:
        place, found[robot] = domain(robot), {}
        for learner in sorted(LEARNERS):
            if (tuned := PRESETS[robot].of(learner)) is None:
                continue
            made = programs(tuned.settings, PLAIN.compensation(), place.spaces)
            agents, _ = made.init(jax.vmap(jax.random.key)(jnp.arange(UNTRAINED)))
            returns = evaluate(place, made.act, agents, list(range(UNTRAINED)), EPISODES).returns
            found[robot][learner] = returns.mean(axis=1).tolist()
    record.write(RESULTS / "untrained.json", {**head, "episodes": EPISODES, "returns": found})
    return {robot: float(np.mean(list(of.values()))) for robot, of in found.items()}


def random_return(robot: str) -> float:
    """Mean return of twenty episodes of uniform actions."""
    place, rng = domain(robot), np.random.default_rng(0)

    def act(agents: Any, obs: np.ndarray, noise: Any) -> np.ndarray:
        return rng.uniform(place.spaces.low, place.spaces.high, (*obs.shape[:2], place.spaces.action))

    return float(evaluate(place, act, None, [0], 20).returns.mean())


def table(cells: list[tuple[str, str]], markdown: bool) -> str:
    """Return, mark and whether it is reached, a row a cell."""
    rows = [["robot", "learner", "source steps", "return", "public", "mark", "reached", "of"]]
    for robot, learner in cells:
        found, public = record.read(RESULTS / f"{robot}-{learner}.json"), PUBLIC[robot][learner]
        if found is None:
            continue
        returns = np.asarray(found["source_return"])
        mark = found["random"] + 2 / 3 * (public.value - found["random"])
        bounds = interval(returns)
        text = f"{returns.mean():,.1f}" + (f" [{bounds[0]:,.1f}, {bounds[1]:,.1f}]" if bounds else "")
        reached = "yes" if returns.mean() >= mark else "no"
        steps = f"{found['settings']['source_steps']:,}"
        rows.append([robot, learner, steps, text, f"{public.value:,.1f}", f"{mark:,.1f}", reached, public.source])
    return record.table(rows, markdown)


if __name__ == "__main__":
    main()
