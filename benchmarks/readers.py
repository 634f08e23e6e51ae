"""Every reader of what comes from outside: files of a run, of a checkpoint and of a study, requests, ids and words.

Each is a row of `READERS`: valid inputs, what reads one, the files of the package whose lines are counted, and how the
input is built, so that benchmarks/fuzz.py changes it in its own terms too. Where a file is kept by a hash or by
checksums, the changed one gets its own, for otherwise nothing behind them would ever be reached.

No reader is left out but these, which read nothing of a stranger's: an exported graph is compared before it is written
and never read back, videos go into a page as the bytes that they are, and a sink only writes.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import hashlib
import json
import os
import shutil
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import numpy as np
import robot_readers

import transreward as tr
from transreward import plain
from transreward.cli.options import as_options, names
from transreward.cli.play import _size
from transreward.domains.ids import domain
from transreward.domains.logs import recorded
from transreward.engine import cache, checkpoint
from transreward.engine.state import Run, begin
from transreward.methods import method
from transreward.plan.compile import compile
from transreward.reports.films.take import Film
from transreward.reports.page import page
from transreward.request import resolve as request
from transreward.request.files import read_config
from transreward.request.resolve import resolve
from transreward.request.settings import typed
from transreward.runs import record, store
from transreward.runs.source_agent import SourceAgent
from transreward.streams.log import HEAD, StepLog
from transreward.study import folder, show
from transreward.study.jobs import jobs_of
from transreward.study.plan import read_plan
from transreward.study.report import write_report
from transreward.transfer import asked_in
from transreward.types import RequestError, Steps, Transition, whole_number

RUNS = Path(__file__).parents[1] / "tests" / "data" / "runs" / str(store.SCHEMA)
MIX = "state/mix"  # the stage of the kept checkpoint that is taken up
CHECKPOINT = ("engine/checkpoint.py", "streams/walk.py")
RUN = ("plain.py", "runs/schema.py", "runs/store.py", "runs/result.py", "runs/record.py")
Read = Callable[[bytes, Path], Any]


class Reader(NamedTuple):
    """What is fuzzed. `form` is how an input is built: json, lines (of JSON), yaml, arrays, text or bytes."""

    seeds: Callable[[], list[bytes]]
    read: Read
    modules: tuple[str, ...]
    form: str
    allowed: tuple[type[Exception], ...] = (RequestError,)
    apart: bool = False  # it reads in a process of its own, and starts that


# -- files of a run ---------------------------------------------------------------------------------------------------


def copied(run: str, scratch: Path) -> Path:
    """A kept run's directory to write to, once for all inputs."""
    place = scratch / run
    if not place.exists():
        shutil.copytree(RUNS / run, place)
    return place


def run_file(
    run: str, name: str, read: Callable[[Path], Any], modules: tuple[str, ...] = RUN, form: str = ""
) -> Reader:
    """A file of a run directory, the others as they were."""

    def within(content: bytes, scratch: Path) -> Any:
        place = copied(run, scratch)
        (place / name).write_bytes(content)
        return read(place)

    form = form or {".json": "json", ".jsonl": "lines", ".safetensors": "arrays"}[Path(name).suffix]
    return Reader(lambda: [(RUNS / run / name).read_bytes()], within, modules, form)


def load(place: Path) -> Any:
    """As `tr.load`, as a page, and as what a person is told."""
    found = tr.load(place)
    page(record.read(place))
    return str(found), found.warnings


def arrays(place: Path) -> Any:
    """As `tr.load`."""
    return tr.load(place)


def source_agent(place: Path) -> Any:
    """As `source_run` takes it up."""
    return resolve(
        "inverted_pendulum", "inverted_pendulum:gravity=1.5", "mix", learner=None, source_steps=None, target_steps=None,
        seeds=1, seed=3, settings={}, controls=(), source_run=place,
    ), SourceAgent.load(place, domain("inverted_pendulum"), kept_learner(), [3])  # fmt: skip


@functools.cache
def kept_learner() -> Any:
    """Of the kept run."""
    return tr.load(RUNS / "transfer-sac").learner


