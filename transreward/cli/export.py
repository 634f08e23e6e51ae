"""transreward export"""

from __future__ import annotations

import argparse

from transreward.cli.options import whole

HELP = "the policy as ONNX, with its contract"
ABOUT = """\
Write the deterministic policy of one seed as ONNX (normaliser and action scaling inside), and beside it
policy_contract.json (name, unit, order and range of every observation and action, control rate, versions, hash) and
README.md, a model card. The graph is first compared with the policy on 1,000 states of real episodes, by onnxruntime.

  transreward export runs/x                                runs/x/export/policy.onnx
  transreward export runs/x/controls/fine_tune --seed 2 --out handover/policy.onnx
"""
EPILOG = ""


def arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("directory", metavar="DIR", help="run directory")
    command.add_argument("--out", metavar="FILE", help="the policy, an .onnx file (default: DIR/export/policy.onnx)")
    command.add_argument("--seed", type=whole, default=0, metavar="S", help="which seed's policy, counted from 0")


def run(args: argparse.Namespace) -> None:
    from transreward.reports.contract import LIMIT
    from transreward.reports.export import export
    from transreward.reports.golden import STATES

    done = export(args.directory, args.out, args.seed)
    print(f"policy    {done.onnx}: differs by {done.max_error:.1e} on {STATES:,} states of real episodes (< {LIMIT:g})")
    print(f"contract  {done.contract}")
    print(f"golden    {done.golden}: {done.golden_rows} observations with the policy's own actions")
    print(f"C++       {done.cpp} gives them again, with onnxruntime")
    print(f"ROS 2     {done.node}: a node; with --check it gives them again, without ROS")
    print(f"card      {done.card}")
