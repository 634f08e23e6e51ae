"""Whole training on target steps by JAX's platform: does a graphics card pay?

    python benchmarks/accelerator.py --platform cpu    # or cuda, where JAX has it
    python benchmarks/accelerator.py --table

Networks here are small and an update is a hundred short kernels, so a card gains by many seeds at once or many
critics, not by one seed. The simulator stays on the processor's cores in any case.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import time
from dataclasses import replace

import record

SECONDS = 10.0
SEEDS = (1, 3, 10, 30)
FILE = record.RESULTS / "accelerator.json"


def main() -> None:
    """Measure on one platform and put it beside what is there of others."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--platform", default="cpu", help="as JAX calls it: cpu, cuda")
    parser.add_argument("--seeds", default=",".join(map(str, SEEDS)))
    parser.add_argument("--table", action="store_true", help="print what was measured")
    args = parser.parse_args()
    found = record.read(FILE) or {}
    if not args.table:
        os.environ["JAX_PLATFORMS"] = args.platform  # before JAX is imported
        found[args.platform] = measure([int(n) for n in args.seeds.split(",")])
        record.write(FILE, found)
    head = ["learner", "seeds", *(f"{platform} steps/s" for platform in found)]
    cases = dict.fromkeys(name for result in found.values() for name in result["rates"])
    rows = [
        [*case.split(" x "), *(f"{r['rates'].get(case, float('nan')):,.0f}" for r in found.values())] for case in cases
    ]
    print(record.table([head, *rows]))


def measure(seeds: list[int]) -> dict:
    """Target steps per second of all seeds together, with acting, simulation and learning, one after the other."""
    import jax

    from transreward.learners.sac import SAC
    from transreward.methods import method

    sac = SAC()
    careful = replace(sac, **dict(method("rlpd").learner))
    head = {**record.provenance(), "device": jax.devices()[0].device_kind, "rates": {}}
    for name, learner in (("sac", sac), ("sac as rlpd has it", careful)):
        for n in seeds:
            head["rates"][f"{name} x {n}"] = rate = target_rate(learner, n)
            print(f"{head['device']}: {name}, {n} seeds: {rate:,.0f} target steps/s", flush=True)
    return head


def target_rate(learner, seeds: int) -> float:
    """Of `target_only` on half-cheetah, after its random steps and its compilation."""
    from training import Enough

    import transreward as tr

    stamps: list[tuple[float, int]] = []

    def watch(progress) -> None:
        if progress.steps.target > least:
            stamps.append((time.perf_counter(), progress.steps.target))
        if len(stamps) > 2 and stamps[-1][0] - stamps[1][0] >= SECONDS:
            raise Enough

    least = learner.random_steps + 2 * learner.round_steps(True)
    with contextlib.suppress(Enough):
        tr.transfer(
            "halfcheetah", "halfcheetah:gravity=2", "target_only", learner=learner, target_steps=10_000_000,
            seeds=seeds, settings={"loop.evaluations": 1, "loop.aligned": 0}, fresh=True, watch=watch,
        )  # fmt: skip
    (began, first), (ended, last) = stamps[1], stamps[-1]
    return seeds * (last - first) / (ended - began)


if __name__ == "__main__":
    main()
