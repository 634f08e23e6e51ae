"""Four tasks of a robot in one agent, and in four of their own: python benchmarks/several_tasks.py [ROBOT]

One agent is trained in all four tasks, on four times the source steps of each agent that is trained in one, so that the
sums are equal; it has the same networks. It is told its task (weights of the reward's terms) in four episodes of five.

told      the one agent, told the task
untold    the same agent, told nothing
alone     an agent of this task
random    uniform actions

Beside them an unseen task between the four, which no episode paid, told by its id and told by the rewards of 1,000
target steps. Writes benchmarks/results/several_tasks.json, robot by robot; what is there with the same settings is not
run again, and the one agent is kept in runs/several_tasks. `--smoke` shows in a minute that the script works, and
measures nothing.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from record import RESULTS, provenance, read, table, write

import transreward as tr
from transreward.domains.informed import Informed
from transreward.engine.programs import programs
from transreward.evaluation.returns import SEED, evaluate
from transreward.evaluation.statistics import interval
from transreward.request.config import PLAIN
from transreward.runs.source_agent import SourceAgent

TASKS = {  # of each robot: four, and an unseen one
    "halfcheetah": (
        ("halfcheetah", "halfcheetah+backward", "halfcheetah+run(speed=2)", "halfcheetah+stand"),
        "halfcheetah+terms(forward=0.5)",
    ),
    "ant": (
        ("ant", "ant+backward", "ant+direction(degrees=90)", "ant+stand"),
        "ant+direction(degrees=45)",
    ),
}
RUNS = Path("runs/several_tasks")
LOOP = {"loop.final_episodes": 20, "loop.eval_episodes": 20, "loop.source_evaluations": 4, "loop.aligned": 0.0}


def summed(returns: np.ndarray, **more: Any) -> dict[str, Any]:
    """Returns [seeds, episodes], as the results say them."""
    per_seed = np.asarray(returns).mean(axis=1)
    low_high = list(map(float, interval(per_seed))) if len(per_seed) > 1 else None
    return {"returns": per_seed.tolist(), "mean": float(per_seed.mean()), "interval": low_high, **more}


def told(target: str, run: Path, args: argparse.Namespace, **settings: Any) -> dict[str, Any]:
    """The one agent, told its task; it is trained where there is no whole run of it yet."""
    before, said = run.exists(), []
    if before and not (run / "result.json").exists():  # it was interrupted
        tr.resume(run)
    result = tr.transfer(
        "~".join(args.tasks), target, "universal", learner=args.learner,
        source_steps=args.source_steps * len(args.tasks),
        target_steps=args.target_steps, seeds=args.seeds, settings={**LOOP, **settings},
        source_run=run if before else None, out=None if before else run,
        watch=lambda progress: said.extend(progress.said),
    )  # fmt: skip
    return summed(result.returns.target, target_steps=int(result.steps.target), said=said)


def untold(target: str, run: Path, args: argparse.Namespace) -> dict[str, Any]:
    """The same agent, told nothing."""
    family, seeds = tr.domain(f"{'~'.join(args.tasks)}@informed=0.2"), list(range(args.seeds))
    plain = tr.domain(target)
    assert isinstance(family, Informed)
    learner = tr.load(run).learner
    agent = SourceAgent.load(run, family, learner, seeds)
    agents = agent.given(plain.spaces, np.tile(family.told(None, None), (args.seeds, 1))).agents
    act = programs(learner, PLAIN.compensation(), plain.spaces).act
    return summed(evaluate(plain, act, agents, seeds, LOOP["loop.final_episodes"]).returns)


def alone(target: str, args: argparse.Namespace) -> dict[str, Any]:
    """An agent of this task, on a quarter of the steps."""
    other = next(task for task in args.tasks if task != target)  # in which it is evaluated, too, and that is not read
    result = tr.transfer(
        target, other, "zero_shot", learner=args.learner, source_steps=args.source_steps, seeds=args.seeds,
        settings={**LOOP, "loop.symmetry": "none"}, fresh=True,
    )  # fmt: skip
    return summed(result.returns.source)


def at_random(target: str, args: argparse.Namespace) -> dict[str, Any]:
    """Uniform actions."""
    domain, found = tr.domain(target), []
    for seed in range(args.seeds):
        walk, rng = domain.simulate(20, SEED + seed), np.random.default_rng(seed)
        draws = (rng.uniform(domain.spaces.low, domain.spaces.high, (20, domain.spaces.action)) for _ in range(1000))
        found.append(np.sum([walk.step(action).reward for action in draws], axis=0))
    return summed(np.stack(found))


def measured(target: str, run: Path, args: argparse.Namespace, infers: bool) -> dict[str, Any]:
    """All that is compared in one target."""
    found = {"told": told(target, run, args), "untold": untold(target, run, args)}
    found |= {"alone": alone(target, args), "random": at_random(target, args)}
    return found | ({"inferred": told(target, run, args, **{"randomise.infer": True})} if infers else {})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("robot", nargs="?", choices=tuple(TASKS), default="halfcheetah")
    parser.add_argument("--source-steps", type=int, default=500_000, help="of each task")
    parser.add_argument("--target-steps", type=int, default=1_000, help="where rewards have to tell the task")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--learner", default="ppo")
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--out", type=Path, default=RESULTS / "several_tasks.json")
    args = parser.parse_args()
    if args.smoke:
        args.source_steps, args.seeds = 10_000, 1
    args.tasks, unseen = TASKS[args.robot]
    settings = {name: getattr(args, name) for name in ("source_steps", "target_steps", "seeds", "learner")}
    settings |= LOOP | {"family": "~".join(args.tasks)}
    before = (read(args.out) or {}).get(args.robot, {})
    done = before["targets"] if before.get("settings") == settings else {}
    result: dict[str, Any] = {**provenance(), "settings": settings, "targets": done}
    lines = [("target", "told", "untold", "alone", "random")]
    with tempfile.TemporaryDirectory() as place:
        run = Path(place) / "run" if args.smoke else RUNS / f"{args.robot}-{args.source_steps}-{args.seeds}"
        for target in (*args.tasks, unseen):
            if target not in done:
                done[target] = measured(target, run, args, infers=target == unseen)
                write(args.out, {**(read(args.out) or {}), args.robot: result})
            lines.append((target, *(f"{done[target][name]['mean']:.1f}" for name in lines[0][1:])))
            print(table(lines), flush=True)


if __name__ == "__main__":
    main()
