"""Every reader of files and words under fuzzing: no end but a documented error.

    python benchmarks/fuzz.py [READER …] [--seconds 60] [--engine mutations|atheris] [--out FILE]

Valid inputs are mutated (bits, lengths, numbers, nesting, text that breaks readers) and read. A reader may return,
warn, or raise RequestError in one line; `Damaged` is one. Anything else is a failure: it is printed, and its input is
written to fuzz-failures/. With `--engine atheris`, where it is installed, libFuzzer's coverage leads the mutations of
one reader.
Executions, and the lines of each reader that were run, go to benchmarks/results/fuzz.json.
"""

from __future__ import annotations

import argparse
import contextlib
import inspect
import json
import random
import re
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import transreward as tr
from transreward.domains.ids import domain
from transreward.engine import checkpoint
from transreward.reports.page import page
from transreward.request.files import read_config
from transreward.request.settings import typed
from transreward.runs import plain, record, store
from transreward.runs.source_agent import SourceAgent
from transreward.study.plan import read_plan
from transreward.types import RequestError, whole_number

HERE = Path(__file__).parent
RUNS = HERE.parent / "tests" / "data" / "runs" / str(store.SCHEMA)
RESULTS, FAILURES = HERE / "results" / "fuzz.json", Path("fuzz-failures")
NASTY = (
    b"1e400", b"-1", b"NaN", b"Infinity", b"null", b"true", b"{}", b"[]", b'""', b"9" * 30, b"9" * 5000, b"1e15",
    b'"\\ud800"', b'"\\u0000"', b'"\\u001b[2J"', b"\x00", b"\xff\xfe", b'"../../etc/passwd"', b'"/dev/zero"',
    b"[" * 2000,
    b'{"a":' * 200, b"0.1", b"9007199254740993", b'"os:abort"', b'"antigravity"', b"\n", b"\r", b"&a [*a]", b"<<: *a",
    b"!!python/object/apply:os.abort []", b"0x" + b"f" * 6000, b"1:2:3", b"2026-01-01",
)  # fmt: skip
WORDS = (
    ":", "+", "@", "=", ",", "(", ")", "..", "nan", "inf", "-1", "1e400", "\0", "\ud800", "gravity=0.5", "broken=thigh",
    "mirrored", "run(speed=1)", "gear(thigh)=0.5", "os:abort", "gym:Pendulum-v1", "%s", "{}", "\uff19", " ",
    "\n", "a" * 300,
)  # fmt: skip


class Reader(NamedTuple):
    """What is fuzzed: valid inputs, what reads one, and the modules whose lines are counted."""

    seeds: Callable[[], list[bytes]]
    read: Callable[[bytes, Path], Any]
    modules: tuple[str, ...]


# -- what reads -----------------------------------------------------------------------------------------------------


def run_file(run: str, name: str, read: Callable[[Path], Any]) -> Reader:
    """A file of a run directory, the others as they were."""

    def within(content: bytes, scratch: Path) -> Any:
        place = scratch / run
        if not place.exists():
            shutil.copytree(RUNS / run, place)
        (place / name).write_bytes(content)
        return read(place)

    modules = ("runs/plain.py", "runs/schema.py", "runs/store.py")
    return Reader(lambda: [(RUNS / run / name).read_bytes()], within, modules)


def load(place: Path) -> Any:
    """As `tr.load` and as a page."""
    tr.load(place)
    return page(record.read(place))


def source_agent(place: Path) -> Any:
    """As `source_run` takes it up."""
    SourceAgent.about(place)
    learner = tr.load(RUNS / place.name).learner
    return SourceAgent.load(place, domain("inverted_pendulum"), learner, [3])


def checkpoint_file(name: str) -> Reader:
    """A file of a checkpoint."""
    stage = "state/mix"

    def read(place: Path) -> Any:
        saved = checkpoint.Checkpoints(place / stage)
        return [saved._read(int(path.stem)) for path in sorted((RUNS / "checkpoint" / stage).glob("*.json"))]

    newest = max(int(path.stem) for path in (RUNS / "checkpoint" / stage).glob("*.json"))
    found = run_file("checkpoint", f"{stage}/{newest}.{name}", read)
    return found._replace(modules=("runs/plain.py", "engine/checkpoint.py"))


def words(seeds: list[str], read: Callable[[str], Any], *modules: str) -> Reader:
    """Something that is typed."""
    return Reader(lambda: [s.encode() for s in seeds], lambda x, _: read(x.decode(errors="surrogateescape")), modules)


def config_file(seeds: list[bytes], suffix: str, read: Callable[[Path], Any], *modules: str) -> Reader:
    """A file that is given to a command."""

    def within(content: bytes, scratch: Path) -> Any:
        path = scratch / f"file{suffix}"
        path.write_bytes(content)
        return read(path)

    return Reader(lambda: seeds, within, modules)