# -- a checkpoint -----------------------------------------------------------------------------------------------------


@functools.cache
def begun() -> tuple[Run, dict[str, Any], dict[str, Any]]:
    """The stage of the kept checkpoint as it begins, and copies of its state and of its streams'."""
    place = RUNS / "checkpoint"
    config, _ = asked_in(place / "request.json", store.read_json(place / "state" / "request.json"))
    agent = SourceAgent.load(place, config.domains.source, config.learner, config.seed_list)
    plan = compile(config)
    stage = next(track.stages[-1] for track in plan.tracks if track.method is config.method)
    run = begin(config, stage, agent, 0.0, lambda progress: None, lambda run, rows: None)
    return run, dict(vars(run.state)), {name: taker.state() for name, taker in run.takers.items()}


def fresh() -> Run:
    """The stage as it begins."""
    run, state, streams = begun()
    vars(run.state).update({name: copy.copy(value) for name, value in state.items()})
    for name, (held, numbers) in streams.items():
        run.takers[name].restore(dict(held), copy.deepcopy(numbers))
    return run


def kept_state() -> tuple[bytes, bytes, bytes]:
    """The kept checkpoint: what its JSON says, its arrays, and the target's rows."""
    place = RUNS / "checkpoint" / MIX
    about = json.loads((place / "4.json").read_text())["about"]
    return about.encode(), (place / "4.safetensors").read_bytes(), (place / "0-target-1.rows").read_bytes()


