"""transreward study"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from transreward.cli.directory import say_files
from transreward.cli.options import given, names, whole
from transreward.cli.prose import wrapped
from transreward.types import RequestError, nearest

if TYPE_CHECKING:
    from transreward.study.jobs import Job
    from transreward.study.plan import Plan
    from transreward.workers.contract import Asked

HELP = "many pairs and methods from one plan, one table"
ABOUT = """\
Run every method of a plan on every pair, each as a command of its own, and make one table of them. A job is done where
its run directory holds a result; run the same plan again and what is missing is run, what was stopped goes on from its
checkpoint, and what is done stays. A source agent is a job, too: it is trained once and taken up by all that start from
it. A job that fails does not stop the others. The same command may run on several machines that share the directory:
each job is run by one of them.

  transreward study plan.yaml --dry-run      the jobs, as commands
  transreward study plan.yaml --jobs 4       four at a time, sharing the cores
  transreward study plan.yaml --pairs light  this pair alone
  transreward study plan.yaml --ray local    on Ray; --slurm: by Slurm
  transreward study plan.yaml --search       choose a method's settings first
  transreward study report runs/plan         the table, also half-way
  transreward study report runs/plan --out table.tex   for a paper

A plan is a YAML file:

  pairs:             [source, target], or a mapping with what is asked of it
    - [hopper, hopper:gravity=0.5]
    - {name: light, source: hopper, target: 'hopper:mass=0.7', seeds: 10}
  methods:           rows of 'transreward list methods', or mappings
    - mix
    - {name: strong, method: darc, settings: {use.strength: 4}}
  seeds: 5           from `seed` (default: 3 from 0)
  target_steps: 20_000
  settings: {loop.aligned: 0}

learner, source_steps, target_steps, seeds, seed, source_run, bridge, evaluate, cotrain, share, settings and agent may
stand in the plan, in a pair and in a method; a method's count more than a pair's, and these more than the plan's. See
the page 'Studies'.
"""
EPILOG = ""
FIGURES = ("scores", "map")
OF_REPORTS, OF_CLUSTERS = ("figure", "columns"), ("cores", "memory")
OF_PLANS = ("jobs", "ray", "slurm", *OF_CLUSTERS, "pairs", "methods", "search", "dry_run")
AGAIN = "the same command goes on with the study"


def arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "plan", nargs="?", metavar="FILE", help="the plan; or the word report, followed by a study's directory"
    )
    command.add_argument("directory", nargs="?", metavar="DIR", help=argparse.SUPPRESS)
    command.add_argument("--out", nargs="+", metavar="DIR",
                         help="the study's directory (default: runs/ and the plan's name); of a report, files: tex, md "
                         "and csv are the table, pdf, svg and png a figure, html the page")  # fmt: skip
    command.add_argument(
        "--figure", choices=FIGURES, help="of a report: of all pairs (default: scores), or each of them"
    )
    command.add_argument(
        "--columns", type=int, metavar="N", help="of a report: how many of a paper's page a figure spans (default: 1)"
    )
    command.add_argument(
        "--jobs", type=whole, metavar="N", help="to run side by side (default: 1; on Ray all, in Slurm's queue 100)"
    )
    command.add_argument("--ray", metavar="ADDRESS", help="run them on a Ray cluster; local starts one here")
    command.add_argument("--slurm", nargs="?", const="", metavar="K=V,K=V", help="run them by Slurm, so asked")
    command.add_argument("--cores", type=whole, metavar="N", help="of a job on a cluster (default: 1)")
    command.add_argument("--memory", type=float, metavar="GIB", help="of a job on a cluster (default: 4)")
    command.add_argument("--pairs", metavar="P,P", help="only these, by name")
    command.add_argument("--methods", metavar="M,M", help="only these, by name")
    command.add_argument("--search", action="store_true", help="choose a method's settings first, as the plan says")
    command.add_argument("--dry-run", action="store_true", help="print the jobs, run none")


def run(args: argparse.Namespace) -> None:
    if args.plan == "report":
        return reported(args)
    if args.plan is None and len(args.out or ()) == 2:  # --out DIR FILE: the option took the plan along
        args.plan = args.out.pop()
    if args.plan is None:
        raise RequestError("name a plan: transreward study FILE; or a study: transreward study report DIR")
    refuse(args, OF_REPORTS, "is for `transreward study report DIR`")
    if len(args.out or ()) > 1:
        raise RequestError(f"--out {' '.join(args.out)}: a study has one directory")
    if args.directory is not None:
        raise RequestError(f"one plan at a time: leave {args.directory} out")
    if args.jobs is not None and args.jobs < 1:
        raise RequestError(f"--jobs {args.jobs}: at least one job runs at a time")
    where = place_of(args)
    from transreward.study.jobs import jobs_of
    from transreward.study.plan import read_plan

    plan = read_plan(Path(args.plan), args.imports)
    out = Path(args.out[0] if args.out else os.path.join("runs", Path(args.plan).stem))
    if args.search:
        if args.pairs or args.methods:
            raise RequestError("--search goes through the whole plan: leave --pairs and --methods out")
        return search(plan, text_of(args.plan), out, where, args.dry_run)
    jobs = jobs_of(plan, out)
    chosen = only(jobs, args.pairs, args.methods)
    if args.dry_run:
        return say(listed(chosen))
    carried_out(text_of(args.plan), jobs, chosen, out, where)


def carried_out(
    text: str, jobs: Sequence[Job], chosen: Sequence[Job], out: Path, where: tuple[str, Asked], again: str = AGAIN
) -> None:
    """Run those that are chosen of the jobs of the plan `text`, and show what has come of it."""
    with driven(out, text, jobs, *where, again) as go:
        failed = go(chosen)
    report(out)
    end(chosen, failed)


def text_of(plan: str) -> str:
    """Of a plan's file."""
    try:
        return Path(plan).read_text()
    except OSError as error:
        raise RequestError(f"cannot read {plan}: {error.strerror}") from None


