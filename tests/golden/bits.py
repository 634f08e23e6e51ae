"""The bits of every row of the table: a tiny run of each with each learner that it takes, as hashes.

    python tests/golden/bits.py write                 all cases, into tests/golden/ISA.json
    python tests/golden/bits.py check [CASE …]        compare with what is written there; exits 1 where a bit differs
    python tests/golden/bits.py against REVISION      the same beside another commit's package, on this machine

XLA compiles for the processor that it finds, so the instruction set is fixed by its flag (`--isa`, AVX2 or SSE4_2).
What is left of the machine, its mathematics in other libraries, is probed first: where the probe differs from the
written one, `check` runs the commit that wrote the bits beside the present one, as `against` does, and takes a quarter
of the cases, since each is run twice. A case that was written on another machine than the rest has that one's probe
beside its bits, and is compared there alone.
Leaves of an agent are hashed as a multiset and columns of the metrics by name, so a field may move within its class.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ISAS = ("AVX2", "SSE4_2")
SOURCE, TARGET, OTHER_TASK = "hopper", "hopper:gravity=0.5", "hopper+run(speed=1):gravity=0.5"
REQUEST = {"source_steps": 640, "target_steps": 96, "seeds": 2, "seed": 4}
LEARNERS: dict[str, dict[str, Any]] = {
    "ppo": {"hidden": (4,), "robots": 4, "rollout_steps": 16, "minibatches": 2, "epochs": 2, "target_rollout": 24},
    "sac": {"hidden": (4,), "robots": 4, "batch": 16, "burst": 4, "steps_per_update": 4.0, "random_steps": 16,
            "target_updates_per_step": 0.25},
}  # fmt: skip
LOOP = {"final_episodes": 2, "eval_episodes": 1, "evaluations": 2, "source_evaluations": 2, "aligned": 0.0,
        "threads": 1, "gap_updates": 0.5}  # fmt: skip
OFFLINE = {"hidden": (4,), "batch": 16, "updates": 40, "burst": 8}
GAP = {"hidden": (4,), "batch": 16, "members": 2, "memory": 32}  # where a gap has such settings
QUARTER = 4
NOT_BITS = ("seconds", "target_success")  # columns that tell the time, or what the terms and ends of episodes tell


def cases() -> dict[str, dict[str, Any]]:
    """Name -> request. Every row with each learner that takes it, and what is said of a run beside its row."""
    import transreward as tr

    found = {}
    for row in tr.methods():
        for learner in ("sac",) if row.off_policy or row.learner or row.offline is not None else LEARNERS:
            found[f"{row.name}-{learner}"] = {"method": row.name, "learner": learner}
    for learner in LEARNERS:
        found[f"controls-{learner}"] = {"method": "darc", "learner": learner, "controls": ("fine_tune", "zero_shot")}
        found[f"fallback-{learner}"] = {"method": "darc", "learner": learner, "fallback": True}
    return found | {"cotrain-sac": {"method": "reward_gap", "learner": "sac", "cotrain": True}}


def run(request: dict[str, Any], **more: Any) -> Any:
    """The result of a case; `more` are arguments of `transfer` that change no bit."""
    import transreward as tr

    request = dict(request)
    row, learner = tr.method(request.pop("method")), request.pop("learner")
    settings = {f"loop.{name}": value for name, value in LOOP.items()}
    row = row.simulated if learner == "ppo" else row
    gap = None if row.name == "relabel" else row.gap  # which needs none where the target's reward can be computed
    settings |= {f"gap.{k}": v for k, v in GAP.items() if k in getattr(gap, "__dataclass_fields__", {})}
    settings |= {f"offline.{name}": value for name, value in OFFLINE.items()} if row.offline is not None else {}
    settings |= {"loop.fallback": True} if request.pop("fallback", False) else {}
    settings |= {"ground.steps": 80} if row.ground is not None and (row.gap is not None or row.fallback) else {}
    settings |= {"feed.branches": 1} if row.feed is not None and row.feed.source == "branched" else {}
    return tr.transfer(
        SOURCE, OTHER_TASK if row.name == "relabel" else TARGET, row.name,
        learner=tr.learner(learner, **LEARNERS[learner]), settings=settings, **REQUEST, **request, **more,
    )  # fmt: skip


def hashed(result: Any) -> dict[str, Any]:
    """What a result is, as hashes."""
    import numpy as np

    parts = {"": result, **{f"{name}.": control for name, control in result.controls.items()}}
    if result.partner is not None:
        parts["partner."] = result.partner
    found: dict[str, Any] = {}
    for name, part in parts.items():
        found[f"{name}policy"] = leaves(part.agents)
        found[f"{name}returns"] = digest(np.asarray(part.returns.source), np.asarray(part.returns.target))
        found[f"{name}steps"] = [*map(int, part.steps), *map(int, part.evaluation_steps), int(part.updates)]
        found[f"{name}metrics"] = columns(part.log)
    return found


def leaves(tree: Any) -> str:
    """One hash of all arrays of a tree, in whatever order."""
    import jax
    import numpy as np

    return digest(*sorted(digest(np.asarray(leaf)).encode() for leaf in jax.tree.leaves(tree)))


def columns(log: list[dict[str, Any]]) -> dict[str, str]:
    """A hash per column of the metrics."""
    names = sorted({name for row in log for name in row} - set(NOT_BITS))
    return {name: digest(repr([row.get(name) for row in log]).encode())[:8] for name in names}


def digest(*parts: Any) -> str:
    """SHA-256 of arrays, with their shapes and kinds, or of bytes."""
    made = hashlib.sha256()
    for part in parts:
        made.update(part if isinstance(part, bytes) else f"{part.dtype}{part.shape}".encode() + part.tobytes())
    return made.hexdigest()[:32]


def probe() -> str:
    """What this machine makes of some arithmetic that the runs are built of."""
    import gymnasium
    import jax
    import jax.numpy as jnp
    import numpy as np

    x = jnp.linspace(-3, 3, 256).reshape(16, 16)
    made = jax.jit(lambda x: jnp.tanh(x @ x.T) + jnp.exp(-x) * jax.random.normal(jax.random.key(0), x.shape))(x)
    env = gymnasium.make("Hopper-v5")
    env.reset(seed=0)
    obs = [env.step(np.full(3, 0.5, np.float32))[0] for _ in range(20)]
    env.close()
    return digest(np.asarray(made), np.asarray(obs), np.exp(np.linspace(-5, 5, 999)))


def measure(names: list[str], expects: str) -> None:
    """Print the bits of cases by name, a line each, as they come: of a quarter of them where the probe is not the one
    that is expected, if one is."""
    import jax

    jax.config.update("jax_disable_most_optimizations", True)  # most of the time of these runs is the compiler's
    known, here = cases(), probe()
    print(json.dumps({"probe": here}), flush=True)
    wanted = [name for name in known if not names or name in names]
    for name in wanted[:: 1 if expects in ("", here) else QUARTER]:
        print(json.dumps({name: hashed(run(known[name]))}), flush=True)


def elsewhere(package: Path, names: list[str], isa: str, expects: str = "") -> Iterator[dict[str, Any]]:
    """Cases by name in a process of their own, of the package in a directory, compiled for an instruction set."""
    environment = {**os.environ, "PYTHONPATH": str(package), "XLA_FLAGS": f"--xla_cpu_max_isa={isa}"}
    environment["TRANSREWARD_AGENTS"] = ""
    command = [sys.executable, __file__, "measure", *names, "--expects", expects]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            yield json.loads(line)
    if process.returncode:
        raise SystemExit(process.returncode)


def at(revision: str, names: list[str], isa: str) -> dict[str, Any]:
    """Cases by name, of the package as a commit has it."""
    with tempfile.TemporaryDirectory() as place:
        archive = ["git", "-C", str(HERE.parents[1]), "archive", revision, "transreward"]
        made = subprocess.run(archive, stdout=subprocess.PIPE, check=True)
        subprocess.run(["tar", "-x", "-C", place], input=made.stdout, check=True)
        return together(elsewhere(Path(place), names, isa))


def together(found: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """One mapping of many."""
    return {name: value for one in found for name, value in one.items()}


def last_written(isa: str) -> str:
    """The commit that wrote the bits last."""
    asked = ["git", "-C", str(HERE), "log", "-1", "--format=%H", "--", f"{isa}.json"]
    return subprocess.run(asked, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def added(written: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """What is written with what was found; where another machine wrote the rest, each case with this one's probe."""
    here, there = found["probe"], written.get("probe", found["probe"])
    cases = {name: value for name, value in found.items() if name != "probe"}
    if here != there:
        cases = {name: {**value, "probe": here} for name, value in cases.items()}
    return {**written, "probe": there, **cases}


