"""examples/sb3_compensated.py, written down with machine, versions and seeds: does a compensation help SAC elsewhere?

    python benchmarks/sb3_compensated.py                 # into results/sb3_compensated.json; in the peers' environment
    python benchmarks/sb3_compensated.py --seeds 5       # options of the example

Returns in steps: they do not depend on how busy the machine is.
"""

from __future__ import annotations

import sys
from pathlib import Path

from record import RESULTS, provenance, version, write

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))
import sb3_compensated


def main() -> None:
    """Run the example with the arguments given, and keep what it returns."""
    head = provenance()
    head["versions"] |= {package: version(package) for package in ("torch", "stable-baselines3")}
    write(RESULTS / "sb3_compensated.json", {**head, **sb3_compensated.main(sys.argv[1:])})


if __name__ == "__main__":
    main()
