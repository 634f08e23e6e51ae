"""Speed and memory as ratios, measured in one run: `make bench`, or

    PEERS_PYTHON=/path/to/peers/bin/python python benchmarks/bench.py

Each comparison alternates its sides within every repeat, so that a machine that slows down slows both, and is judged by
the median of its repeats. Peers run in an environment of their own, which PEERS_PYTHON names; without it their rows say
so and no ratio is claimed. Writes benchmarks/results/bench.json after each section.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from record import RESULTS, provenance, spread, table, write

# JAX and the package are imported by the sections that need them: the kernel counts the memory of a process from what
# its parent held when it was started, so the sections that start processes come first, while this one is small.

PEERS_SCRIPT = Path(__file__).with_name("peers_sb3.py")
NO_PEERS = "not measured: set PEERS_PYTHON"
ROBOT = "halfcheetah"
GFLOP = 1e9


@dataclass
class Bench:
    """Options of this run and all that it found."""

    repeats: int
    seconds: float  # of each measurement of a rate
    smoke: bool
    skip_demo: bool
    out: Path | None
    result: dict[str, Any] = field(default_factory=lambda: {**provenance(), "figures": {}, "required": []})

    def figure(self, name: str, unit: str, values: list[float]) -> None:
        """Record one figure with its repeats."""
        self.result["figures"][name] = {"unit": unit, **spread(values)}
        self.save()

    def require(self, name: str, values: list[float] | None, relation: str, limit: float, note: str = "") -> None:
        """Record what is required: the median of `values` against `limit`; None = it was not measured."""
        row: dict[str, Any] = {"name": name, "limit": f"{relation} {limit:g}"}
        if values:
            median = statistics.median(values)
            row |= {**spread(values), "pass": median >= limit if relation == ">=" else median <= limit}
        else:
            row["pass"] = None
        self.result["required"].append({**row, "note": note} if note else row)
        self.save()

    def save(self) -> None:
        """Write what there is so far."""
        if self.out is not None:
            write(self.out, self.result)

    def repeat(self, *measures: Callable[[], float]) -> list[list[float]]:
        """The values of each measure over the repeats, taken in turns."""
        rows = [[measure() for measure in measures] for _ in range(self.repeats)]
        return [list(column) for column in zip(*rows, strict=True)]

    def table(self) -> str:
        """Two plain tables: the figures, and what is required."""
        figures, required = self.result["figures"], self.result["required"]
        columns = ("min", "median", "max")
        rows = [("figure", *columns, "unit")]
        rows += [(name, *(f"{f[c]:,.4g}" for c in columns), f["unit"]) for name, f in figures.items()]
        verdict = {True: "pass", False: "FAIL", None: "not measured"}
        limits = [("required", *columns, "limit", "verdict")]
        for row in required:
            values = (f"{row[c]:,.4g}" if c in row else "-" for c in columns)
            limits.append((row["name"], *values, row["limit"], verdict[row["pass"]]))
        notes = [f"{row['name']}: {row['note']}" for row in required if "note" in row]
        return "\n".join([table(rows), "", table(limits), *notes])


def ratios(above: list[float], below: list[float]) -> list[float]:
    """Repeat by repeat."""
    return [a / b for a, b in zip(above, below, strict=True)]


# -- what a user meets first: start, import, the default run ---------------------------------------------------------


def startup(bench: Bench) -> None:
    """`transreward --help`, and whether importing the package imports JAX."""
    script = Path(sys.executable).with_name("transreward")
    command = [str(script)] if script.exists() else [sys.executable, "-m", "transreward"]
    times = []
    for _ in range(5):
        began = time.perf_counter()
        subprocess.run([*command, "--help"], check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - began)
    bench.figure("transreward --help", "s", times)
    bench.require("transreward --help, best of 5, s", [min(times)], "<=", 0.5)
    code = "import sys, transreward; print(int('jax' in sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    bench.require("import transreward: JAX imported", [float(found)], "<=", 0)


def default_run(bench: Bench) -> None:
    """The main job as a user starts it: memory and wall time, with an empty compilation cache and with a full one."""
    if bench.skip_demo:
        bench.require("default run, peak resident memory, GB", None, "<=", 1.5, "left out by --skip-demo")
        return
    memory = []
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"TRANSREWARD_CACHE": f"{folder}/cache", "TRANSREWARD_AGENTS": ""}
        for cache in ("cold", "warm"):
            command = [sys.executable, "-m", "transreward", "transfer", "--out", f"{folder}/{cache}"]
            if bench.smoke:
                command += ["--source-steps", "30000", "--target-steps", "1100", "--seeds", "1"]
            began = time.perf_counter()
            run = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL)
            _, status, usage = os.wait4(run.pid, 0)
            seconds = time.perf_counter() - began
            run.returncode = os.waitstatus_to_exitcode(status)
            if run.returncode:
                raise SystemExit(f"the default run exits with {run.returncode}: {' '.join(command)}")
            bench.figure(f"default run, {cache} cache", "s", [seconds])
            memory.append(usage.ru_maxrss * 1024 / 1e9)  # kibibytes on Linux
    bench.figure("default run, peak resident memory", "GB", memory)
    bench.require("default run, peak resident memory, GB", [max(memory)], "<=", 1.5)


# -- against Stable-Baselines3 and against the machine ---------------------------------------------------------------


def peer(bench: Bench, *arguments: str) -> list[Callable[[], float]]:
    """A measure of the peer's speed at one thread and at two; none without PEERS_PYTHON."""
    python = os.environ.get("PEERS_PYTHON")

    def measure(threads: int) -> float:
        assert python is not None
        command = [python, str(PEERS_SCRIPT), "speed", *arguments, "--env", "HalfCheetah-v5"]
        command += ["--seconds", str(bench.seconds), "--threads", str(threads)]
        with tempfile.TemporaryDirectory() as folder:  # MuJoCo leaves a log where it runs
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=folder)
        found = json.loads(done.stdout.strip().splitlines()[-1])
        bench.result.setdefault("peer_versions", found["versions"])
        return found["value"]

    return [] if python is None else [lambda: measure(1), lambda: measure(2)]