IDS = [
    "halfcheetah", "halfcheetah:gear=0.5,gravity=1.2@mirrored", "hopper+run(speed=1):gravity=0.5", "ant@turned90",
    "walker2d:broken=thigh", "hopper:delay=2,noise=0.1", "gym:Pendulum-v1",
]  # fmt: skip
YAML = b"""source: hopper
target: hopper:gravity=0.5
method: darc
controls: [fine_tune, zero_shot]
learner: {name: sac, robots: 8, hidden: [64, 64]}
loop: &loop {threads: 1}
settings: {use.strength: 0.5}
source_steps: 1e4
"""
PLAN = b"""pairs: [[hopper, 'hopper:gravity=0.5']]
methods: [darc, {method: mix, seeds: 2}]
seeds: 3
source_steps: 10_000
target_steps: 1000
settings: {loop.threads: 1}
"""
READERS: dict[str, Reader] = {
    "config.json": run_file("transfer-sac", "config.json", load),
    "result.json": run_file("transfer-sac", "result.json", load),
    "provenance.json": run_file("transfer-sac", "provenance.json", load),
    "metrics.jsonl": run_file("unfinished", "metrics.jsonl", load),
    "policy.safetensors": run_file("transfer-ppo", "policy.safetensors", load),
    "returns.safetensors": run_file("transfer-ppo", "returns.safetensors", load),
    "compensation.safetensors": run_file("transfer-ppo", "compensation.safetensors", load),
    "comparison.json": run_file("compare", "comparison.json", lambda p: record.in_order(record.read(p), p)),
    "agent.json": run_file("transfer-sac", "source/agent.json", source_agent),
    "agent.safetensors": run_file("transfer-sac", "source/agent.safetensors", source_agent),
    "replay.safetensors": run_file("transfer-sac", "source/replay.safetensors", source_agent),
    "checkpoint.json": checkpoint_file("json"),
    "checkpoint.safetensors": checkpoint_file("safetensors"),
    "request.json": run_file("checkpoint", "state/request.json", lambda p: store.read_json(p / "state/request.json")),
    "config.yaml": config_file([YAML], ".yaml", read_config, "request/files.py", "runs/plain.py"),
    "plan.yaml": config_file([PLAN], ".yaml", read_plan, "study/plan.py", "runs/plain.py"),
    "json": Reader(lambda: [b'{"a": [1, 2.5, "x", null, true]}'], lambda x, _: plain.parsed(x), ("runs/plain.py",)),
    "id": words(IDS, domain, "domains/ids.py", "domains/tasks.py", "domains/shifts.py"),
    "setting": words(["0.5", "64,64", "true", "1e4", "10,000"], lambda x: settings(x), "request/settings.py"),
}


def settings(text: str) -> None:
    """As each kind of setting, and as a count."""
    for kind in (int, float, bool, str, tuple[int, ...], tuple[float, ...]):
        with contextlib.suppress(RequestError):
            typed("use.x", text, kind)
    with contextlib.suppress(ValueError):
        whole_number(text)


# -- how inputs are made ----------------------------------------------------------------------------------------------


def mutated(content: bytes, chance: random.Random, text: bool) -> bytes:
    """Another input, a few changes away."""
    found = bytearray(content)
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        at = chance.randrange(len(found) + 1)
        how = chance.randrange(8)
        nasty = chance.choice(WORDS).encode(errors="surrogatepass") if text else chance.choice(NASTY)
        if how == 0 and found:
            found[min(at, len(found) - 1)] ^= 1 << chance.randrange(8)
        elif how == 1:
            found[at:at] = nasty
        elif how == 2:
            del found[at : at + chance.choice((1, 2, 8, 64, 1000))]
        elif how == 3 and not text:
            found = _value_replaced(found, nasty, chance)
        elif how == 4:
            end = at + chance.randrange(1, 40)
            found[at:at] = found[at:end] * chance.choice((1, 2, 50))
        elif how == 5:
            found[:8] = chance.choice((2**63, 10**15, 10**6, 0, len(found))).to_bytes(8, "little")
        elif how == 6:
            del found[at:]
        else:
            found[at : at + len(nasty)] = nasty
    return bytes(found)


def _value_replaced(found: bytearray, nasty: bytes, chance: random.Random) -> bytearray:
    """One value of a JSON or YAML text, another's or a nasty one in its place."""
    values = list(re.finditer(rb'(?<=: )("[^"]*"|[-\d.e+]+|true|false|null|\[[^\]]*\])', bytes(found[:200_000])))
    if not values:
        return found
    old, other = chance.choice(values), chance.choice(values)
    return found[: old.start()] + chance.choice((nasty, other[0])) + found[old.end() :]


