"""A robot in C++ beside `transreward serve`, and how several robots share a server.

    python benchmarks/serve.py learn [--seeds 5] [--runs runs/serve] [--sources runs/session]
    python benchmarks/serve.py load [--seconds 60]

`learn`: half-cheetah at twice the gravity in a program of its own (cheetah.cpp: MuJoCo's library, the one header), at
50 Hz. The server is killed (SIGKILL) once 2,000 steps are saved; another one goes on, the learner catches up while the
robot stands, and 3,000 more follow. Then the delivered policy and the source's act in 20 episodes each, which are in
nobody's count. A seed that is done stays in the file. `--sources`: a folder of earlier runs, one a seed, whose source
agents are taken up. It needs g++.
`load`: eight robots, a process each, at 50 Hz on one server whose learner learns; then again, while the last of them
stops in the middle of a message over and over. How long `act` and `tell` take for each, as its process sees it.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import record
from session import FIRST, RATE, REST, SOURCE, TARGET, counted, each_seed, judged

import transreward as tr
from transreward.runs.places import SESSION

PROGRAM = Path(__file__).with_name("cheetah.cpp")
LONGEST = 3_000  # seconds of `improve`
ROBOTS = 8
QUANTILES = [50, 90, 99, 99.9, 100]


def main() -> None:
    """Run a part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("learn", "load"))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--runs", type=Path, default=Path("runs/serve"))
    parser.add_argument("--sources", type=Path)
    parser.add_argument("--seconds", type=float, default=60.0)
    args = parser.parse_args()
    args.runs.mkdir(parents=True, exist_ok=True)
    if args.part == "learn":
        learn(args.runs, args.seeds, args.sources)
    else:
        load(args.runs, args.seconds)


# -- a server, and a robot ------------------------------------------------------------------------------------------


