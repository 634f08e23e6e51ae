"""A session beside a simulated robot in another process.

    python benchmarks/session.py learn [--seeds 5] [--runs runs/session]    # 2,000 steps at 50 Hz, killed, 3,000 more
    python benchmarks/session.py latency [--seconds 600]                    # how long `act` takes, while SAC learns

`learn`: the robot is a process of its own that counts its own steps. Who answers it is killed (SIGKILL) once 2,000 are
saved; another one goes on, lets the learner catch up while the robot stands, and takes the rest. Then the delivered
policy and the source's act in 20 episodes each, which are in nobody's count. `latency`: 50 and 500 Hz; run it alone.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import record

import transreward as tr
from transreward.evaluation.statistics import interval
from transreward.runs.places import JOURNAL, SESSION
from transreward.session.learner import POLICIES
from transreward.session.protocol import receive, send
from transreward.session.published import Policy
from transreward.streams.journal import ACT, KINDS, STEP
from transreward.streams.log import records

SOURCE, TARGET = "halfcheetah", "halfcheetah:gravity=2"
RATE, FIRST, REST, EPISODES = 50.0, 2_000, 3_000, 20


def main() -> None:
    """Run a part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("learn", "latency", "answer"))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--runs", type=Path, default=Path("runs/session"))
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--robot", help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.part == "answer":
        answer(args.runs, args.robot, args.seed)
    elif args.part == "learn":
        learn(args.runs, args.seeds)
    else:
        latency(args.runs, args.seconds)


# -- the robot -----------------------------------------------------------------------------------------------------


def robot(path: str, seed: int, rate: float, count: Any) -> None:
    """A process: moves as it is told, at its own rate, and counts its steps; it knows nothing of sessions."""
    simulation = tr.domain(TARGET).simulate(1, 1_000 + seed, 1)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        due = time.monotonic()
        while True:
            connection, _ = listener.accept()
            with connection:
                send(connection, {"obs": simulation.obs[0].tolist()})
                while (told := receive(connection)) is not None:
                    due = max(due + 1 / rate, time.monotonic())
                    time.sleep(max(due - time.monotonic(), 0))
                    t = simulation.step(np.array([told["action"]]))
                    count.value += 1
                    over = bool(t.terminated[0]), bool(t.truncated[0])
                    about = {"reward": float(t.reward[0]), "led": t.next_obs[0].tolist(), "over": over}
                    send(connection, {**about, "obs": simulation.obs[0].tolist()})


def drive(session: Any, connection: socket.socket, obs: list[float], steps: int) -> list[float]:
    """Answer the robot for so many steps. Returns where it is then."""
    for _ in range(steps):
        action = session.act(obs)
        send(connection, {"action": action.tolist()})
        told = receive(connection)
        assert told is not None
        session.tell(obs, action, told["reward"], told["led"], *told["over"])
        obs = told["obs"]
    return obs


# -- learn ---------------------------------------------------------------------------------------------------------


def learn(runs: Path, seeds: int) -> None:
    """All seeds, one after the other; what is done is kept."""
    runs.mkdir(parents=True, exist_ok=True)
    each_seed("session.json", seeds, lambda seed: seed_of(runs / str(seed), seed))


def each_seed(name: str, seeds: int, of: Callable[[int], dict[str, Any]]) -> None:
    """What comes `of` each seed, into a file of the results as soon as it is there; what is there is kept."""
    about, file = record.provenance(), record.RESULTS / name
    found: dict[str, Any] = (record.read(file) or {}).get("seeds", {})
    for seed in range(seeds):
        if str(seed) not in found:
            found[str(seed)] = one = of(seed)
            record.write(file, {**about, "pair": [SOURCE, TARGET], "rate_hz": RATE, "seeds": found})
            print(f"seed {seed}: {one}", flush=True)
    apart = np.array([one["policy"] - one["source"] for one in found.values()])
    bounds = interval(apart)  # None of one seed
    said = f" [{bounds[0]:,.0f}, {bounds[1]:,.0f}]" if bounds else ""
    print(f"policy - source, {len(apart)} seeds: {apart.mean():,.0f}{said}")


def seed_of(out: Path, seed: int) -> dict[str, Any]:
    """A session of one seed: killed after its first steps, resumed for the rest."""
    path, apart = str(out.with_suffix(".robot")), multiprocessing.get_context("spawn")
    count = apart.Value("i", 0)
    Path(path).unlink(missing_ok=True)
    process = apart.Process(target=robot, args=(path, seed, RATE, count), daemon=True)
    process.start()
    command = [sys.executable, __file__, "answer", "--runs", str(out), "--robot", path, "--seed", str(seed)]
    began = time.perf_counter()
    first = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert first.stdout is not None
    for line in first.stdout:
        if line == "saved\n":
            first.send_signal(signal.SIGKILL)
    first.wait()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - began
    process.terminate()
    return {"robot_steps": count.value, **counted(out), **judged(out), "seconds": seconds}


