"""transreward export"""

from __future__ import annotations

import argparse
from pathlib import Path

from transreward.cli.options import whole

HELP = "the policy for a robot, as ONNX, or for Stable-Baselines3"
ABOUT = """\
Write the deterministic policy of one seed as ONNX (normaliser and action scaling inside), and beside it
policy_contract.json (name, unit, order, range, delay and history of observations and actions, control rate, versions,
hash), policy_golden.txt (observations with the policy's own actions), policy_check.cpp and policy_node.py (a program in
C++ and a node of ROS 2 that give these again), and README.md, a model card. The graph is first compared with the policy
on 1,000 states of real episodes, by onnxruntime.

  transreward export runs/x                   runs/x/export/policy.onnx
  transreward export runs/x --seed 2 --out handover/policy.onnx
  transreward export runs/x --sb3 policy.zip  for Stable-Baselines3, instead
"""
EPILOG = ""


def arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("directory", metavar="DIR", help="run directory")
    which = command.add_mutually_exclusive_group()
    which.add_argument("--out", metavar="FILE", help="the policy, an .onnx file (default: DIR/export/policy.onnx)")
    which.add_argument("--sb3", metavar="FILE", help="a .zip file for Stable-Baselines3 instead")
    command.add_argument("--seed", type=whole, default=0, metavar="S", help="which seed's policy, counted from 0")


def run(args: argparse.Namespace) -> None:
    from transreward.runs import store

    store.read_json(Path(args.directory) / "config.json")  # before it is said which packages are missing
    if args.sb3 is not None:
        return _sb3(args)
    from transreward.reports.contract import LIMIT
    from transreward.reports.export import export
    from transreward.reports.golden import STATES

    done = export(args.directory, args.out, args.seed)
    print(f"policy    {done.onnx}: differs by {done.max_error:.1e} on {STATES:,} states of real episodes (< {LIMIT:g})")
    print(f"contract  {done.contract}")
    print(f"golden    {done.golden}: {done.golden_rows} observations with the policy's own actions")
    print(f"C++       {done.cpp} gives them again, with onnxruntime")
    print(f"ROS 2     {done.node}: a node; 'policy_node.py check' gives them again, without ROS")
    print(f"card      {done.card}")


def _sb3(args: argparse.Namespace) -> None:
    from transreward.policies.sb3 import export_sb3
    from transreward.reports.contract import LIMIT

    done = export_sb3(args.directory, args.sb3, args.seed)
    said = f"; {done.said}" if done.said else ""
    if done.layers:
        said += f"; observations are clipped by {done.layers} more layers"
    print(
        f"policy  {done.path}: differs by {done.max_error:.1e} on {done.states:,} states of real episodes (< {LIMIT:g})"
    )
    print(f"load    stable_baselines3.{done.algorithm}.load({str(done.path)!r}), which takes raw observations{said}")