def search(plan: Plan, text: str, out: Path, where: tuple[str, Asked], dry: bool) -> None:
    """Choose settings on the pairs set aside, then run the plan with them on the others."""
    from transreward.study import folder
    from transreward.study import search as of
    from transreward.study.ranges import search_of

    asked = search_of(plan)
    of.require_optuna()
    first, jobs = of.checked(plan, asked, out), of.reported(plan, asked, {}, out)
    of.require_same(out, plan, first)
    if dry:
        each = sum(bool(job.method) for job in first)
        trial = f"# the first of {asked.trials} trials of {each} job{'s' * (each > 1)}, on {', '.join(asked.pairs)}"
        rest = f"# {len(jobs)} jobs on the other pairs, and {asked.row.name} with what is chosen"
        return say([*listed(first)[:-1], trial, *listed(jobs)[:-1], rest])
    with driven(out, text, jobs, *where) as go:

        def titled(title: str, jobs: Sequence[Job]) -> dict[Path, str]:
            print(title)
            return go(jobs) if jobs else {}

        trials, best = of.searched(plan, asked, out, titled)
        print(f"best of {len(trials)}: trial {best.number}, {of.in_words(best.settings)}")
        jobs = of.reported(plan, asked, best.settings, out)
        folder.put(out / folder.FILE, folder.content(out, jobs))
        failed = go(jobs)
    report(out)
    end(jobs, failed)


def end(jobs: Sequence[Job], failed: dict[Path, str]) -> None:
    """Exit with 1 and the list of what failed, if anything did."""
    lines = [f"  {job.name}: {failed[job.place]} ({job.log})" for job in jobs if job.place in failed]
    if lines:
        sys.exit("\n".join([f"transreward: {len(lines)} of {len(jobs)} jobs failed", *lines]))


def only(jobs: Sequence[Job], pairs: str | None, methods: str | None) -> list[Job]:
    """The jobs of these pairs and methods, and those that they start from."""
    wanted = [job for job in jobs if job.method]
    for key, text in (("pair", pairs), ("method", methods)):
        if text is not None:
            known = list(dict.fromkeys(getattr(job, key) for job in jobs if job.method))
            if not (chosen := among(text, known)):
                raise RequestError(f"--{key}s names none: leave it out for all of the plan's, {', '.join(known)}")
            for name in chosen:
                if name not in known:
                    raise nearest(name, known, f"{key} of the plan")
            wanted = [job for job in wanted if getattr(job, key) in chosen]
    if not wanted:
        raise RequestError("--pairs and --methods leave no job: the plan runs none of these methods on these pairs")
    places = {job.place for job in wanted}
    for job in reversed(jobs):  # each after those that it starts from, which start from others
        places |= {one.place for one in job.before if job.place in places}
    return [job for job in jobs if job.place in places]


def among(text: str, known: Sequence[str]) -> list[str]:
    """The names in a list with commas; a known name may have commas of its own, as a target with two shifts has."""
    found, parts = [], names(text)
    while parts:
        whole = (",".join(parts[:n]) for n in range(len(parts), 1, -1))
        name = next((name for name in whole if name in known), parts[0])
        found.append(name)
        parts = parts[name.count(",") + 1 :]
    return found


