"""transreward list"""

from __future__ import annotations

import argparse
import shutil
import sys
import textwrap
from typing import Any

HELP = "domains, tasks, methods, learners or shifts, a line each"
ABOUT = "What a request can be made of. How tasks and shifts are put into an id: 'transreward transfer --help'."
EPILOG = ""


def arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("what", choices=("domains", "tasks", "methods", "learners", "shifts"))


def run(args: argparse.Namespace) -> None:
    tables = {
        "domains": _domains, "tasks": _tasks, "methods": _methods, "learners": _learners, "shifts": _shifts
    }  # fmt: skip
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None  # a pipe gets a line each
    print("\n".join(_laid_out(tables[args.what](), width)))


def _laid_out(rows: list[tuple[str, str]], width: int | None) -> list[str]:
    """Names and texts in two columns, or a text below its name where that is narrow; a text may have two parts,
    of which the first, in columns of its own, is kept in one line: there a long name has a line to itself."""
    names = max(len(name) for name, _ in rows)
    if width is None:
        return [f"{name:{names}}  {text}".replace("\n", "  ") for name, text in rows]
    columns = max((len(text.partition("\n")[0]) for _, text in rows if "\n" in text), default=0)
    names = max((len(name) for name, _ in rows if len(name) + 2 + columns <= width), default=names)
    below = names + 2 > width / 3
    lines = []
    for name, text in rows:
        indent = " " * (4 if below else names + 2)
        laid = textwrap.TextWrapper(width, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)
        parts = map(laid.wrap, text.split("\n"))
        first, *others = [line for part in parts for line in part]
        beside = not below and len(name) <= names
        lines += [f"{name:{names}}{first[names:]}", *others] if beside else [name, first, *others]
    return lines


def _domains() -> list[tuple[str, str]]:
    from transreward.bridges import views
    from transreward.domains.robots import ROBOTS

    def in_views(name: str) -> str:
        return f"; seen also as @{', @'.join(views(name))}" if views(name) else ""

    others = [
        ("mjcf:path.xml", "the robot in a file of MuJoCo's, with tasks and shifts like those above"),
        ("urdf:path.urdf", "the same of a URDF, each joint with a motor as strong as its limit's effort"),
        ("menagerie:unitree_go1", "the same of a robot of MuJoCo Menagerie: pip install 'transreward[robots]'"),
        ("gym:Id", "any Gymnasium environment with Box spaces, also gym:module:Id"),
        ("package.module:factory", "your own: a function that makes a Domain or a Gymnasium environment"),
        ("data:FILE", "a log of a robot, and nothing else of it: .hdf5, .npz, .csv, .parquet"),
        ("minari:namespace/name-v0", "the same as a data set of Minari"),
        ("lerobot:FOLDER", "the same as a folder of LeRobot"),
    ]
    rows = [(n, f"{r.episode_steps} steps, reward = {' + '.join(r.terms)}{in_views(n)}") for n, r in ROBOTS.items()]
    return rows + others


def choices(m: Any) -> tuple[str, str, str, str]:
    """What a row of the methods chooses: gap, use, feed, and the learners that it may have."""
    gap = ", ".join(["physics"] * (m.ground is not None) + ([m.gap.name] if m.gap else [])) or "-"
    learner = "off-policy" if m.off_policy else "any" if m.feed or m.ceiling else "-"
    return gap, m.use.name if m.use else "-", str(m.feed or "-"), m.offline.name if m.offline else learner


def _methods() -> list[tuple[str, str]]:
    from transreward.cells import cells
    from transreward.methods import METHODS, Method

    def told(m: Method) -> str:
        return f"{m.summary}{'' if m.needs_target_reward else ' (needs no target reward)'}; {m.paper}"

    head = ("gap", "use", "feed", "learner")
    rows = [head, *(choices(m) for m in METHODS.values())]
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    lines = [" ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)) for row in rows]
    about = ["what it does; paper", *map(told, METHODS.values())]
    named = zip(("method", *METHODS), lines, about, strict=True)
    uses: dict[str, list[str]] = {}  # by the gaps that go with them
    for use, gaps in cells().items():
        uses.setdefault(", ".join(gaps), []).append(use)
    text = "; ".join(f"{', '.join(names)} of {gaps}" for gaps, names in uses.items())
    return [*((name, f"{line}\n{text}") for name, line, text in named), ("use(gap)", f"any cell: {text}")]


def _learners() -> list[tuple[str, str]]:
    from transreward.presets import LEARNERS, PRESETS

    def suits(name: str) -> str:
        robots = [robot for robot, row in PRESETS.items() if row.chosen == name]
        return f" Default of {', '.join(robots)}." if robots else ""

    return [(name, f"{(kind.__doc__ or '').splitlines()[0]}{suits(name)}") for name, kind in LEARNERS.items()]


def able(kind: Any) -> str:
    """The robots that can have a kind of task."""
    from transreward.domains.robots import ROBOTS

    robots = [robot.name for robot in ROBOTS.values() if kind.suits(robot)]
    return "all robots" if len(robots) == len(ROBOTS) else ", ".join(robots) or "arms in files"


def _tasks() -> list[tuple[str, str]]:
    from transreward.domains.tasks import TASKS

    rows = [(kind.usage, f"{kind.doc}; {able(kind)}") for kind in TASKS.values()]
    return [*rows, ("package.module:function", "your own reward, a function of (obs, action, next_obs); all robots")]


def _shifts() -> list[tuple[str, str]]:
    from transreward.domains.shifts import SHIFTS

    ranged = "a family: each episode has another value, as in hopper:gravity=0.5..2,mass=0.7..1.5"
    return [*((kind.usage, kind.doc) for kind in SHIFTS.values()), ("<shift>=<low>..<high>", ranged)]