@contextmanager
def serving(*asked: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server, once it listens, and what it said then. It is ended with SIGTERM unless it was killed."""
    command = [sys.executable, "-m", "transreward", "serve", *asked]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = next((line for line in process.stdout if line.startswith("listening")), None)
        if said is None:
            raise SystemExit(f"{' '.join(command)} did not listen")
        threading.Thread(target=process.stdout.read, daemon=True).start()
        try:
            yield process, said.strip()
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()


def compiled(folder: Path) -> Path:
    """The robot's program and its model, in a folder."""
    own = Path(mujoco.__file__).parent
    (library,) = own.glob("libmujoco.so.*")
    header = [sys.executable, "-m", "transreward", "serve", "--header"]
    (folder / "transreward.hpp").write_bytes(subprocess.run(header, check=True, capture_output=True).stdout)
    flags = ["-std=c++17", "-O2", "-Wall", "-Wextra", "-Werror", "-I", str(folder), "-isystem", str(own / "include")]
    made = folder / "cheetah"
    subprocess.run(["g++", *flags, PROGRAM, library, f"-Wl,-rpath,{own}", "-pthread", "-o", made], check=True)
    mujoco.mj_saveModel(tr.domain(TARGET).model, str(folder / "model.mjb"), None)  # type: ignore[attr-defined]
    return made


class Robot:
    """The program, which counts its own steps."""

    def __init__(self, program: Path, address: str, token: Path, rate: float, seed: int) -> None:
        command = [program, address, token, program.with_name("model.mjb"), str(rate), str(seed)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.count = 0

    def __call__(self, what: str, number: float = 0) -> bool:
        """Have it done. Returns what it says: of `improve` whether all is learned."""
        assert self._process.stdin is not None and self._process.stdout is not None
        print(what, number, file=self._process.stdin, flush=True)
        said = self._process.stdout.readline().split()
        if not said or said[0] != what:
            raise SystemExit(f"the robot: {' '.join(said)}")
        self.count = int(said[1])
        return said[2] == "yes"

    def end(self) -> None:
        """Let it end."""
        self._process.communicate()


# -- learn -----------------------------------------------------------------------------------------------------------


def learn(runs: Path, seeds: int, sources: Path | None) -> None:
    """All seeds, one after the other; what is done is kept."""
    with tempfile.TemporaryDirectory() as folder:
        program = compiled(Path(folder))
        each_seed(
            "serve.json",
            seeds,
            lambda seed: seed_of(program, runs / str(seed), seed, sources and sources / str(seed)),
        )


def seed_of(program: Path, out: Path, seed: int, source: Path | None, sizes: Sequence[int] = (FIRST, REST)) -> dict:
    """A session of one seed: its server killed after the first steps, another one for the rest."""
    shutil.rmtree(out, ignore_errors=True)
    path = str(program.with_name(f"{seed}.sock"))
    taken = ["--source-run", str(source)] if source else []
    new = [SOURCE, "--out", str(out), "--target-steps", str(sum(sizes)), "--seed", str(seed), *taken]
    robot, began = Robot(program, path, out / SESSION / "token", RATE, 1_000 + seed), time.perf_counter()
    with serving(*new, "--unix", path) as (server, _):
        robot("connect")
        robot("drive", sizes[0])
        robot("save")
        server.send_signal(signal.SIGKILL)
        server.wait()
    with serving(str(out), "--unix", path):
        robot("connect")
        robot("improve", LONGEST)
        robot("drive", sizes[1])
        robot("improve", LONGEST)
    seconds = time.perf_counter() - began
    robot.end()
    return {"robot_steps": robot.count, **counted(out), **judged(out), "seconds": seconds}


# -- load ------------------------------------------------------------------------------------------------------------


def load(runs: Path, seconds: float) -> None:
    """Eight robots at once, and again beside a slow one."""
    about, found, out = record.provenance(), {}, runs / "load"
    shutil.rmtree(out, ignore_errors=True)
    steps = ROBOTS * (int(RATE * seconds) * 2 + 100)
    sac = ["learner.hidden=64", "learner.batch=64", "loop.aligned=0"]
    asked = [SOURCE, "--method", "fine_tune", "--learner", "sac", "--source-steps", "20000", "--robots", str(ROBOTS)]
    asked += ["--target-steps", str(steps), "--out", str(out), "--port", "0", "--set", *sac]
    with serving(*asked) as (_, said):
        address, token = said.split()[2].rstrip(";"), out / SESSION / "token"
        walk = [sys.executable, Path(__file__).with_name("walk.py"), address, token]
        piped: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        robots = [subprocess.Popen([*walk, str(i)], **piped) for i in range(ROBOTS)]
        for one in robots:
            assert one.stdout is not None and one.stdout.readline() == "ready\n"
        for name, slow in (("all at 50 Hz", False), ("the last stops in messages", True)):
            taken = beside(robots, seconds, slow)
            found[name] = [{what: quantiles(x) for what, x in one.items()} for one in taken]
            at_most = max(max(one["act"] + one["tell"]) for one in taken[: ROBOTS - slow])
            print(f"{name}: at most {1e3 * at_most:.0f} ms; act {shown(found[name][: ROBOTS - slow], 'act')} ms")
        for one in robots:
            one.communicate()
        with tr.Client(address, token) as client:
            counted = client.status["steps"]
    told = {"robots": ROBOTS, "rate_hz": RATE, "seconds": seconds, "steps": counted, "quantiles": QUANTILES}
    record.write(record.RESULTS / "serve_load.json", {**about, **told, **found})


def quantiles(x: list[float]) -> list[float]:
    """Of durations, s; nothing of a robot that told nothing."""
    return np.percentile(x, QUANTILES).tolist() if x else []


def shown(found: list[dict[str, list[float]]], what: str) -> str:
    """The range over clients of the median and the 99th percentile."""
    middle, most = (1e3 * np.array([one[what][i] for one in found]) for i in (0, 2))
    return f"{middle.min():.1f} to {middle.max():.1f} (median), {most.min():.1f} to {most.max():.1f} (99%)"


def beside(robots: Sequence[subprocess.Popen[str]], seconds: float, slow: bool) -> list[dict[str, list[float]]]:
    """How long each call of each robot took, s; the last of them is slow, or not."""
    for i, one in enumerate(robots):
        assert one.stdin is not None
        print(seconds, "slow" if slow and i == ROBOTS - 1 else "steady", file=one.stdin, flush=True)
    return [json.loads(one.stdout.readline()) for one in robots if one.stdout is not None]


if __name__ == "__main__":
    main()