def counted(out: Path) -> dict[str, int]:
    """What the journal has."""
    with (out / SESSION / JOURNAL).open("rb") as file:
        kinds = Counter(kind for _, kind, _, _ in records(file, KINDS))
    return {"asked": kinds[ACT], "told": kinds[STEP]}


def judged(out: Path) -> dict[str, Any]:
    """The run, and its policy beside the source's."""
    run = tr.load(out)
    delivered = run.delivered[0] if run.delivered else "learner"
    both = {"policy": returns(run.policy()), "source": returns(source_policy(out))}
    return {"target_steps": run.steps.target, "delivered": delivered, **both}


def answer(out: Path, path: str, seed: int) -> None:
    """The process that answers the robot: a new session, or one that goes on."""
    while not Path(path).exists():
        time.sleep(0.1)
    new = not out.exists()
    session = tr.Session.resume(out) if not new else tr.Session(SOURCE, out=out, target_steps=FIRST + REST, seed=seed)
    with socket.socket(socket.AF_UNIX) as connection, session:
        connection.connect(path)
        began = receive(connection)
        assert began is not None
        if new:
            drive(session, connection, began["obs"], FIRST)
            session.save()
            print("saved", flush=True)
            time.sleep(600)  # to be killed in
        session.improve()
        drive(session, connection, began["obs"], session.left)
        session.improve()


def source_policy(out: Path) -> Any:
    """The policy with which the session began."""
    config = tr.load(out)
    return lambda obs: _acting(config, out)(obs, None)


def _acting(run: Any, out: Path) -> Policy:
    spaces = tr.domain(SOURCE).spaces
    return Policy(run.learner, spaces, out / SESSION / POLICIES / "source.safetensors")


def returns(policy: Any) -> float:
    """Mean raw return of `EPISODES` episodes in the target, which nobody learns from."""
    simulation = tr.domain(TARGET).simulate(EPISODES, 77, 1)
    total, alive = np.zeros(EPISODES), np.ones(EPISODES, bool)
    while alive.any():
        t = simulation.step(np.asarray(policy(simulation.obs.astype(np.float32))))
        total += np.where(alive, t.reward, 0.0)
        alive &= ~(t.terminated | t.truncated)
    return float(total.mean())


# -- latency -------------------------------------------------------------------------------------------------------


def latency(runs: Path, seconds: float) -> None:
    """How long `act` and `tell` take at 50 and 500 Hz, while SAC learns from every step."""
    about, found = record.provenance(), {}
    for rate in (50.0, 500.0):
        steps, out = int(rate * seconds), runs / f"latency-{rate:g}-{os.getpid()}"
        session = tr.Session(
            SOURCE, method="fine_tune", learner="sac", source_steps=20_000, target_steps=steps, out=out,
            settings={"loop.aligned": 0},
        )  # fmt: skip
        simulation = tr.domain(TARGET).simulate(1, 0, 1)
        took, due, late = {"act": [], "tell": []}, time.perf_counter(), 0
        with session:
            for _ in range(steps):
                obs = simulation.obs[0].copy()
                times = [time.perf_counter()]
                action = session.act(obs)
                times.append(time.perf_counter())
                t = simulation.step(action[None])
                times.append(time.perf_counter())
                session.tell(obs, action, t.reward[0], t.next_obs[0], t.terminated[0], t.truncated[0])
                times.append(time.perf_counter())
                took["act"].append(times[1] - times[0])
                took["tell"].append(times[3] - times[2])
                due += 1 / rate
                late += time.perf_counter() > due
                time.sleep(max(due - time.perf_counter(), 0))
                due = max(due, time.perf_counter() - 1 / rate)
            policies = session.acting.version
        quantiles = {name: np.percentile(x, [50, 90, 99, 99.9, 100]).tolist() for name, x in took.items()}
        found[f"{rate:g} Hz"] = {"steps": steps, "seconds": quantiles, "late": late, "policies": policies}
        print(f"{rate:g} Hz: act {[f'{1e3 * x:.2f}' for x in quantiles['act']]} ms, {policies} policies, {late} late")
    record.write(record.RESULTS / "session_latency.json", {**about, "quantiles": [50, 90, 99, 99.9, 100], **found})


if __name__ == "__main__":
    main()
