"""Do a target's steps tell more where those of other targets of the same source have been looked at?

    python benchmarks/targets.py                    # runs what is missing, then prints the table; 15 minutes of a core
    python benchmarks/targets.py --markdown         # the table alone

Five half-cheetahs lack the same in their simulator (weaker motors, more damping, a slippery floor), and each differs in
one or two things of its own. A PPO agent of the source acts, with a little noise, as in `identify --source-run`. Each
target is identified from its own steps alone, and from them after those before it, as `transreward transfer S T1,T2,T3`
does; of the first there is nothing known. Into results/targets.json, case by case.
"""

from __future__ import annotations

import argparse
import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # CPU seconds are those of one core

from pathlib import Path
from statistics import median
from typing import Any

from identify import Case, judged, steps, timed
from record import RESULTS, provenance, read, table, write

from transreward.identify.identified import identifiable, variants_of
from transreward.identify.known import known

RESULT, ROBOT = RESULTS / "targets.json", "halfcheetah"
COMMON = "gear=0.8,damping=1.5,friction=0.5"
OWN = ("mass(torso)=1.5", "payload(bthigh)=1", "stiffness(bshin)=2,gravity=0.9", "size(fthigh)=1.1", "broken=ffoot")
STEPS, SEEDS = (80, 120, 200, 500), (0, 1)
PAGE, BEGIN, END = Path("docs/targets.md"), "<!-- table -->", "<!-- end -->"


def fleet(n: int, seed: int) -> list[dict[str, Any]]:
    """The five targets in their order, `n` steps of each: a result for each without and with what those before it
    told."""
    robot, told, cases = identifiable(ROBOT), [], []
    for own in OWN:
        case = Case(ROBOT, "pair", f"{COMMON},{own}", seed, n)
        taken = steps(case)
        for shared in (False, True):
            found, seconds = timed(robot, taken, [one for one in told if one is not None] if shared else ())
            cases.append({**judged(case, found, seconds, variants_of(robot)), "shared": shared})
            if shared:
                told.append(known(found.as_json()["parameters"], found.motors))
    return cases


def rows(cases: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    """A row for each number of steps; of the first target, which knows of no other, nothing counts."""
    found = [("steps of each target", "", "all found, within 2%", "explained: least", "middle", "CPU s")]
    for n in STEPS:
        for shared in (False, True):
            first = f"{COMMON},{OWN[0]}"
            own = [c for c in cases if c["steps"] == n and c["shared"] == shared and c["shifts"] != first]
            if own:
                share, spent = [c["explained"] for c in own], [c["cpu_seconds"] for c in own]
                right = sum(c["verdict"] == "right" for c in own)
                how = "after those before it" if shared else "alone"
                ends = (f"{min(share):.1%}", f"{median(share):.1%}", f"{median(spent):.0f}")
                found.append((f"{n}" if not shared else "", how, f"{right} of {len(own)}", *ends))
    return found


def main() -> None:
    """Run what is missing, and print the table."""
    command = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    command.add_argument("--markdown", action="store_true", help="the table, into docs/targets.md; runs nothing")
    args = command.parse_args()
    result = read(RESULT) or {"about": provenance(), "cases": []}
    if not args.markdown:
        for seed in SEEDS:
            for n in STEPS:
                if not any(c["steps"] == n and c["seed"] == seed for c in result["cases"]):
                    result["cases"] += fleet(n, seed)
                    write(RESULT, result)
        return print(table(rows(result["cases"])))
    text = PAGE.read_text()
    begin, end = text.index(BEGIN) + len(BEGIN), text.index(END)
    PAGE.write_text(f"{text[:begin]}\n{table(rows(result['cases']), markdown=True)}\n{text[end:]}")


if __name__ == "__main__":
    main()
