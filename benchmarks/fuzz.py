"""Every reader of files, ids and words under fuzzing: no end but a documented error.

    python benchmarks/fuzz.py [READER …] [--seconds 60] [--engine hypothesis|atheris] [--more]

The readers are in benchmarks/readers.py. Valid inputs are changed (bits, lengths, numbers, nesting, text that breaks
readers; values of JSON, headers of arrays) and read, by Hypothesis or, where it is installed, by atheris, which goes by
the branches that an input reaches. A reader may return, warn, or raise its documented error in one line. Anything else
is a fault: another error, a process that ends or hangs, and a file that is written outside of the reader's directory or
a program that is started. A fault is printed, and its input is written to fuzz-failures/.

Each reader has a process of its own, so that one that ends does not end the others. What each did goes to
benchmarks/results/fuzz.json, engine by engine: executions, ends by kind, how many different errors were said, faults,
the slowest input, memory, and the share of lines that were run, of each file in all and of the functions that were
entered.
"""

from __future__ import annotations

import argparse
import copy
import inspect
import json
import os
import random
import re
import resource
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import record
import yaml

RESULTS, FAILURES = record.RESULTS / "fuzz.json", Path("fuzz-failures").absolute()
PACKAGE = Path(__file__).parents[1] / "transreward"
ENGINES = {"hypothesis": "hypothesis", "atheris": "atheris"}  # and the package of each
TRACED = 500  # executions whose lines are counted, and one of 4 of the later ones
BURST = 10  # changed inputs to a draw of Hypothesis, which takes longer than most readers
STARTS = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "socket.connect")
CHANGES = ("os.remove", "os.rename", "os.rmdir", "os.truncate", "os.link", "os.symlink", "shutil.rmtree")
MOST = ("different errors", "slowest seconds", "peak MB")  # of several calls the largest is kept
SLOW = 30.0  # seconds of work that no input may take, and a tenth of those of the clock
NASTY = (
    b"1e400", b"-1", b"NaN", b"Infinity", b"null", b"true", b"{}", b"[]", b'""', b"9" * 30, b"9" * 5000, b"1e15",
    b'"\\ud800"', b'"\\u0000"', b'"\\u001b[2J"', b"\x00", b"\xff\xfe", b'"../../etc/passwd"', b'"/dev/zero"',
    b"[" * 2000, b'{"a":' * 200, b"0.1", b"9007199254740993", b'"os:abort"', b'"antigravity"', b"\n", b"\r",
    b"&a [*a]", b"<<: *a", b"!!python/object/apply:os.abort []", b"0x" + b"f" * 6000, b"1:2:3", b"2026-01-01",
)  # fmt: skip
WORDS = (
    ":", "+", "@", "=", ",", "(", ")", "..", "nan", "inf", "-1", "1e400", "\0", "\ud800", "gravity=0.5", "broken=thigh",
    "mirrored", "run(speed=1)", "gear(thigh)=0.5", "os:abort", "gym:Pendulum-v1", "%s", "{}", "\uff19", "\u00b2", " ",
    "\n", "a" * 300, "[a-", "*" * 40, "x", "1_0", "0x1",
)  # fmt: skip
VALUES = (
    None, True, False, 0, -1, 1, 2**31, 2**53, 2**63, 10**30, 0.5, -0.0, 1e300, "", "a", "..", "/", "\0", "\x1b[2J",
    "\ud800", "mix", "os:abort", "a" * 9999, [], {}, [[]], [None], [1], ["a"], {"a": 1}, [0.5] * 3, [{}], [[0, 0.5]],
)  # fmt: skip


# -- how inputs are changed -------------------------------------------------------------------------------------------


def changed(content: bytes, form: str, chance: random.Random) -> bytes:
    """Another input, a few changes away: in its own terms, or byte by byte."""
    if chance.random() < 0.6:
        if form in ("json", "yaml"):
            return edited(content, chance, form)
        if form == "lines":
            lines = content.split(b"\n")
            at = chance.randrange(len(lines))
            return b"\n".join([*lines[:at], edited(lines[at], chance), *lines[at + 1 :]])
        if form == "arrays" and len(content) > 8:
            size = int.from_bytes(content[:8], "little")
            header = edited(content[8 : 8 + size], chance)
            return len(header).to_bytes(8, "little") + header + content[8 + size :]
    return mutated(content, chance, form)


