"""Runs of the golden cases that are killed (SIGKILL) at a random moment, taken up, and compared with the bits of the
run that went through. A checkpoint is written after every round, so that many a moment is in the middle of one."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).parent / "golden"
sys.path.insert(0, str(GOLDEN))
import bits  # noqa: E402

WRITTEN = json.loads((GOLDEN / "AVX2.json").read_text())  # what runs leave that were never killed
KINDS = {"rounds": 9, "files": 500, "seconds": 4}  # what a moment is counted in, and the latest of it
# A process of its own, which ends itself at a moment (0: never); then what it left is hashed. Files are counted when
# one of the run's is opened, moved, removed or cut; seconds from the first round on.
PROGRAM = f"""
import json, os, signal, sys, threading
sys.path.insert(0, {str(GOLDEN)!r})
import bits, jax
import transreward as tr
from transreward.engine import checkpoint
from transreward.interruption import arm
jax.config.update("jax_disable_most_optimizations", True)
name, out, kind, last, number = *sys.argv[1:4], float(sys.argv[4]), int(sys.argv[5])
if number == signal.SIGKILL:
    checkpoint.EVERY = 0.0
else:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    arm()
told, files = [], []
def end():
    os.kill(os.getpid(), number)
def watch(progress):
    told.append(progress)
    if kind == "rounds" and len(told) == last:
        end()
    if kind == "seconds" and last and len(told) == 1:
        timer = threading.Timer(last, end)
        timer.daemon = True
        timer.start()
def hook(event, arguments):
    if event in ("open", "os.rename", "os.remove", "os.truncate") and str(arguments[0]).startswith(out):
        files.append(event)
        if len(files) == last:
            end()
if kind == "files":
    sys.addaudithook(hook)
again = os.path.exists(os.path.join(out, "state", "request.json"))
result = tr.resume(out, watch=watch) if again else bits.run(bits.cases()[name], out=out, watch=watch)
print(json.dumps(dict(bits=json.loads(json.dumps(bits.hashed(result))), probe=bits.probe(), files=len(files))))
"""


def go(
    name: str, out: Path, kind: str = "rounds", last: float = 0, number: int = signal.SIGKILL
) -> dict[str, Any] | None:
    """What a case leaves in a directory, begun or gone on with there; None where it was ended before."""
    command = [sys.executable, "-c", PROGRAM, name, str(out), kind, str(last), str(int(number))]
    environment = {**os.environ, "XLA_FLAGS": "--xla_cpu_max_isa=AVX2", "TRANSREWARD_AGENTS": ""}
    if compiled := os.environ.get("TRANSREWARD_CACHE"):  # what one process compiled is there for the next
        environment |= {"JAX_COMPILATION_CACHE_DIR": compiled, "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.05"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if last and done.returncode == (-number if number == signal.SIGKILL else 128 + number):
        return None
    assert done.returncode == 0, f"{command[3:]}: {done.stderr[-3000:]}"
    return json.loads(done.stdout)


def moment(name: str, seed: int) -> tuple[str, float]:
    """A random one: in what it is counted, and how many."""
    draw = random.Random(f"{name} {seed}")
    kind = draw.choice(list(KINDS))
    return kind, draw.uniform(0, KINDS[kind]) if kind == "seconds" else draw.randint(1, KINDS[kind])


def killed(name: str, seed: int, place: Path, at: tuple[Any, ...] | None = None) -> dict[str, Any]:
    """A case, killed at its random moment, or `at` one, by a signal that may be another, and taken up: when, whether it
    was over by then, and in what its bits differ from those of the run that went through."""
    kind, last, *number = at or moment(name, seed)
    place.mkdir(exist_ok=True)
    found = go(name, place / "run", kind, last, *number)
    over, resumed = found is not None, (place / "run" / "state" / "request.json").exists()
    if found is None:
        if not resumed:  # no round was over: the run is begun anew
            shutil.rmtree(place / "run", ignore_errors=True)
        found = go(name, place / "run")
    assert found is not None
    whole = WRITTEN[name]
    if found["probe"] != WRITTEN["probe"]:  # a machine that computes otherwise
        other = go(name, place / "whole")
        assert other is not None
        whole = other["bits"]
    return {
        "case": name, "seed": seed, "kind": kind, "at": round(last, 3), "over": over, "resumed": resumed and not over,
        "differs": bits.differences({name: whole}, {name: found["bits"]}), **read(place / "run"),
    }  # fmt: skip


def read(run: Path) -> dict[str, Any]:
    """What a finished run's directory must show: no row of metrics twice, and of each stage the last state alone."""
    log = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    states = [p.parent for p in (run / "state").glob("*/*.json")]
    return {
        "rows_twice": len(log) - len({(row["phase"], row["round"], row["seed"]) for row in log}),
        "states_left": len(states) - len(set(states)),
        "partial_files": len(list(run.rglob("*.part"))),
    }
