"""transreward adopt"""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from transreward.cli.directory import on_its_way
from transreward.cli.options import IDS, whole
from transreward.runs.process import prepare_process

HELP = "another library's policy as a source agent"
ABOUT = """\
Make a source agent of a policy that another library trained, for --source-run. FILE is Stable-Baselines3's .zip (SAC or
PPO, with vecnormalize.pkl beside it if there was one), a state file of CleanRL or rsl_rl, or an ONNX graph of raw
observations to actions in the robot's units. No Python in it is run: a pickle is read as data, and a graph is computed
by onnxruntime. The policy takes some steps in SOURCE, from which its normaliser and, where the file has none, its
critics are made.

  transreward adopt best_model.zip hopper --out runs/theirs
  transreward transfer hopper hopper:gravity=0.5 --source-run runs/theirs

'transreward transfer ... --source-policy FILE' does both.
"""
EPILOG = IDS


def arguments(command: argparse.ArgumentParser) -> None:
    option = command.add_argument
    option("file", type=Path, help="the policy")
    option("source", help="domain in which it was trained, whose columns it has")
    option("--out", type=Path, required=True, metavar="DIR", help="a new directory")
    option("--seeds", type=whole, default=3, metavar="K", help="that a transfer will have (default: 3)")
    option("--seed", type=whole, default=0, metavar="S", help="the first of them (default: 0)")
    option("--source-steps", type=whole, metavar="N", help="to take in the source, per seed; at least one of "
           "each robot of the learner (default: 20000)")  # fmt: skip


def run(args: argparse.Namespace) -> None:
    prepare_process()
    from transreward.policies.adopt import STEPS, adopt

    steps = STEPS if args.source_steps is None else args.source_steps
    print(adopt(args.file, args.source, args.out, seeds=args.seeds, seed=args.seed, steps=steps, watch=on_its_way))
    print(f"saved in {args.out}: give it as --source-run {shlex.quote(str(args.out))}")
