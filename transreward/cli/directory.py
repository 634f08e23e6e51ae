"""Where a command runs, what it leaves there when it is interrupted, and what it shows when it has ended."""

from __future__ import annotations

import itertools
import shlex
import shutil
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from transreward.cli.options import as_options
from transreward.interruption import undone
from transreward.runs.places import STATE, request_of
from transreward.types import AUTO, DEFAULT_METHOD, RequestError

if TYPE_CHECKING:
    from transreward.live import View
    from transreward.request.config import Config

LONGEST = 120  # bytes of the name that a run directory is given; some file systems take no more than 143


def run_in_its_directory(request: dict[str, Any], what: str, run: Callable[[str], None]) -> str:
    """Run in the directory that is asked for, which is taken out of the request; or else in the first new one that
    nobody has taken since it was named."""
    from transreward.runs.store import Taken

    asked = request.pop("out", None)
    for out in new_directories(request["target"], what) if asked is None else (asked,):
        try:
            run(out)
            return out
        except Taken:
            if asked is not None:
                raise
    raise AssertionError("numbers do not end")


def new_directories(target: str, what: str) -> Iterator[str]:
    """Each unused runs/<target>-<what>-<number> in turn."""
    full = f"{target}-{what}"
    name = "".join(c if c.isalnum() else "-" for c in full).strip("-")
    if len(name.encode()) > LONGEST:  # cut, and still another than what else begins so
        import hashlib

        mark = hashlib.sha256(full.encode(errors="replace")).hexdigest()[:8]
        name = f"{name.encode()[: LONGEST - len(mark) - 1].decode(errors='ignore')}-{mark}"
    return (place for n in itertools.count(1) if not Path(place := f"runs/{name}-{n}").exists())


def rehearsed(request: dict[str, Any], plan: Callable[..., Config]) -> None:
    """Say what would be done. A source run that another library's policy becomes for this is removed again."""
    from transreward.rehearsal import rehearse

    with TemporaryDirectory() as place, undone(partial(shutil.rmtree, place, ignore_errors=True)):
        print(*rehearse(plan(**with_policy(request, plan, Path(place) / "policy"))), sep="\n")


def with_policy(request: dict[str, Any], plan: Callable[..., object], passing: Path | None = None) -> dict[str, Any]:
    """The request, in which another library's policy has become a source run: below runs/, or in the directory
    `passing`, which the caller removes. What is wrong with the pair is said before that takes its time, and what `plan`
    refuses afterwards leaves no source run."""
    file = request.pop("source_policy", None)
    if file is None:
        return request
    if request.get("source_run"):
        raise RequestError("--source-policy makes a source run of its own: leave --source-run out")
    from transreward.methods import method
    from transreward.policies.adopt import STEPS, adopt
    from transreward.policies.foreign import read
    from transreward.request.resolve import count, pair_of
    from transreward.runs.source_agent import import_all
    from transreward.runs.store import vacant

    import_all(request.get("imports", ()), None)
    if "out" in request:
        vacant(Path(request["out"]))
    for name in (request.get("method", DEFAULT_METHOD), *request.get("controls", ()), *request.get("methods", ())):
        method(str(name))
    if request.get("evaluate") is None:
        pair_of(request["source"], request["target"], request["settings"], request.get("bridge", AUTO))
    out = passing or next(new_directories(request["source"], f"policy-{Path(file).stem}"))
    steps = count("source steps", request.get("source_steps"), 2 * STEPS)
    steps = min(STEPS, max(steps // 2, 1))  # the rest is left to the method
    seeds = {name: request[name] for name in ("seeds", "seed") if name in request}
    learner = read(Path(file)).learner
    require_plan(request, learner, plan)
    require_taken_over(file, learner, request.get("learner"))
    found = adopt(file, request["source"], out, steps=steps, **seeds, watch=on_its_way)
    try:
        plan(**(request := {**request, "source_run": str(out)}))
    except BaseException:
        shutil.rmtree(out, ignore_errors=True)
        raise
    print(found, *([] if passing else [f"saved in {out}, as --source-run takes it"]), sep="\n")
    return request


def require_plan(request: dict[str, Any], learner: str, plan: Callable[..., object]) -> None:
    """Raise RequestError for what the target's budget cannot pay with this learner, before a source agent is made. Of
    the source's budget more is known once there is one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they come again
        plan(**{"learner": learner, **request, "source_steps": None})


def require_taken_over(file: str, own: str, asked: Any) -> None:
    """Raise RequestError where the learner that is asked for cannot take over an agent of the policy's own."""
    from transreward.learners import LEARNERS

    learner = LEARNERS.get(str(asked))
    if learner is not None and asked != own and not learner.takes_over:
        raise RequestError(f"{file} becomes an agent of {own}, and {asked} cannot take it over: leave `learner` out")


def on_its_way(line: str) -> None:
    """A line of what takes its time, at once, also in a pipe."""
    print(f"{line} ...", flush=True)


def kept(directory: Path) -> str:
    """What an interrupted run leaves."""
    named = shlex.quote(str(directory))
    if (directory / "result.json").exists():
        return f"the run is finished and saved: 'transreward report {named}' writes its page"
    evaluated = next(directory.rglob("metrics.jsonl"), None)
    if request_of(directory, STATE).exists():
        more = f"; the policy and metrics of the last evaluation are in {directory}, too" if evaluated else ""
        return f"'transreward resume {named}' goes on from its last round{more}"
    if evaluated:
        return f"the policy and metrics of the last evaluation are in {directory} ('transreward report {named}')"
    return "no round is over yet, so nothing is kept"


@contextmanager
def watched(request: dict[str, Any], out: str) -> Iterator[View]:
    """A run's live view; where the run is interrupted, what it leaves in its directory is said."""
    from transreward.live import View

    with undone(lambda: kept(Path(out))), View(request) as view:
        yield view


def show(directory: str, videos: bool) -> None:
    """What a finished run leaves to look at: its videos, where they can be made, and its report."""
    if videos:
        from transreward.reports.films.play import before_and_after

        try:
            with undone(lambda: kept(Path(directory))):
                print("videos:", *before_and_after(directory))
        except RequestError as error:  # the run is done and saved all the same
            print(as_options(str(error)))
    with undone(lambda: kept(Path(directory))):
        write_page([directory])


def write_page(directories: Sequence[str], outs: Sequence[str] = (), columns: int = 1) -> None:
    """Write the page of runs, or the files for a paper, and say what lies where."""
    from transreward.reports.anatomy.measured import keep
    from transreward.reports.page import write_reports

    say_files(write_reports(directories, outs, columns, first=keep))


def say_files(files: Sequence[Path]) -> None:
    """A line each: what it is, and where it lies."""
    from transreward.reports.paper import kind

    for file in files:
        print(f"{kind(file)}: {file}")