def of_machine(written: dict[str, Any], here: str) -> dict[str, Any]:
    """Those cases that a machine with this probe can compare."""
    return {
        name: {part: x for part, x in value.items() if part != "probe"}
        for name, value in written.items()
        if name != "probe" and value.get("probe", here) == here
    }


def differences(one: dict[str, Any], two: dict[str, Any]) -> list[str]:
    """What differs, a line each; a case that only one has is none."""
    lines = []
    for case in sorted(set(one) & set(two)):
        for part in sorted({*one[case], *two[case]}):
            old, new = one[case].get(part), two[case].get(part)
            if old == new:
                continue
            if isinstance(old, dict) and isinstance(new, dict):
                new = [name for name in sorted({*old, *new}) if old.get(name) != new.get(name)]
            lines.append(f"{case}: {part} differs" + (f": {new}" if isinstance(new, list) else ""))
    return lines


def main() -> int:
    """Write, check, or compare with a commit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("write", "check", "against", "list", "measure"))
    parser.add_argument("names", nargs="*", metavar="CASE", help="cases, or first the REVISION of `against`")
    parser.add_argument("--isa", choices=ISAS, default=ISAS[0], help="the instruction set that XLA compiles for")
    parser.add_argument("--expects", default="", help="a probe; where this machine's is another, a quarter is measured")
    args = parser.parse_args()
    package, file = HERE.parents[1], HERE / f"{args.isa}.json"
    if args.what == "measure":
        measure(args.names, args.expects)
        return 0
    if args.what == "list":
        print("\n".join(cases()))
        return 0
    names = args.names
    if args.what == "against":
        revision, *names = names
        written = at(revision, names, args.isa)
    else:
        written = json.loads(file.read_text()) if file.exists() else {}
    found: dict[str, Any] = {}
    expects = written.get("probe", "unwritten") if args.what == "check" else ""
    for one in elsewhere(package, names, args.isa, expects):
        found |= one
        print(*one, file=sys.stderr, flush=True)
        if args.what == "write":
            lines = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in added(written, found).items()]
            file.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    if args.what == "write":
        return 0
    if expects not in ("", found["probe"]):
        print("this machine computes otherwise than the one that wrote the bits: comparing with the commit that did")
        written = at(last_written(args.isa), [name for name in found if name != "probe"], args.isa)
    lines = differences(of_machine(written, found["probe"]), found)
    print("\n".join(lines) or f"{len(found) - 1} cases, equal to the bit ({args.isa})")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