def edited(content: bytes, chance: random.Random, form: str = "json") -> bytes:
    """JSON, or YAML as JSON, with one value, or a few, replaced, left out or doubled."""
    try:
        return json.dumps(_edited(json.loads(content) if form == "json" else yaml.safe_load(content), chance)).encode()
    except (ValueError, TypeError, RecursionError, yaml.YAMLError):  # it was broken before, or is no JSON
        return mutated(content, chance, form)


def _edited(value: Any, chance: random.Random) -> Any:
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        places = list(_places(value))
        if not places:
            return chance.choice(VALUES)
        holder, key = chance.choice(places)
        how = chance.randrange(6)
        if how == 0:
            del holder[key]
        elif how == 1:
            other, at = chance.choice(places)
            holder[key] = copy.deepcopy(other[at])
        elif how == 2 and isinstance(holder[key], int | float):
            holder[key] = chance.choice((-1, 2, 10, 0.1, 1000)) * holder[key] + chance.choice((0, 1, -1))
        elif how == 3 and isinstance(holder, dict):
            holder[chance.choice(("", "a", "schema", "name", "__class__", f"{key}?"))] = chance.choice(VALUES)
        elif how == 4 and isinstance(holder[key], list):
            holder[key] = holder[key] * chance.choice((2, 3, 50))
        else:
            holder[key] = copy.deepcopy(chance.choice(VALUES))
    return value


def _places(value: Any) -> Any:
    """Each value within, as what holds it and under which key; of a long list its ends."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys if len(keys) < 40 else [*keys[:20], *keys[-20:]]:
        yield value, key
        yield from _places(value[key])


def mutated(content: bytes, chance: random.Random, form: str) -> bytes:
    """Another input, a few bytes or words away."""
    found = bytearray(content)
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        at = chance.randrange(len(found) + 1)
        how = chance.randrange(8)
        word = chance.choice(WORDS).encode(errors="surrogatepass") if form == "text" else chance.choice(NASTY)
        if how == 0 and found:
            found[min(at, len(found) - 1)] ^= 1 << chance.randrange(8)
        elif how == 1:
            found[at:at] = word
        elif how == 2:
            del found[at : at + chance.choice((1, 2, 8, 64, 1000))]
        elif how == 3 and form != "text":
            found = _value_replaced(found, word, chance)
        elif how == 4:
            end = at + chance.randrange(1, 40)
            found[at:at] = found[at:end] * chance.choice((1, 2, 50))
        elif how == 5 and form in ("arrays", "bytes"):
            at = chance.choice((0, at))
            found[at : at + 8] = chance.choice((2**64 - 1, 2**63, 10**15, 10**6, 0, len(found))).to_bytes(8, "little")
        elif how == 6:
            del found[at:]
        else:
            found[at : at + len(word)] = word
    return bytes(found)


def _value_replaced(found: bytearray, word: bytes, chance: random.Random) -> bytearray:
    """One value of a JSON or YAML text, another's or a word in its place."""
    values = list(re.finditer(rb'(?<=: )("[^"]*"|[-\d.e+]+|true|false|null|\[[^\]]*\])', bytes(found[:200_000])))
    if not values:
        return found
    old, other = chance.choice(values), chance.choice(values)
    return found[: old.start()] + chance.choice((word, other[0])) + found[old.end() :]


# -- what a reader did ------------------------------------------------------------------------------------------------


class Lines:
    """The lines of some files that were run."""

    def __init__(self, modules: tuple[str, ...]) -> None:
        self.files = {str(PACKAGE / module): set[int]() for module in modules}

    def start(self) -> None:
        """From here on."""
        sys.settrace(self._call)

    def _call(self, frame: Any, event: str, arg: Any) -> Any:
        return self._line if frame.f_code.co_filename in self.files else None

    def _line(self, frame: Any, event: str, arg: Any) -> Any:
        self.files[frame.f_code.co_filename].add(frame.f_lineno)
        return self._line

    def found(self) -> dict[str, list[int]]:
        """The numbers of those within functions, by file."""
        return {
            str(Path(file).relative_to(PACKAGE)): sorted(run.intersection(*[set().union(*functions(file))]))
            for file, run in self.files.items()
        }


def functions(file: str | Path) -> list[set[int]]:
    """The lines of each function of a file, those of functions within it among them."""

    def inside(code: Any) -> set[int]:
        own = {line for *_, line in code.co_lines() if line and line != code.co_firstlineno}
        return own.union(*(inside(c) for c in code.co_consts if inspect.iscode(c)))

    def outermost(code: Any) -> Any:
        for constant in filter(inspect.iscode, code.co_consts):
            if constant.co_flags & inspect.CO_OPTIMIZED:
                yield inside(constant)
            else:  # a class
                yield from outermost(constant)

    return [lines for lines in outermost(compile(Path(file).read_text(), str(file), "exec")) if lines]


