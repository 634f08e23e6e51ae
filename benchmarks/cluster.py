"""What a Ray task adds to a job, and a study whose node, driver and head die: python benchmarks/cluster.py [--whole].

With --whole the study has 8 pairs, 6 methods and 5 seeds, else 2, 3 and 2. In an environment with the extra ray.
Several nodes on one machine, by Ray's own cluster_utils. Writes benchmarks/results/cluster.json: seconds from handing a
job in until its end is known, of a job that only writes its result, in a process here and as a Ray task; and of a study
of real jobs, disturbed in its middle, whether its table, its policies and its number of finished runs equal those of
the same study with --jobs 2; and the same of two processes that share a folder, one of which is killed.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import record

from transreward.claims import DONE, Claims
from transreward.study.jobs import jobs_of
from transreward.study.plan import read_plan
from transreward.workers import attempt, worker
from transreward.workers.contract import Asked, Task
from transreward.workers.versions import versions

JOBS = 8  # of which the first waits for Ray to start a process
TRIVIAL = "import os, sys; os.makedirs(sys.argv[1]); open(os.path.join(sys.argv[1], 'result.json'), 'w').write('{}')"
SHIFTS = ("gravity=1.5", "gravity=2", "mass=2", "damping=3", "gear=0.5", "gravity=0.5", "mass=0.5", "delay=1")
METHODS = ("zero_shot", "fine_tune", "target_only", "mix", "darc", "paired")
PLAN = {
    "pairs": [["inverted_pendulum", f"inverted_pendulum:{shift}"] for shift in SHIFTS],
    "methods": list(METHODS),
    "learner": {"name": "sac", "hidden": [4], "robots": 4, "batch": 16, "random_steps": 0, "steps_per_update": 4},
    "seeds": 5,
    "source_steps": 3_840,
    "target_steps": 1_280,
    "settings": {
        "loop.eval_episodes": 1, "loop.final_episodes": 1, "loop.evaluations": 2, "loop.source_evaluations": 1,
    },
}  # fmt: skip


def main() -> None:
    """Measure both, and write them down."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--whole", action="store_true", help="all pairs, methods and seeds: some twenty minutes")
    whole, about = parser.parse_args().whole, record.provenance()
    plan = PLAN if whole else {**PLAN, "pairs": PLAN["pairs"][:2], "methods": METHODS[:3], "seeds": 2}
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        Path("plan.yaml").write_text(json.dumps(plan))
        found: dict[str, Any] = {"plan": {key: plan[key] for key in ("pairs", "methods", "seeds")}}
        found["added"] = added(Path(folder))
        print(json.dumps(found, indent=2))
        found["killed"] = killed()
        print(json.dumps(found["killed"], indent=2))
        found["shared"] = shared()
        print(json.dumps(found["shared"], indent=2))
    record.write(record.RESULTS / "cluster.json", {**about, "ray": record.version("ray"), **found})


def added(folder: Path) -> dict[str, Any]:
    """Seconds of a trivial job, here and as a Ray task, one after another."""
    attempt.PROGRAM = (sys.executable, "-S", "-c", TRIVIAL)
    os.environ["PYTHONPATH"] = os.pathsep.join([str(site(folder)), os.environ.get("PYTHONPATH", "")])
    seconds = {name: timed(name, folder / f"trivial-{name}") for name in ("here", "ray")}
    usual = {name: float(np.median(times[1:])) for name, times in seconds.items()}
    first = seconds["ray"][0] - seconds["here"][0]
    return {"seconds": seconds, "first task": first, "later tasks": usual["ray"] - usual["here"]}


def site(folder: Path) -> Path:
    """So that Ray's processes start the trivial job, too."""
    place = folder / "site"
    place.mkdir()
    text = f"from transreward.workers import attempt\nattempt.PROGRAM = {attempt.PROGRAM!r}\n"
    (place / "sitecustomize.py").write_text(text)
    return place


def timed(name: str, folder: Path) -> list[float]:
    """Seconds of each of JOBS jobs."""
    place = worker(name, Asked(1, "local" if name == "ray" else "", memory=0.2, folder=folder))
    found = []
    for i in range(JOBS):
        run = folder / "runs" / str(i)
        begun = time.monotonic()
        going = place.start(
            Task((str(run),), run, run / "state", folder / "logs" / f"{i}.txt", folder / "claims", str(Path.cwd()),
                 versions())
        )  # fmt: skip
        while (outcome := going.over()) is None:
            time.sleep(0.01)
        found.append(time.monotonic() - begun)
        assert outcome.state == DONE, outcome
    place.close()
    return found