def listed(jobs: Sequence[Job]) -> list[str]:
    """A line a job: the command that runs it, and how far it is."""
    lines = []
    for job in jobs:
        words = ["resume", str(job.place)] if job.resumes and not job.done else job.command()
        lines.append(f"{shlex.join(['transreward', *words])}{'  # done' if job.done else ''}")
    done = sum(job.done for job in jobs)
    return [*lines, f"# {len(jobs)} jobs: {done} done, {len(jobs) - done} to run"]


def say(lines: Sequence[str]) -> None:
    """Print such lines: on a terminal a command is folded as a shell takes it, in a pipe each is one line."""
    from transreward.reports.repeat import folded

    for line in lines:
        command, sign, remark = line.partition("  # ")
        whole = line.startswith("#") or not sys.stdout.isatty()
        print(line if whole else f"{folded(shlex.split(command))}{sign}{remark}")


def place_of(args: argparse.Namespace) -> tuple[str, Asked]:
    """Where the jobs run: a worker's name, and what it is asked for."""
    from transreward.workers.contract import Asked

    if args.ray is not None and args.slurm is not None:
        raise RequestError("--ray and --slurm: jobs run in one place, so leave one of them out")
    cores, memory = 1 if args.cores is None else args.cores, 4.0 if args.memory is None else args.memory
    if cores < 1 or not 0 < memory < float("inf"):
        raise RequestError(f"--cores {cores}, --memory {memory:g}: a job needs some of both")
    more = {}
    for item in names(args.slurm or ""):
        key, equals, value = item.partition("=")
        if not equals:
            raise RequestError(f"--slurm {item}: write K=V, such as partition=long")
        more[key] = value
    name = "ray" if args.ray is not None else "slurm" if args.slurm is not None else "here"
    if name == "here":
        refuse(args, OF_CLUSTERS, "is of a job on a cluster (--ray, --slurm), and these share this machine's")
    return name, Asked(args.jobs, args.ray or "", cores, memory, more)


@contextmanager
def driven(
    out: Path, text: str, jobs: Sequence[Job], name: str, asked: Asked, again: str = AGAIN
) -> Iterator[Callable[[Sequence[Job]], dict[Path, str]]]:
    """Take part in a study with that worker during the body; `again` says what goes on with it if it is interrupted.
    Yields what runs jobs and returns, by directory, why some
    of them failed."""
    from transreward.study import folder
    from transreward.study.jobs import LOGS
    from transreward.study.run import Interrupted, run
    from transreward.study.show import View
    from transreward.workers import worker

    place = worker(name, replace(asked, folder=out / LOGS))

    def go(chosen: Sequence[Job]) -> dict[Path, str]:
        with View(chosen, place.room()) as view:
            return run(chosen, place, view)

    try:
        with folder.joined(out, text, jobs):
            yield go
    except Interrupted as interrupted:
        were = "1 job was" if interrupted.jobs == 1 else f"{interrupted.jobs} jobs were"
        ended = f"{were} ended, to go on from a checkpoint where there is one" if interrupted.jobs else ""
        said = "; ".join(filter(None, ("interrupted", ended, again)))
        print(f"transreward: {said}", file=sys.stderr)
        sys.exit(128 + interrupted.number)
    finally:
        place.close()


def report(out: Path) -> None:
    """The table, and the page."""
    from transreward.study.report import write_report

    text, page = write_report(out)
    print(wrapped(text, sys.stdout))
    say_files([page])


def reported(args: argparse.Namespace) -> None:
    """The table and the page, or the files that are asked for, for a paper."""
    from transreward.reports.paper import kind

    refuse(args, OF_PLANS, "is for running a plan, and a report runs nothing")
    if args.directory is None:
        raise RequestError("name the study's directory first: transreward study report DIR [--out FILE ...]")
    outs = list(map(Path, args.out or ()))
    if "figure" not in map(kind, outs):
        refuse(args, OF_REPORTS, "is for a figure, such as --out scores.pdf")
    if not outs:
        return report(Path(args.directory))
    from transreward.study.paper import write

    study = write(Path(args.directory), outs, args.columns or 1, args.figure or "scores")
    say_files(outs)
    if study.summary is not None and study.summary.few:
        print(wrapped(study.summary.few, sys.stdout))


def refuse(args: argparse.Namespace, names: Sequence[str], why: str) -> None:
    """Raise RequestError where an option is given that would do nothing."""
    if named := given(args, names):
        raise RequestError(f"{named[0]} {why}: leave it out")