def beside_peer(bench: Bench, what: str, unit: str, limit: float, own: list[float], peers: list[list[float]]) -> None:
    """Record the peer at each number of threads and the ratio to the faster of them."""
    name = f"{what} / Stable-Baselines3"
    if not peers:
        bench.require(name, None, ">=", limit, NO_PEERS)
        return
    for threads, values in enumerate(peers, start=1):
        bench.figure(f"{what}, Stable-Baselines3, threads: {threads}", unit, values)
    bench.require(name, ratios(own, [max(values) for values in zip(*peers, strict=True)]), ">=", limit)


def ppo_beside_peer(bench: Bench) -> None:
    """Whole PPO training at the same settings, with a large minibatch and with the peer's own."""
    from training import PEERS_PPO, rate

    for batch, settings in ((256, "ours"), (64, "batch64")):
        learner = replace(PEERS_PPO, minibatches=PEERS_PPO.robots * PEERS_PPO.rollout_steps // batch)
        own, *peers = bench.repeat(
            lambda learner=learner: rate(ROBOT, learner, 1, bench.seconds),
            *peer(bench, "--algo", "ppo", "--settings", settings),
        )
        what = f"PPO training, minibatches of {batch}"
        bench.figure(what, "steps/s", own)
        beside_peer(bench, what, "steps/s", 5, own, peers)


def sac_updates(bench: Bench) -> None:
    """SAC's gradient updates alone, beside the peer's and beside the machine's matrix products."""
    from training import PEERS_SAC, pair

    spaces = pair(ROBOT).source.spaces
    gflop = sac_flops(spaces.obs, spaces.action, PEERS_SAC.hidden, PEERS_SAC.critics, PEERS_SAC.batch) / GFLOP
    update = sac_update_rate(PEERS_SAC, min(bench.seconds, 10.0))
    own, numpy_rate, jax_rate, *peers = bench.repeat(
        update, numpy_matmul, jax_matmul(), *peer(bench, "--algo", "sac", "--settings", "default", "--update-only")
    )
    bench.figure("SAC updates, 256 x 256, batch 256", "updates/s", own)
    beside_peer(bench, "SAC updates", "updates/s", 2, own, peers)
    bench.figure("float32 matrix products, NumPy", "GFLOP/s", numpy_rate)
    bench.figure("float32 matrix products, JAX", "GFLOP/s", jax_rate)
    bench.result["sac_update_gflop"] = round(gflop, 4)
    limit = [max(rates) / gflop for rates in zip(numpy_rate, jax_rate, strict=True)]
    bench.figure("SAC updates, limit by matrix products", "updates/s", limit)
    bench.require("SAC updates / that limit", ratios(own, limit), ">=", 0.55)


def sac_flops(obs: int, action: int, hidden: tuple[int, ...], critics: int, batch: int) -> float:
    """Floating-point operations of the matrix products that one SAC update needs: two per multiply-add.

    A backward pass through a layer is two products of the forward's size, for the weights and for the input. Products
    that nobody needs are not counted: the first layer's input gradient, and in the actor's loss all of the critics'
    weight gradients and of their input gradient what belongs to the observation.
    """

    def forward(sizes: tuple[int, ...]) -> int:
        return sum(a * b for a, b in pairwise(sizes))

    def backward(sizes: tuple[int, ...]) -> int:
        return 2 * forward(sizes) - sizes[0] * sizes[1]

    actor, critic = (obs, *hidden, 2 * action), (obs + action, *hidden, 1)
    goal = forward(actor) + critics * forward(critic)  # the next action, the slow critics
    critic_loss = critics * (forward(critic) + backward(critic))
    through_critic = forward(critic) - obs * hidden[0]
    actor_loss = forward(actor) + backward(actor) + critics * (forward(critic) + through_critic)
    return 2.0 * batch * (goal + critic_loss + actor_loss)


def sac_update_rate(learner: Any, seconds: float) -> Callable[[], float]:
    """A measure of updates per second of one seed, on a replay of as many random steps as the peer's."""
    import jax
    import jax.numpy as jnp
    from training import pair

    from transreward import replay as rp
    from transreward.engine.programs import programs
    from transreward.request.config import PLAIN
    from transreward.streams.stream import Stream
    from transreward.streams.walk import Walk
    from transreward.types import Pair

    learner, domain, stored = replace(learner, burst=32), pair(ROBOT).source, 10_000
    compiled = programs(learner, PLAIN.compensation(), domain.spaces)
    keys = jax.vmap(jax.random.key)(jnp.asarray([0]))
    agents, compensation = compiled.init(keys)
    steps = Walk(Stream("source", "walk", "source", "free", 1), domain, [0]).collect(None, agents, None, stored)
    data = Pair(rp.of(steps, domain.spaces), None)
    agents = compiled.see(agents, steps.transition.obs)

    def burst() -> int:
        nonlocal agents, keys
        keys, fresh = compiled.next_keys(keys)
        agents, metrics = compiled.improve(agents, compensation, data, fresh, updates=learner.burst, target_share=0.0)
        jax.block_until_ready((agents, metrics))
        return learner.burst

    burst()  # compiles
    return lambda: per_second(burst, seconds)


def per_second(work: Callable[[], float], seconds: float) -> float:
    """What `work` returns, summed over the calls that fill `seconds`, per second."""
    work()  # warms the caches
    done, began = 0.0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        done += work()
    return done / (time.perf_counter() - began)


MATMUL = 2048  # rows and columns
MATMUL_SECONDS = 3.0


def numpy_matmul() -> float:
    """GFLOP/s of a float32 matrix product in NumPy."""
    import numpy as np

    a = np.random.default_rng(0).standard_normal((MATMUL, MATMUL), np.float32)
    out = np.empty_like(a)

    def work() -> float:
        np.matmul(a, a, out=out)
        return 2 * MATMUL**3 / GFLOP

    return per_second(work, MATMUL_SECONDS)


def jax_matmul() -> Callable[[], float]:
    """A measure of GFLOP/s of a jitted float32 matrix product in JAX."""
    import jax

    a = jax.random.normal(jax.random.key(0), (MATMUL, MATMUL))
    product = jax.jit(lambda a: a @ a)

    def work() -> float:
        product(a).block_until_ready()
        return 2 * MATMUL**3 / GFLOP

    return lambda: per_second(work, MATMUL_SECONDS)


# -- against the simulator, and seed against seed --------------------------------------------------------------------


def beside_simulator(bench: Bench) -> None:
    """PPO with our preset against the simulator alone with the same robots and threads."""
    from training import preset_ppo, rate

    learner = preset_ppo(ROBOT)
    for seeds in (1, 3):
        own, raw = bench.repeat(
            lambda seeds=seeds: rate(ROBOT, learner, seeds, bench.seconds),
            lambda seeds=seeds: raw_simulation(learner.robots * seeds, min(bench.seconds, 5.0)),
        )
        bench.figure(f"PPO training, preset, seeds: {seeds}", "steps/s", own)
        bench.figure(f"Batch.step, robots: {learner.robots * seeds}", "steps/s", raw)
        bench.require(f"PPO training / Batch.step, seeds: {seeds}", ratios(own, raw), ">=", 0.45)


def raw_simulation(robots: int, seconds: float) -> float:
    """Control steps per second of `mujoco.batch.Batch` under random controls, on all cores as our training is."""
    import numpy as np
    from mujoco.batch import Batch
    from training import pair

    domain: Any = pair(ROBOT).source
    batch, low, high = Batch(domain.model, robots, 0), *domain.model.actuator_ctrlrange.T
    controls = np.random.default_rng(0).uniform(low, high, (64, robots, len(low)))
    ctrl, turn = batch.bind("ctrl"), 0

    def work() -> int:
        nonlocal turn
        ctrl[:] = controls[turn % len(controls)]
        batch.step(nstep=domain.robot.frame_skip)
        turn += 1
        return robots

    return per_second(work, seconds)


def seeds_together(bench: Bench) -> None:
    """Four seeds in one process against one: a whole source training each, compiled before."""
    from training import seconds_of

    from transreward.presets import make_learner

    for name, budget in (("ppo", 160_000), ("sac", 50_000)):
        learner = make_learner(name, ROBOT)
        if bench.smoke:
            budget = 20_000
        for seeds in (1, 4):
            seconds_of(ROBOT, learner, budget, seeds)
        one, four = bench.repeat(
            lambda args=(ROBOT, learner, budget): seconds_of(*args, 1),
            lambda args=(ROBOT, learner, budget): seconds_of(*args, 4),
        )
        what = f"{name.upper()}, {budget:,} steps a seed"
        bench.figure(f"{what}, one seed", "s", one)
        bench.figure(f"{what}, four seeds", "s", four)
        bench.require(f"{name.upper()}, time of four seeds / of one", ratios(four, one), "<=", 3.8)


# -- what the grid costs ---------------------------------------------------------------------------------------------


def sac_loop(bench: Bench) -> None:
    """The whole SAC loop at one update per step beside the peer's, and ten critics beside two."""
    from training import PEERS_SAC, rate

    learner = replace(PEERS_SAC, burst=32)  # 32 steps, then 32 updates
    own, *peers = bench.repeat(
        lambda: rate(ROBOT, learner, 1, bench.seconds), *peer(bench, "--algo", "sac", "--settings", "default")
    )
    bench.figure("SAC training, one update per step", "steps/s", own)
    beside_peer(bench, "SAC training, one update per step", "steps/s", 2.5, own, peers)
    recipes = (PEERS_SAC, replace(PEERS_SAC, critics=10, subset=2))  # the second is what `rlpd` has
    critics = [sac_update_rate(recipe, min(bench.seconds, 10.0)) for recipe in recipes]
    two, ten = bench.repeat(*critics)
    bench.figure("SAC updates, ten critics", "updates/s", ten)
    bench.require("SAC update with ten critics / with two, time", ratios(two, ten), "<=", 3)


def gap_cost(bench: Bench) -> None:
    """Seconds per source step while `darc` is learned and paid, over those of plain training in the same run."""
    from training import phase_seconds

    from transreward.presets import make_learner

    for name, budget in (("ppo", 600_000), ("sac", 100_000)):
        learner = make_learner(name, ROBOT)
        seconds = [
            phase_seconds(ROBOT, learner, "darc", budget // (10 if bench.smoke else 1)) for _ in range(bench.repeats)
        ]
        values = [found["transfer"] / found["source"] for found in seconds]
        for phase in ("source", "transfer"):
            bench.figure(
                f"{name.upper()}, {phase} phase of darc", "us a source step", [1e6 * s[phase] for s in seconds]
            )
        bench.require(f"{name.upper()}, darc / plain training, time per source step", values, "<=", 1.35)


def replay_memory(bench: Bench) -> None:
    """What a replay of a million steps takes, filled step by step, over the same steps as float32 arrays."""
    import jax
    import numpy as np
    from training import pair

    from transreward import replay as rp
    from transreward.domains.domain import stored_terms

    source, robots, steps = pair(ROBOT).source, 64, 10_000 if bench.smoke else 1_000_000
    spaces, more = source.spaces, len(stored_terms(source))
    taken = rp.no_steps(spaces, 1, 125, robots)._replace(terms=np.ones((1, 125, robots, more), np.float32))
    rp.add(rp.empty(spaces, 1, 250, robots, more), taken)  # what JAX itself takes at first is no replay's
    before = resident()
    replay = rp.empty(spaces, 1, steps // robots, robots, more)
    for _ in range(steps // robots // 125):
        replay = rp.add(replay, taken)
    jax.block_until_ready(replay.data)
    raw = 4.0 * steps * (2 * spaces.obs + spaces.action + 1) + 2.0 * steps  # the flags as bytes
    grown = resident() - before
    bench.figure("replay of a million steps, resident memory", "MB", [grown / 1e6])
    bench.require("replay, resident memory / raw float32 size", [grown / raw], "<=", 1.15)


def resident() -> float:
    """Bytes of this process in memory, on Linux."""
    return float(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


# -- compilations ----------------------------------------------------------------------------------------------------


def compilations(bench: Bench) -> None:
    """How often each program of the loop is traced: once, and never after the first round of a phase."""
    from training import pair

    from transreward.engine.programs import programs
    from transreward.methods import method
    from transreward.presets import make_learner
    from transreward.request.config import PLAIN
    from transreward.transfer import transfer

    source, target = pair(ROBOT)
    for name in ("ppo", "sac"):
        programs.cache_clear()  # counts start at zero
        learner, darc = make_learner(name, ROBOT), method("darc")
        plain, moving = (programs(learner, row.compensation(), source.spaces) for row in (PLAIN, darc))
        first: dict[str, int] = {}

        def watch(progress: Any, moving: Any = moving, first: dict[str, int] = first) -> None:
            if progress.phase == "transfer" and not first:
                first.update(moving.traces)

        settings = {"loop.aligned": 0}
        transfer(
            source, target, "darc", learner=learner, source_steps=60_000, target_steps=500, seeds=2, settings=settings,
            fresh=True, watch=watch,
        )  # fmt: skip
        bench.result.setdefault("traces", {})[name] = {"plain": dict(plain.traces), "darc": dict(moving.traces)}
        most, later = max(plain.traces.values()), sum(moving.traces.values()) - sum(first.values())
        bench.require(f"{name.upper()}, source training: traces of each program", [float(most)], "<=", 1)
        bench.require(f"{name.upper()}, darc: traces after its first round", [float(later)], "<=", 0)


# -- looking at a run ----------------------------------------------------------------------------------------------


def look(bench: Bench) -> None:
    """What it costs to see a run of five seeds: progress and logging while it goes on, its report, its videos."""
    from training import Watched

    from transreward.live import View
    from transreward.reports.films.play import before_and_after
    from transreward.transfer import transfer

    pair = ROBOT, f"{ROBOT}:broken=bthigh"
    steps = (40_000, 1_100) if bench.smoke else (300_000, 5_000)
    with tempfile.TemporaryDirectory() as folder:
        place, page = f"{folder}/run", Path(folder, "page.html")
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere), Watched() as watched:
            view = View({"source": pair[0], "target": pair[1]})
            transfer(
                *pair, controls=["zero_shot", "fine_tune"], source_steps=steps[0], target_steps=steps[1], seeds=5,
                fresh=True, out=place, watch=view, log=("tensorboard",),
            )  # fmt: skip
        bench.require("progress and logging, share of a run's time", [watched.share], "<=", 0.02)
        command = [sys.executable, "-m", "transreward", "report", place, "--out", str(page)]

        def report() -> float:
            began = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            return time.perf_counter() - began

        bench.require("report of five seeds, without videos, s", bench.repeat(report)[0], "<=", 5)
        bench.require("its page, MB", [page.stat().st_size / 1e6], "<=", 1)
        began = time.perf_counter()
        before_and_after(place)
        bench.require("its videos, s", [time.perf_counter() - began], "<=", 30)
        report()
        bench.require("its page with videos, MB", [page.stat().st_size / 1e6], "<=", 8)


def relabelling(bench: Bench) -> None:
    """A million stored half-cheetah steps paid as another task would have paid them."""
    import jax
    import numpy as np

    from transreward.domains.ids import domain
    from transreward.streams.stream import Stream
    from transreward.streams.walk import Walk, relabel

    robots = Walk(Stream("source", "walk", "source", "free", 100, terms=1), domain(ROBOT), [0])
    taken = robots.collect(None, None, None, 100)
    steps = jax.tree.map(lambda x: np.concatenate([x] * (1 if bench.smoke else 100), axis=1), taken)
    target = domain(f"{ROBOT}+backward")

    def seconds() -> float:
        began = time.perf_counter()
        relabel(target, steps)
        return time.perf_counter() - began

    bench.require(f"relabelling {steps.domain.size:,} stored steps, s", bench.repeat(seconds)[0], "<=", 1)


def reward_cost(bench: Bench) -> None:
    """Seconds per target step with a model of rewards, or a potential, over those of the same learner without."""
    from training import task_seconds

    budget = 600 if bench.smoke else 3_000
    pair = ROBOT, f"{ROBOT}+backward"
    cases = {
        "reward_gap": "fine_tune",
        "dpba": "fine_tune",
        "value_potential": "target_only",
        "successor": "target_only",
    }
    for name, control in cases.items():
        own, plain = bench.repeat(*(partial(task_seconds, *pair, method, budget) for method in (name, control)))
        bench.require(f"{name} / {control}, time per target step", ratios(own, plain), "<=", 1.25)


SECTIONS: dict[str, Callable[[Bench], None]] = {
    "startup": startup,
    "default-run": default_run,
    "ppo": ppo_beside_peer,
    "sac": sac_updates,
    "sac-loop": sac_loop,
    "gap": gap_cost,
    "replay": replay_memory,
    "simulator": beside_simulator,
    "seeds": seeds_together,
    "compilations": compilations,
    "look": look,
    "relabel": relabelling,
    "rewards": reward_cost,
}


def main() -> None:
    """Read the command line and run the sections."""
    parser = argparse.ArgumentParser(description="Speed and memory as ratios; the machine must be idle.")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=15.0, help="of each measurement of a rate")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, help="some sections; needs --out to be written")
    parser.add_argument("--skip-demo", action="store_true", help="leave out the default run (minutes)")
    parser.add_argument("--smoke", action="store_true", help="seconds, to see that the script works; measures nothing")
    parser.add_argument("--out", type=Path, help=f"default: {RESULTS.name}/bench.json, where all sections run")
    args = parser.parse_args()
    out = args.out
    if out is None and not args.only and not args.smoke:
        out = RESULTS / "bench.json"
    repeats, seconds = (1, 1.0) if args.smoke else (args.repeats, args.seconds)
    bench = Bench(repeats, seconds, args.smoke, args.skip_demo, out)
    bench.result |= {"smoke": args.smoke, "repeats": repeats, "seconds": seconds}
    for name, section in SECTIONS.items():  # in this order, see the imports
        if args.only is None or name in args.only:
            print(f"{name} ...", flush=True)
            section(bench)
    print("", bench.table(), *([f"\nwritten to {out}"] if out else []), sep="\n")


if __name__ == "__main__":
    main()