def tried(reader: Reader, content: bytes, scratch: Path) -> str | None:
    """What is wrong with how it ends; None: nothing."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            reader.read(content, scratch)
    except RequestError as error:
        return f"two lines: {error!r}" if "\n" in str(error) else None
    except ValueError as error:
        return None if reader is READERS["json"] else f"{type(error).__name__}: {error}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None


# -- the run of all ---------------------------------------------------------------------------------------------------


class Lines:
    """The lines of some modules that were run."""

    def __init__(self, modules: tuple[str, ...]) -> None:
        root = Path(tr.__file__).parent
        self.files = {str(root / module): set[int]() for module in modules}

    def __enter__(self) -> Lines:
        sys.settrace(self._call)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)

    def _call(self, frame: Any, event: str, arg: Any) -> Any:
        return self._line if frame.f_code.co_filename in self.files else None

    def _line(self, frame: Any, event: str, arg: Any) -> Any:
        self.files[frame.f_code.co_filename].add(frame.f_lineno)
        return self._line

    def share(self) -> dict[str, float]:
        """Of the lines within functions, those that were run, by file."""
        found = {}
        for file, run in self.files.items():
            there = _inside_functions(compile(Path(file).read_text(), file, "exec"))
            found["/".join(Path(file).parts[-2:])] = round(len(run & there) / max(len(there), 1), 3)
        return found


def _inside_functions(code: Any, inside: bool = False) -> set[int]:
    found = {line for *_, line in code.co_lines() if line and line != code.co_firstlineno} if inside else set()
    for constant in code.co_consts:
        if hasattr(constant, "co_lines"):
            found |= _inside_functions(constant, constant.co_name not in ("<module>",) and bool(constant.co_flags & 2))
    return found


def fuzzed(name: str, seconds: float, seed: int) -> dict[str, Any]:
    """One reader for so many seconds: executions, failures and lines."""
    reader, chance = READERS[name], random.Random(f"{name} {seed}")
    seeds, failures, executions = reader.seeds(), dict[str, str](), 0
    text = reader.modules[0] in ("domains/ids.py", "request/settings.py")
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch, Lines(reader.modules) as lines:
        while time.monotonic() - began < seconds:
            content = mutated(chance.choice(seeds), chance, text) if executions >= len(seeds) else seeds[executions]
            executions += 1
            if wrong := tried(reader, content, Path(scratch)):
                kind = re.sub(r"\d+|'[^']*'", "_", wrong)[:80]
                if kind not in failures:
                    failures[kind] = wrong
                    FAILURES.mkdir(exist_ok=True)
                    (FAILURES / f"{name}-{len(failures)}").write_bytes(content)
                    print(f"{name}: {wrong[:300]}", flush=True)
    took = round(time.monotonic() - began, 1)
    return {"executions": executions, "seconds": took, "failures": sorted(failures.values()), "lines": lines.share()}


def with_atheris(name: str, seconds: float) -> None:
    """One reader under libFuzzer, which ends the process."""
    atheris: Any = import_module("atheris")

    reader, scratch = READERS[name], Path(tempfile.mkdtemp())
    corpus = Path(tempfile.mkdtemp())
    for i, content in enumerate(reader.seeds()):
        (corpus / f"{i}").write_bytes(content)

    def one(content: bytes) -> None:
        if wrong := tried(reader, content, scratch):
            raise AssertionError(wrong)

    for path in reader.modules:
        module = import_module(f"transreward.{path.removesuffix('.py').replace('/', '.')}")
        for function in [x for x in vars(module).values() if inspect.isfunction(x) and x.__module__ == module.__name__]:
            atheris.instrument_func(function)
    atheris.Setup([sys.argv[0], str(corpus), f"-max_total_time={int(seconds)}", "-timeout=60"], one)
    atheris.Fuzz()


def main() -> None:
    """Fuzz the readers that are named, or all, and write what was found."""
    command = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    command.add_argument("readers", nargs="*", metavar="READER", help=f"of {', '.join(READERS)}")
    command.add_argument("--seconds", type=float, default=60.0, help="for each")
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--engine", choices=("mutations", "atheris"), default="mutations")
    command.add_argument("--out", type=Path, default=RESULTS)
    args = command.parse_args()
    if unknown := set(args.readers) - set(READERS):
        command.error(f"no such reader: {', '.join(unknown)}")
    names = args.readers or list(READERS)
    if args.engine == "atheris":
        if len(names) != 1:
            command.error("atheris takes one reader at a time")
        with_atheris(names[0], args.seconds)
        return
    found = json.loads(args.out.read_text()) if args.out.exists() else {}
    for name in names:
        found[name] = fuzzed(name, args.seconds, args.seed)
        print(f"{name}: {found[name]['executions']:,} executions, lines {found[name]['lines']}", flush=True)
        args.out.write_text(json.dumps(found, indent=2) + "\n")
    if any(entry["failures"] for entry in found.values()):
        sys.exit(1)


if __name__ == "__main__":
    main()