def shares(lines: dict[str, list[int]]) -> dict[str, Any]:
    """Of each file's lines within functions the share that was run, and the same of the functions that were entered."""
    found = {}
    for file, numbers in lines.items():
        run, all_of = set(numbers), functions(PACKAGE / file)
        entered = [one for one in all_of if one & run]
        found[file] = {"of all": _share(run, all_of), "of functions entered": _share(run, entered)}
    return found


def _share(run: set[int], of: list[set[int]]) -> float:
    whole = set().union(*of)
    return round(len(run & whole) / max(len(whole), 1), 3)


class Watched:
    """A reader that is tried, and what came of it."""

    def __init__(self, name: str, scratch: Path, part: Path) -> None:
        from readers import READERS

        self.name, self.reader, self.scratch, self.part = name, READERS[name], scratch, part
        self.lines, self.ends, self.said = Lines(self.reader.modules), Counter[str](), set[str]()
        self.executions, self.faults, self.slowest = 0, dict[str, str](), 0.0
        self.inside, self.strayed = False, ""
        self.began = self.wrote = time.monotonic()
        sys.addaudithook(self._audit)

    def _audit(self, event: str, about: tuple[Any, ...]) -> None:
        """Raises PermissionError where a reader would write outside of its directory, or run something."""
        if not self.inside:
            return
        if event in STARTS and not self.reader.apart:
            self.strayed = f"{event} {about[:2]!r}"
        elif event in CHANGES or (event == "open" and isinstance(about[1], str) and set(about[1]) & set("wax+")):
            self._confine(event, about[0])
        if self.strayed:
            raise PermissionError(self.strayed)

    def _confine(self, event: str, path: Any) -> None:
        if isinstance(path, int):  # a file that is open
            return
        if not Path(os.path.realpath(os.fsdecode(path))).is_relative_to(self.scratch):
            self.strayed = f"{event} {os.fsdecode(path)!r}"

    def once(self, content: bytes) -> None:
        """Read an input."""
        self.part.with_suffix(".input").write_bytes(content)
        self.executions += 1
        began, clock, self.strayed, self.inside = worked(), time.monotonic(), "", True
        if self.executions <= TRACED or not self.executions % 4:
            self.lines.start()
        try:
            end, wrong = self._end(content)
        finally:
            sys.settrace(None)
            self.inside = False
        took = max(worked() - began, (time.monotonic() - clock) / 10)  # others may have the core meanwhile
        self.slowest = max(self.slowest, took)
        wrong = self.strayed or wrong or (f"it took {took:.0f} s" if took > SLOW else "")
        self.ends["fault" if wrong else end] += 1
        if wrong:
            self._fault(wrong, content)
        if time.monotonic() - self.wrote > 1:
            self.write()

    def _end(self, content: bytes) -> tuple[str, str]:
        """How it ends, and what is wrong with that."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self.reader.read(content, self.scratch)
        except self.reader.allowed as error:
            kind = type(error).__name__
            if len(self.said) < 10_000:
                self.said.add(f"{kind}: {of_its_kind(str(error))}")
            lines = "\n" in str(error) and not issubclass(ValueError, self.reader.allowed)
            return kind, f"two lines: {error!r}" if lines else ""
        except BaseException as error:
            places = [f"{f.filename.rpartition('/')[2]}:{f.lineno}" for f in traceback.extract_tb(error.__traceback__)]
            return type(error).__name__, f"{type(error).__name__}: {str(error)[:300]} ({' '.join(places[-4:])})"
        return "returned", ""

    def _fault(self, wrong: str, content: bytes) -> None:
        kind = of_its_kind(wrong)
        if kind not in self.faults:
            self.faults[kind] = wrong[:500]
            (FAILURES / f"{self.name} {len(self.faults)}".replace("/", "_")).write_bytes(content)
            print(f"{self.name}: {wrong[:300]}", flush=True)

    def write(self) -> None:
        """What there is so far."""
        self.wrote = time.monotonic()
        record.write(
            self.part,
            {
                "executions": self.executions,
                "seconds": round(self.wrote - self.began, 1),
                "CPU seconds": round(worked(), 1),
                "ends": dict(self.ends.most_common()),
                "different errors": len(self.said),
                "faults": sorted(self.faults.values()),
                "slowest seconds": round(self.slowest, 2),
                "peak MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
                "lines": self.lines.found(),
            },
        )


def worked() -> float:
    """CPU seconds of this process, and of those that it started."""
    return sum(
        used.ru_utime + used.ru_stime
        for used in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def of_its_kind(text: str) -> str:
    """What is said, without what is said it of."""
    return re.sub(r"'[^']*'|\"[^\"]*\"|`[^`]*`|/\S+|[-\d.,]*\d", "_", text)[:80]


# -- engines ----------------------------------------------------------------------------------------------------------


def by_hypothesis(watched: Watched, seconds: float, seed: int) -> None:
    """Inputs that Hypothesis draws: which valid one, and how it is changed."""
    import hypothesis
    from hypothesis import strategies as st

    form, seeds = watched.reader.form, watched.reader.seeds()
    until = worked() + seconds  # of work: several readers may share a core
    numbers = st.integers(0, 2**63)

    def burst(i: int, n: int) -> list[bytes]:
        chance = random.Random(n)
        return [changed(seeds[i], form, chance) for _ in range(BURST)]

    inputs = st.builds(burst, st.sampled_from(range(len(seeds))), numbers)
    if form == "text":
        tokens = [*WORDS, *(part for s in seeds for part in re.split(r"(\W)", s.decode()) if part)]
        built = st.lists(st.sampled_from(tokens) | st.text(max_size=3), max_size=12).map("".join)
        inputs |= built.map(lambda text: [text.encode(errors="surrogatepass")])
    if form == "bytes":
        inputs |= st.binary(max_size=300).map(lambda content: [content])
    quick = hypothesis.settings(
        max_examples=500, deadline=None, database=None, phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )  # fmt: skip
    for content in seeds:
        watched.once(content)
    while worked() < until:

        @hypothesis.seed(seed)
        @quick
        @hypothesis.given(inputs)
        def some(contents: list[bytes]) -> None:
            for content in contents:
                if worked() < until:
                    watched.once(content)

        some()
        seed += 1


def by_atheris(watched: Watched, seconds: float, seed: int) -> None:
    """Inputs that libFuzzer makes, led by the branches that they reach; half of its changes are ours. It ends the
    process."""
    atheris: Any = import_module("atheris")
    reader, corpus = watched.reader, Path(tempfile.mkdtemp())
    for i, content in enumerate(reader.seeds()):
        (corpus / f"{i}").write_bytes(content)
    for path in reader.modules:
        module = import_module(f"transreward.{path.removesuffix('.py').replace('/', '.')}")
        parts = [vars(x).values() for x in [module, *vars(module).values()] if inspect.isclass(x) or x is module]
        for function in [x for part in parts for x in part if inspect.isfunction(x)]:
            if function.__module__ == module.__name__ and function.__code__.co_filename.endswith(path):
                atheris.instrument_func(function)

    def change(content: bytes, most: int, n: int) -> bytes:
        chance = random.Random(n)
        ours = chance.random() < 0.5
        return changed(content, reader.form, chance)[:most] if ours else atheris.Mutate(content, most)

    most = max(4096, 2 * max(map(len, reader.seeds())))
    options = [f"-max_total_time={int(seconds)}", f"-seed={seed + 1}", f"-max_len={most}", "-timeout=120"]
    options += ["-rss_limit_mb=8192", f"-artifact_prefix={FAILURES}/{watched.name.replace('/', '_')} "]
    atheris.Setup([sys.argv[0], str(corpus), *options], watched.once, custom_mutator=change)
    atheris.Fuzz()


def alone(name: str, engine: str, seconds: float, seed: int, part: Path) -> None:
    """One reader in this process."""
    sys.dont_write_bytecode = True
    import readers

    readers.remembered()
    scratch = Path(os.path.realpath(tempfile.mkdtemp(dir=part.parent)))
    os.chdir(scratch)
    tempfile.tempdir = str(scratch)
    for content in readers.READERS[name].seeds():  # what is imported late is no reader's doing
        with suppress(Exception), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            readers.READERS[name].read(content, scratch)
    watched = Watched(name, scratch, part)
    {"hypothesis": by_hypothesis, "atheris": by_atheris}[engine](watched, seconds, seed)
    watched.write()


# -- all of them ------------------------------------------------------------------------------------------------------


def together(before: dict[str, Any] | None, found: dict[str, Any]) -> dict[str, Any]:
    """What a reader did in this call and in those before it, with other inputs. Of lines, and of different errors, the
    most that one call saw."""
    if before is None:
        return found
    added = {key: before.get(key, 0) + found.get(key, 0) for key in ("executions", "seconds", "CPU seconds")}
    most = {key: max(before.get(key, 0), found.get(key, 0)) for key in MOST}
    ends = Counter(before["ends"]) + Counter(found["ends"])
    lines = {
        file: {of: max(share, before["lines"].get(file, {}).get(of, 0)) for of, share in own.items()}
        for file, own in found["lines"].items()
    }
    faults = sorted({*before["faults"], *found["faults"]})
    return {**found, **added, **most, "ends": dict(ends.most_common()), "faults": faults, "lines": lines}


def in_a_process(name: str, args: argparse.Namespace, done: int) -> tuple[dict[str, Any], dict[str, list[int]]]:
    """What one reader did, and the lines that it ran; a fault where its process ended or hung. Inputs differ by how
    many were `done` before."""
    with tempfile.TemporaryDirectory() as place:
        part = Path(place) / "part.json"
        words = [name, "--engine", args.engine, "--seconds", str(args.seconds), "--seed", str(args.seed + done)]
        log = Path(place) / "log"
        with log.open("wb") as said:
            process = subprocess.Popen(
                [sys.executable, __file__, *words, "--part", str(part)], stdout=said, stderr=said
            )
            try:
                code = process.wait(20 * args.seconds + 240)
            except subprocess.TimeoutExpired:
                process.kill()
                code = process.wait()
        found = record.read(part) or {"executions": 0, "faults": [], "lines": {}, "ends": {}}
        text = log.read_text(errors="replace")
        print("".join(f"{line}\n" for line in text.splitlines() if line.startswith(f"{name}: ")), end="", flush=True)
        if code:
            found["faults"].append(f"the process ended with {code}: {text[-600:]}")
            if part.with_suffix(".input").exists():
                end = FAILURES / f"{name} end".replace("/", "_")
                end.write_bytes(part.with_suffix(".input").read_bytes())
            print(f"{name}: {found['faults'][-1]}", flush=True)
    return found, found.pop("lines")


def main() -> None:
    """Fuzz the readers that are named, or all, and write what was found."""
    command = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    command.add_argument("readers", nargs="*", metavar="READER")
    command.add_argument(
        "--seconds", type=float, default=60.0, help="for each; of work by Hypothesis, of the clock by atheris"
    )
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--more", action="store_true", help="other inputs, counted with those of earlier calls")
    command.add_argument("--engine", choices=tuple(ENGINES), default="hypothesis")
    command.add_argument("--out", type=Path, default=RESULTS)
    command.add_argument("--part", type=Path, help=argparse.SUPPRESS)  # of one reader's own process
    args = command.parse_args()
    if args.part:
        alone(args.readers[0], args.engine, args.seconds, args.seed, args.part)
        return
    from readers import READERS

    if unknown := set(args.readers) - set(READERS):
        command.error(f"no such reader: {', '.join(unknown)}; there are: {', '.join(READERS)}")
    if record.version(ENGINES[args.engine]) is None:
        command.error(f"{ENGINES[args.engine]} is not installed here")
    FAILURES.mkdir(exist_ok=True)
    names, lines = args.readers or list(READERS), dict[str, set[int]]()
    about = {**record.provenance(), "seed": args.seed, "seconds a reader": args.seconds}
    about["versions"][args.engine] = record.version(ENGINES[args.engine])
    told = record.read(args.out) or {}
    own = told.setdefault(args.engine, {}) if args.readers else told.__setitem__(args.engine, {}) or told[args.engine]
    for name in names:
        before = own.get("readers", {}).get(name) if args.more else None
        found, run = in_a_process(name, args, 0 if before is None else before["executions"])
        for file, numbers in run.items():
            lines.setdefault(file, set()).update(numbers)
        found = together(before, {**found, "lines": shares(run)})
        own |= {"about": about, "readers": {**own.get("readers", {}), name: found}}
        own["executions"] = sum(x["executions"] for x in own["readers"].values())
        record.write(args.out, told)
        print(f"{name}: {found['executions']:,} executions, {found['ends']}, {found['lines']}", flush=True)
    if not args.readers:
        whole = {file: sorted(numbers) for file, numbers in sorted(lines.items())}
        own["lines of all readers"] = shares(whole)
        record.write(args.out, told)
    if any(own["readers"][name]["faults"] for name in names):
        sys.exit(1)


if __name__ == "__main__":
    main()