def stage_of(scratch: Path, about: bytes, held: bytes, rows: bytes, number: int = 4) -> Path:
    """A stage's directory whose checkpoint holds these, under hashes that are right."""
    place = copied("checkpoint", scratch) / MIX
    (place / f"{number}.safetensors").write_bytes(held)
    (place / "0-target-1.rows").write_bytes(rows)
    for path in place.glob("*.json"):
        path.unlink()
    with contextlib.suppress(ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        value = json.loads(about)
        value["arrays"] = hashlib.sha256(held).hexdigest()
        of_rows = value["runs"][0]["rows"]["target"]
        size = (
            4
            * begun()[0].state.buffers["target"].data[:, 0].size
            * (value["runs"][0]["stored"]["target"] - of_rows["first"])
        )
        if 0 <= size <= len(rows):
            of_rows["sha256"] = hashlib.sha256(rows[:size]).hexdigest()
        about = json.dumps(value).encode()
    text = about.decode(errors="replace")
    signed = {"schema": checkpoint.SCHEMA, "sha256": hashlib.sha256(text.encode()).hexdigest(), "about": text}
    (place / f"{number}.json").write_text(json.dumps(signed))
    return place


def taken_up(place: Path) -> bool:
    """As `resume` does, and a step of each robot from there on."""
    run = fresh()
    if not checkpoint.Checkpoints(place).restore(run):
        return False
    run.tell(run.state.index, [])
    for taker in run.takers.values():
        taker.simulation.step(np.zeros((len(taker.simulation.obs), run.config.domains.source.spaces.action)))
    return True


def state_part(which: int, form: str) -> Reader:
    """One of what a checkpoint holds, the others as they were."""

    def read(content: bytes, scratch: Path) -> Any:
        parts = [*kept_state()]
        parts[which] = content
        return taken_up(stage_of(scratch, *parts))

    return Reader(lambda: [kept_state()[which]], read, CHECKPOINT, form)


def tidied(content: bytes, scratch: Path) -> Any:
    """An older checkpoint, as the next one reads it to know which rows it needs."""
    _, held, rows = kept_state()
    place = stage_of(scratch, content, held, rows, number=3)
    for name in ("0-source-1.rows", "0-target-1.rows", "0-other-1.rows"):
        (place / name).touch()
    checkpoint.Checkpoints(place).tidy()


def named_files(text: str, scratch: Path) -> Any:
    """A stage's directory in which a file has any name."""
    place = stage_of(scratch, *kept_state())
    path = place / f"{text.replace('/', '_')}.json"
    try:
        if path.exists():
            return
        path.write_text("{}")
    except (OSError, ValueError):  # no name of a file
        return
    try:
        checkpoint.Checkpoints(place).restore(fresh())
        checkpoint.Checkpoints(place).tidy()
    finally:
        path.unlink(missing_ok=True)


def checkpoint_file(name: str) -> Reader:
    """A file of a checkpoint as it lies there: hashes find out what was changed, and the one before is taken up; of an
    agent that was kept, there is none before."""

    def read(content: bytes, scratch: Path) -> Any:
        place = stage_of(scratch, *kept_state())
        (place / f"4.{name}").write_bytes(content)
        return cache.take_up(place, fresh())

    def seeds() -> list[bytes]:
        return [(RUNS / "checkpoint" / MIX / f"4.{name}").read_bytes()]

    return Reader(seeds, read, (*CHECKPOINT, "engine/cache.py"), "json" if name == "json" else "arrays")


# -- the log of steps that cannot be taken again ----------------------------------------------------------------------


def some_steps(n: int) -> Steps:
    """[1 seed, n steps, 2 robots] of three entries and one action."""
    t = Transition(*(np.zeros((1, n, 2, *size), np.float32) for size in ((3,), (1,), (), (3,), (), ())))
    return Steps(t, np.zeros((1, n, 2, 1), np.float32), np.zeros((1, n, 2), np.int32))


def log_seeds() -> list[bytes]:
    """A log of two rounds, the second of which was cut."""
    with tempfile.TemporaryDirectory() as place:
        log = StepLog(Path(place) / "a.log")
        log.begin(0, 3)
        for number in range(3):
            log.append(number, some_steps(1), 0)
        log.begin(3, 5)
        log.append(3, some_steps(1), 0)
        log.commit()
        log.close()
        return [(Path(place) / "a.log").read_bytes()]


def signed(content: bytes) -> bytes:
    """The same with checksums that are right."""
    found, at = bytearray(content), 0
    while at + HEAD.size <= len(found):
        kind, place, size, _ = HEAD.unpack_from(found, at)
        payload = bytes(found[at + HEAD.size : at + HEAD.size + size])
        checksum = zlib.crc32(payload, zlib.crc32(kind + place.to_bytes(8, "little")))
        HEAD.pack_into(found, at, kind, place, size, checksum)
        at += HEAD.size + size
    return bytes(found)


def step_log(content: bytes, scratch: Path) -> Any:
    """Opened, its steps taken again, and opened again."""
    path = scratch / "a.log"
    path.write_bytes(content)
    for _ in range(2):
        log, out = StepLog(path), some_steps(1)
        try:
            log.behind(0)
            for number in [n for n, step in log.steps.items() if step is not None][:20]:
                log.put(number, out, 0)
        finally:
            log.close()


# -- studies ----------------------------------------------------------------------------------------------------------


def job(name: str, method: str, place: str, agent: str | None) -> dict[str, Any]:
    """An entry of study.json."""
    request = {
        "source": "inverted_pendulum", "target": "inverted_pendulum:gravity=1.5", "method": method, "learner": "sac",
        "source_steps": 64, "target_steps": 32, "seeds": 1, "seed": 3, "settings": {"loop.threads": 1, "x": [1, 2]},
    }  # fmt: skip
    return {"pair": "gravity", "method": name, "directory": place, "agent": agent, "request": request}


def study() -> bytes:
    """study.json of the study that `studied` makes."""
    jobs = [
        job("", "zero_shot", "agents/a", None), job("mix", "mix", "runs/mix", "agents/a"),
        job("fine_tune", "fine_tune", "runs/fine_tune", "agents/a"), job("darc", "darc", "runs/darc", None),
        job("reward_gap", "reward_gap", "runs/reward_gap", None),
    ]  # fmt: skip
    return json.dumps({"schema": store.SCHEMA, "jobs": jobs, "running": ["runs/darc"]}, indent=1).encode()


def studied(scratch: Path) -> Path:
    """A study's directory: a run that is finished, a control, one that was cut short, and one that failed."""
    place = scratch / "study"
    if not place.exists():
        for name in ("agents", "runs", "logs"):
            (place / name).mkdir(parents=True)
        for name, kept in (("mix", "compare"), ("fine_tune", "compare/controls/fine_tune"), ("darc", "unfinished")):
            shutil.copytree(RUNS / kept, place / "runs" / name)
        (place / "logs" / "reward_gap.txt").write_text("transreward: no\nexit 2\n")
        (place / "study.json").write_bytes(study())
    return place


def study_file(name: str, seed: Callable[[], bytes], form: str, read: Callable[[Path], Any]) -> Reader:
    """A file of a study's directory, the others as they were."""

    def within(content: bytes, scratch: Path) -> Any:
        place = studied(scratch)
        (place / name).write_bytes(content)
        return read(place)

    modules = ("study/folder.py", "study/jobs.py", "study/report.py", "study/show.py")
    return Reader(lambda: [seed()], within, modules, form)


def jobs_read(place: Path) -> None:
    """The jobs, as commands and as they are shown."""
    jobs, _ = folder.read(place)
    for one in jobs:
        assert one.command() and all(isinstance(word, str) for word in one.command())
        assert one.done in (True, False) and one.resumes in (True, False) and plain.shown(one.failure) == one.failure
        show.so_far(one)


def planned(content: bytes, scratch: Path) -> Any:
    """A plan and all its jobs."""
    path = scratch / "plan.yaml"
    path.write_bytes(content)
    return [one.command() for one in jobs_of(read_plan(path), scratch / "jobs")]


# -- requests, ids and words ------------------------------------------------------------------------------------------


def words(seeds: list[str], read: Callable[[str], Any], *modules: str) -> Reader:
    """Something that is typed."""

    def within(content: bytes, scratch: Path) -> Any:
        return read(content.decode(errors="surrogateescape"))

    return Reader(lambda: [s.encode() for s in seeds], within, modules, "text")


def config_file(seeds: list[bytes], suffix: str, read: Callable[[Path], Any], *modules: str) -> Reader:
    """A file that is given to a command."""

    def within(content: bytes, scratch: Path) -> Any:
        path = scratch / f"file{suffix}"
        path.write_bytes(content)
        return read(path)

    return Reader(lambda: seeds, within, modules, "json" if suffix == ".json" else "yaml")


def settings(text: str) -> None:
    """As each kind of setting, as a count, and as a setting of a whole request."""
    for kind in (int, float, bool, str, tuple[int, ...], tuple[float, ...]):
        with contextlib.suppress(RequestError):
            typed("use.x", text, kind)
    with contextlib.suppress(ValueError):
        whole_number(text)
    path, _, value = text.partition("=")
    resolve(
        "inverted_pendulum", "inverted_pendulum:gravity=1.5", "darc", learner="sac", source_steps=200_000,
        target_steps=10_000, seeds=1, seed=0, settings={path: value}, controls=(), source_run=None,
    )  # fmt: skip


def size(text: str) -> None:
    """As the size and the times of a video."""
    with contextlib.suppress(ValueError):
        Film(seconds=float(text), episodes=whole_number(text))
    Film(**_size(text))


def named(text: str) -> None:
    """As names of methods and of a learner, and in an error."""
    as_options(text)
    for name in names(text):
        with contextlib.suppress(RequestError):
            tr.learner(name)
        method(name)


def environment(text: str) -> None:
    """As the place of kept agents and of compiled programs. They are not emptied here."""
    if "\0" in text:
        return  # none can have it
    for name in ("TRANSREWARD_AGENTS", "TRANSREWARD_CACHE", "XDG_CACHE_HOME"):
        before = os.environ.get(name)
        try:
            os.environ[name] = text
            cache.told()
            place = cache.root()
            if place is not None:
                cache.take_up(place / "0123", begun()[0])
        finally:
            os.environ.pop(name)
            if before is not None:
                os.environ[name] = before


IDS = [
    "halfcheetah", "halfcheetah@mirrored:gear=0.5,gravity=1.2", "hopper+run(speed=1):gravity=0.5", "ant@turned90",
    "walker2d:broken=thigh_*", "hopper:delay=2,noise=0.1", "gym:Pendulum-v1",
]  # fmt: skip
SHIFTS = [
    "gravity=0.5", "mass(torso)=2,friction=0.1", "gear(thigh_*)=0.5", "broken=thigh*", "noise(foot_joint)=0.1",
    "range([a-z]*)=0.9", "damping(?eg_joint)=2", "delay=3", "armature=2",
    "slope=-5,payload(foot)=1", "size(*)=1.2", "bias(leg_joint)=-0.1,deadzone=0.2", "sensor_bias(rootz position)=-0.5",
    "sensor_noise=0.1,sensor_delay=2", "softness(floor)=2,frictionloss=1",
]  # fmt: skip
TASKS = ["run(speed=1)", "backward", "stand", "terms(forward=0.5, survive=2)", "run(speed=2)+terms(control=0)"]
GYM = ["Pendulum-v1", "ALE/Pong-v5", "CartPole-v1", "gymnasium.envs.classic_control:Pendulum-v1", "Fetch-v1"]
SETTINGS = ["use.strength=0.5", "gap.hidden=64,64", "loop.threads=1", "gate.ramp=0.1", "learner.batch=1e2", "10,000"]
YAML = b"""source: hopper
target: hopper:gravity=0.5
method: darc
controls: [fine_tune, zero_shot]
learner: {name: sac, robots: 8, hidden: [64, 64]}
loop: &loop {threads: 1}
settings: {use.strength: 0.5}
source_steps: 1e4
"""
PLAN = b"""pairs: [[inverted_pendulum, 'inverted_pendulum:gravity=0.5'], {source: reacher, target: 'reacher:gear=0.5'}]
methods: [darc, {method: mix, seeds: 2, pairs: [reach*]}]
seeds: 3
source_steps: 200_000
target_steps: 10_000
settings: {loop.threads: 1}
"""
READERS: dict[str, Reader] = {
    "config.json": run_file("transfer-sac", "config.json", load),
    "result.json": run_file("transfer-sac", "result.json", load),
    "provenance.json": run_file("transfer-sac", "provenance.json", load),
    "metrics.jsonl": run_file("unfinished", "metrics.jsonl", load),
    "policy.safetensors": run_file("transfer-ppo", "policy.safetensors", arrays),
    "returns.safetensors": run_file("transfer-ppo", "returns.safetensors", arrays),
    "compensation.safetensors": run_file("transfer-ppo", "compensation.safetensors", arrays),
    "comparison.json": run_file("compare", "comparison.json", lambda p: record.in_order(record.read(p), p)),
    "identification.json": run_file("transfer-sac", "identification.json", load),
    "agent.json": run_file("transfer-sac", "source/agent.json", source_agent, ("runs/source_agent.py", *RUN[:3])),
    "agent.safetensors": run_file(
        "transfer-sac", "source/agent.safetensors", source_agent, ("runs/source_agent.py", *RUN[:3])
    ),
    "replay.safetensors": run_file(
        "transfer-sac", "source/replay.safetensors", source_agent, ("runs/source_agent.py", "replay.py", *RUN[:3])
    ),
    "request.json": run_file(
        "checkpoint", "state/request.json",
        lambda p: asked_in(p / "request.json", store.read_json(p / "state/request.json")),
        ("transfer.py", "request/resolve.py", *RUN[:3]),
    ),
    "checkpoint, raw JSON": checkpoint_file("json"),
    "checkpoint, raw arrays": checkpoint_file("safetensors"),
    "checkpoint, state": state_part(0, "json"),
    "checkpoint, arrays": state_part(1, "arrays"),
    "checkpoint, rows": state_part(2, "bytes"),
    "checkpoint, older": Reader(lambda: [kept_state()[0]], tidied, CHECKPOINT[:1], "json"),
    "checkpoint, names": Reader(
        lambda: [b"3", b"12", "²".encode(), b"0x1"],
        lambda x, scratch: named_files(x.decode(errors="surrogateescape"), scratch), CHECKPOINT[:1], "text",
    ),
    "step log": Reader(log_seeds, step_log, ("streams/log.py",), "bytes", (RequestError, tr.BrokenRun)),
    "step log, checksums right": Reader(
        log_seeds, lambda x, scratch: step_log(signed(x), scratch), ("streams/log.py",), "bytes",
        (RequestError, tr.BrokenRun),
    ),
    "config.yaml": config_file([YAML], ".yaml", read_config, "request/files.py", "plain.py"),
    "plan.yaml": config_file([PLAN], ".yaml", read_plan, "study/plan.py", "plain.py"),
    "plan.yaml, its jobs": Reader(lambda: [PLAN], planned, ("study/plan.py", "study/jobs.py"), "yaml"),
    "study.json": study_file("study.json", study, "json", jobs_read),
    "study.json, its report": study_file("study.json", study, "json", write_report),
    "study, a job's log": study_file("logs/reward_gap.txt", lambda: b"a: b\nno\nexit 2\n", "text", jobs_read),
    "study, a job's metrics": study_file(
        "runs/darc/metrics.jsonl", (RUNS / "unfinished/metrics.jsonl").read_bytes, "lines", jobs_read
    ),
    "json": Reader(
        lambda: [b'{"a": [1, 2.5, "x", null, true]}'], lambda x, _: plain.parsed(x), ("plain.py",), "json",
        (ValueError,),
    ),
    "yaml": Reader(
        lambda: [YAML, PLAN], lambda x, _: plain.parsed_yaml(x.decode(errors="replace")), ("plain.py",), "yaml",
        (ValueError,),
    ),
    "arrays": run_file(
        "transfer-ppo", "policy.safetensors", lambda p: store.load_arrays(p / "policy.safetensors"), RUN[:3]
    ),
    "id": words(IDS, domain, "domains/ids.py", "domains/tasks.py", "domains/shifts/text.py"),
    "id, shifts": words(
        SHIFTS, lambda x: domain(f"hopper:{x}"), "domains/shifts/text.py", "domains/shifts/compiled.py"
    ),
    "id, tasks": words(TASKS, lambda x: domain(f"hopper+{x}"), "domains/tasks.py"),
    "id, gym": words(GYM, lambda x: domain(f"gym:{x}"), "domains/gym.py", "domains/users.py"),
    "setting": words(SETTINGS, settings, "request/settings.py"),
    "names": words(["darc,mix", "sac", "`learner=\"sac\"`, `log=['a']`"], named, "cli/options.py", "methods.py"),
    "video's size": words(["320x240", "10", "1e3"], size, "cli/play.py", "reports/films/take.py"),
    "environment": words(["/nowhere/agents", "", "~/x"], environment, "engine/cache.py"),
    **{name: Reader(*row) for name, row in robot_readers.ROWS.items()},
}  # fmt: skip


# -- what does not depend on what is read is computed once ------------------------------------------------------------


def remembered() -> None:
    """Shapes of a learner's state by its settings and spaces, a domain by its id and the difference of two, and
    compiled templates of a page: JAX, MuJoCo and Jinja take most of the time, and see nothing of a stranger's but what
    is their key. Ids have readers of their own."""
    shapes_of, compiled = store.shapes_of, jinja2.Environment.compile
    known, templates = dict[Any, Any](), dict[Any, Any]()

    def shapes(part: Any, spaces: Any, keys: Any) -> Any:
        key = repr(part), spaces.obs, spaces.action, keys.shape
        if key not in known:
            if len(known) > 500:
                known.clear()
            known[key] = shapes_of(part, spaces, keys)
        return known[key]

    def template(self: Any, source: Any, name: Any = None, filename: Any = None, *rest: Any) -> Any:
        key = str(source), name, filename, rest
        if key not in templates:
            templates[key] = compiled(self, source, name, filename, *rest)
        return templates[key]

    store.shapes_of = shapes
    recorded.domain = functools.lru_cache(500)(recorded.domain)
    request.require_difference = functools.lru_cache(500)(request.require_difference)
    jinja2.Environment.compile = template  # type: ignore[method-assign]
