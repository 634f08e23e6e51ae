"""What several commands can be told, read into a request; and the fields of a request as they are typed."""

from __future__ import annotations

import argparse
import ast
import re
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from transreward.request.fields import FIELDS
from transreward.types import RequestError, whole_number

IDS = """\
domain ids:  robot[+task][:shift[,shift...]]   gym:Id   package.module:factory
             halfcheetah   hopper:gravity=0.5   ant:mass(torso)=2,damping=1.5
             walker2d+walk(speed=1):friction=0.3   a task and a shift
             ant@turned90+direction(degrees=45)    seen turned, or in a mirror
             mjcf:arm.xml   urdf:arm.urdf   menagerie:unitree_go1:payload=4    a robot in a file
             data:log.csv   minari:lab/walk-v0   lerobot:FOLDER    a log of a robot
             all that there are: 'transreward list domains', tasks, shifts
"""
SETTINGS = """\
settings:    --set use.strength=0.5 gap.noise=0.2 gate.clip=5 learner.learning_rate=3e-4 loop.target_robots=4
"""
NAMED = re.compile(r"`([a-z_]+|[a-z_.]+(?==))(?:=([^`]*))?`")  # a field, or a setting, in an error
# Fields of a request, and of a command in Python, that are options here. Not every option of some command: what the
# calls of a session take, such as `seconds`, is typed nowhere.
OPTIONS = {
    *FIELDS, "fresh", "logs", "motors", "methods", "out", "live", "size", "rate", "columns", "episodes", "pictures",
    "change", "source_policy",
} - {"source", "target", "imports"}  # fmt: skip


def whole(text: str) -> int:
    """Of an option's argument."""
    try:
        return whole_number(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is no whole number, such as 10000, 10_000, 10,000 or 1e4") from None


def training_options(command: argparse.ArgumentParser) -> None:
    """What every command that trains can be told."""
    option = command.add_argument
    option("--learner", help="sac or ppo (default: the robot's preset; sac where a method needs its stored steps)")
    option("--source-steps", type=whole, metavar="N", help="budget per seed (default: the robot's preset)")
    option("--target-steps", type=whole, metavar="N", help="budget per seed (default: 10000)")
    option("--seeds", type=whole, metavar="K", help="seeds trained together (default: 3)")
    option("--seed", type=whole, metavar="S", help="the first of them (default: 0)")
    option("--source-run", metavar="DIR", help="take up an earlier run's source agent; its steps count")
    option("--source-policy", metavar="FILE", help="another library's policy as source agent: see transreward adopt")
    option("--bridge", metavar="B", help="the map: named, kinematic, clone(named), FILE.yaml, mirrored, ..., none")
    option("--evaluate", metavar="DOMAIN", help="a simulator that returns in the target are taken from, as of a log")
    option("--fresh", action="store_true", default=None, help="train the source agent, also where one like it was kept")
    option("--dry-run", action="store_true", help="say what would be done, and how long it takes; take no target step")
    option("--out", metavar="DIR", help="run directory (default: a new one below runs/)")
    option("--no-video", dest="video", action="store_false", help="no videos beside the report (they take seconds)")
    option("--log", metavar="SINK,SINK", help="evaluations also to: tensorboard, wandb, trackio")
    option("--config", metavar="FILE", help="YAML or JSON, as config.json of a run; options here win")
    option("--set", nargs="+", action="extend", metavar="PATH=VALUE", help="any setting, see below")


def options(args: argparse.Namespace) -> dict[str, Any]:
    """--config < options, as keyword arguments."""
    request: dict[str, Any] = {"settings": {}}
    if args.config:
        from transreward.request.files import read_config

        request |= read_config(Path(args.config))
    of_config = request.pop("imports", [])
    apart = ("run", "config", "set", "methods", "video", "imports", "dry_run")
    request |= {name: value for name, value in vars(args).items() if value is not None and name not in apart}
    if imports := [*names(of_config), *args.imports]:
        request["imports"] = imports
    if "log" in request:
        request["log"] = names(request["log"])
    for item in args.set or ():
        path, equals, value = item.partition("=")
        if not equals:
            raise RequestError(f"--set {item}: write PATH=VALUE, such as use.strength=0.5")
        request["settings"] = {**request["settings"], path: value}
    return request


def names(text: str | Sequence[str]) -> list[str]:
    """M,M as a list; a list as it is."""
    if not isinstance(text, str):
        return [*text]
    return [name.strip() for name in text.split(",") if name.strip() not in ("", "none")]


def given(args: argparse.Namespace, names: Iterable[str]) -> list[str]:
    """Which of these options were given, as they are typed: 0 is a value, too."""
    said = [name for name in names if getattr(args, name) is not None and getattr(args, name) is not False]
    return [f"--{name.replace('_', '-')}" for name in said]


def as_options(message: str) -> str:
    """An error with the fields of the request that it names as they are typed here: `source_steps` as --source-steps,
    `learner="sac"` as --learner sac, `use.strength=0` as --set use.strength=0."""

    def option(found: re.Match[str]) -> str:
        name, value = found.groups()
        if "." in name:
            return f"--set {name}={value}"
        if name == "imports":
            return "--import"
        return f"--{name.replace('_', '-')}{_typed(value)}" if name in OPTIONS else found[0]

    return NAMED.sub(option, message)


def _typed(value: str | None) -> str:
    """What follows an option: nothing for a switch, M,M for a list, one word of a shell for a text in quotes."""
    try:
        read = ast.literal_eval(value or "True")
        read = shlex.quote(read) if isinstance(read, str) and re.search(r"[\s'\[]", read) else read
    except (SyntaxError, ValueError):
        read = value
    if isinstance(read, list):
        read = ",".join(map(str, read)) or "none"
    return "" if read is True else f" {read}"
