"""Wall time until the mean evaluation return reaches a threshold: three seeds trained together, the robot's preset.

    python benchmarks/time_to_return.py --robot halfcheetah --threshold 5000 --max-seconds 600
    python benchmarks/time_to_return.py --robot walker2d --max-seconds 300      # no threshold: the curve alone

The clock starts with this script, before anything is imported, and runs through compilation; nothing is taken from a
compilation cache. Only evaluation is taken off and reported apart, as the peers' curves do not count theirs either.
"""

import time

BEGAN = time.perf_counter()

import argparse  # noqa: E402
import contextlib  # noqa: E402
from dataclasses import asdict  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

from record import RESULTS, provenance, write  # noqa: E402


def measure(args: argparse.Namespace, out: Path) -> dict[str, Any]:
    """Train until the threshold is reached or the seconds are spent; written after each evaluation."""
    import jax
    from training import Enough, EvaluationClock, point, train

    from transreward.presets import make_learner

    jax.config.update("jax_compilation_cache_dir", None)
    learner = make_learner(args.learner, args.robot)
    result = provenance() | {
        "robot": args.robot,
        "learner": {"name": learner.name, **asdict(learner)},
        "seeds": list(range(args.seed, args.seed + args.seeds)),
        "budget": args.steps,
        "eval_every": args.eval_every,
        "eval_episodes": args.episodes,
        "threshold": args.threshold,
        "max_seconds": args.max_seconds,
        "complete": False,
        "reached": None,
        "points": [],
    }
    with EvaluationClock(BEGAN) as clock, contextlib.suppress(Enough):

        def watch(progress: Any) -> None:
            seconds = clock.training
            if progress.rows:
                found = {"seconds": round(seconds, 2), "evaluation_seconds": round(clock.evaluating, 2)}
                result["points"].append(point(progress.rows) | found)
                write(out, result)
                mean = result["points"][-1]["return_mean"]
                print(
                    f"{args.robot}: {seconds:6.1f} s, {progress.steps.source:,} steps, return {mean:,.0f}", flush=True
                )
                if args.threshold is not None and mean >= args.threshold:
                    result["reached"] = result["points"][-1]
                    raise Enough
            if seconds >= args.max_seconds:
                raise Enough

        train(
            args.robot,
            learner,
            args.steps,
            args.seeds,
            args.seed,
            watch,
            source_evaluations=max(args.steps // args.eval_every, 1),
            eval_episodes=args.episodes,
        )
    result |= {"complete": True, "training_seconds": round(clock.training, 2)}
    write(out, result)
    return result


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description="Wall time to a return; the machine must be idle.")
    parser.add_argument("--robot", required=True)
    parser.add_argument("--threshold", type=float, help="mean evaluation return to reach; without it, the curve alone")
    parser.add_argument("--max-seconds", type=float, default=600.0, help="of training, evaluation not counted")
    parser.add_argument("--learner", help="default: the preset's")
    parser.add_argument("--steps", type=int, default=5_000_000, help="budget per seed")
    parser.add_argument("--eval-every", type=int, default=20_000, help="steps per seed; never more than once a round")
    parser.add_argument("--episodes", type=int, default=10, help="per seed and evaluation")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=10, help="the first; presets were tuned on others")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    out = args.out or RESULTS / "time_to_return" / f"{args.robot}.json"
    reached = measure(args, out)["reached"]
    if args.threshold is not None:
        found = f"after {reached['seconds']:.1f} s" if reached else f"not within {args.max_seconds:g} s"
        print(f"{args.robot}: {args.threshold:g} reached {found}")


if __name__ == "__main__":
    main()