def killed() -> dict[str, Any]:
    """A study on two nodes, of which one is killed, then driver and head; the same command, on another cluster."""
    from ray.cluster_utils import Cluster

    os.environ["PYTHONPATH"] = os.environ["PYTHONPATH"].split(os.pathsep, 1)[1]
    every = jobs_of(read_plan(Path("plan.yaml")), Path("ray"))

    def cluster(nodes: int) -> tuple[Any, list[Any]]:
        made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
        return made, [made.add_node(num_cpus=1) for _ in range(nodes)]

    two, nodes = cluster(2)
    first = study("ray", "--ray", two.address, "--memory", "0.5")
    wait(lambda: sum(job.done for job in every) > len(every) // 3 and running(every) == 2)
    two.remove_node(nodes[0], allow_graceful=False)
    two.add_node(num_cpus=1)
    claims = Claims(Path("ray/claims"))
    wait(lambda: any((n := claims.newest(job.place.name)) is not None and n.number > 1 for job in every))
    wait(lambda: sum(job.done for job in every) > len(every) // 2 and running(every) == 2)
    before = sum(job.done for job in every)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    two.shutdown()
    other, _ = cluster(2)
    again = study("ray", "--ray", other.address, "--memory", "0.5")
    assert again.communicate()[0] is not None and again.returncode == 0
    other.shutdown()
    pool = study("pool", "--jobs", "2")
    assert pool.communicate()[0] is not None and pool.returncode == 0
    return compared(every, before, claims)


def shared() -> dict[str, Any]:
    """Two processes with one job each and a folder that they share, of which one is killed, and another begins."""
    every = jobs_of(read_plan(Path("plan.yaml")), Path("shared"))
    drivers = [study("shared", "--jobs", "1") for _ in range(2)]
    wait(lambda: sum(job.done for job in every) > len(every) // 3 and running(every) == 2)
    before = sum(job.done for job in every)
    drivers[0].send_signal(signal.SIGKILL)
    drivers.append(study("shared", "--jobs", "1"))
    for one in drivers:
        one.communicate()
    assert [one.returncode for one in drivers] == [-signal.SIGKILL, 0, 0]
    return compared(every, before, Claims(Path("shared/claims")))


def running(every: Any) -> int:
    """How many jobs have begun and are not done."""
    return sum((job.place / "config.json").exists() and not job.done for job in every)


def compared(every: Any, before: int, claims: Claims) -> dict[str, Any]:
    """What a study's directory and that of the undisturbed one hold."""
    own = every[0].place.parts[0]
    ends, numbers = [], []
    for job in every:
        notes = [claims._read(job.place.name, i + 1) for i in range(claims.newest(job.place.name).number)]  # type: ignore
        ends.append(sum(note.state == DONE for note in notes))
        numbers.append(len(notes))
    same = [
        (job.place / file).read_bytes() == (Path("pool") / job.place.relative_to(own) / file).read_bytes()
        for job in every for file in ("policy.safetensors", "returns.safetensors") if (job.place / file).exists()
    ]  # fmt: skip
    return {
        "jobs": len(every), "done before the driver was killed": before, "times that each was finished": ends,
        "times that each was begun or resumed": numbers, "same table": table(own) == table("pool"),
        "same files": [sum(same), len(same)],
    }  # fmt: skip


def table(folder: str) -> list[str]:
    """table.md without wall times."""
    found, skip = [], 0
    for line in Path(folder, "table.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        skip = cells.index("wall time") if "wall time" in cells else skip
        found.append("|".join(cell for i, cell in enumerate(cells) if i != skip))
    return found


def study(out: str, *words: str) -> subprocess.Popen[str]:
    """The command."""
    return subprocess.Popen(
        [sys.executable, "-m", "transreward", "study", "plan.yaml", "--out", out, *words],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def wait(true: Any, seconds: float = 1800.0) -> None:
    """Until something is so."""
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until
        time.sleep(0.2)


if __name__ == "__main__":
    main()
