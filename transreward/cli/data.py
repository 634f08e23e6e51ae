"""transreward data"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transreward.cli.options import IDS, whole
from transreward.runs.places import SESSION, journal_of, request_of
from transreward.types import ASKED, RequestError

if TYPE_CHECKING:
    from transreward.domains.domain import Domain
    from transreward.domains.logs import Log

HELP = "look at a log, or at a run's target steps; convert it"
ABOUT = """\
What a log holds, in words: episodes, lengths and returns, how they end, the control rate and gaps in time, the range of
every column, and which columns never move or sit at their ends. FILE is HDF5, npz, CSV or Parquet, or the folder of a
LeRobot (v3) or Minari data set; DIR is a run directory, of which the target steps are read, or a session's, of which
all steps are that its robot told, also where it was killed.

  transreward data monday.csv --picture monday.png
  transreward data monday.csv --robot hopper --to monday.hdf5
  transreward data monday.csv --rate 20 --to slow.csv
  transreward data runs/robot --to lerobot:shared/robot
"""
EPILOG = IDS
CHANGED = 0.001  # of the steps
PAUSED = (
    ": without its own times, since the robot paused within episodes, which would be read as steps that are missing"
)


def arguments(command: argparse.ArgumentParser) -> None:
    option = command.add_argument
    option("log", metavar="FILE|DIR", help="a log, a run directory, or a session's")
    option("--robot", metavar="ID", help="the domain whose robot it is of, or robot.yaml, for names, units and bounds "
           "of its columns")  # fmt: skip
    option("--seed", type=whole, metavar="S", help="of a run directory: which seed's, counted from 0 (default: 0)")
    option("--to", metavar="FILE", help="write it as .hdf5, .npz, .csv, .parquet, lerobot:FOLDER or minari:FOLDER")
    option("--rate", type=float, metavar="HZ", help="control steps a second: says it of a log that does not; makes a "
           "faster log slower, n of its steps one")  # fmt: skip
    option("--picture", metavar="FILE.png", help="draw it, as .png or .svg")
    option("--json", action="store_true", help="one JSON object on standard output; its keys: page 'Command line'")


def run(args: argparse.Namespace) -> None:
    from transreward.domains import logs
    from transreward.domains.asked import lists
    from transreward.domains.domain import control_rate
    from transreward.domains.ids import domain
    from transreward.domains.logs.degrees import in_degrees
    from transreward.domains.logs.summary import summary
    from transreward.domains.logs.write import require_writable, without_pauses, write
    from transreward.domains.names import action_entries, entries
    from transreward.reports.canvas import require_picture
    from transreward.reports.recording import picture

    if args.rate is not None and not 0 < args.rate < 1e9:
        raise RequestError(f"`rate` must be control steps a second, not {args.rate:g}")
    robot = None if args.robot is None else domain(f"{ASKED if lists(args.robot) else ''}{args.robot}")
    if args.picture:
        require_picture(args.picture)
    if args.to:
        require_writable(args.to)
    log, of_run, notes = _opened(args)
    robot = robot or of_run
    log, said = _at_rate(log, args.rate)
    columns = None
    if robot is not None and args.robot:
        logs.require_fit(log, robot)
    if robot is not None and (robot.spaces.obs, robot.spaces.action) == (log.obs.shape[1], log.action.shape[1]):
        columns = entries(robot), action_entries(robot)
        asked = in_degrees(columns[0], log.obs)
        said += [f"units     {asked}"] if asked else []
    rate = None if robot is None else control_rate(robot)
    found = summary(log, columns, robot.name.removeprefix(ASKED) if robot is not None and columns is not None else "")
    written = [f"picture: {picture(log, found, args.picture)}"] if args.picture else []
    if args.to:
        assumed = "" if rate is None or robot is None or log.rate is not None else f"{robot.name}, {rate:g} Hz"
        why = f": its rate and times are those of {assumed}, since the log says none" if assumed else ""
        why += PAUSED if without_pauses(log) is not log else ""
        written.append(f"written to {write(log, args.to, rate, columns)}{why}")
    if args.json:
        print(json.dumps(found.as_json(), allow_nan=False))
        return
    print(found, *notes, *said, sep="\n")
    if written:
        print("", *written, sep="\n")


def _opened(args: argparse.Namespace) -> tuple[Log, Domain | None, list[str]]:
    """The log, the robot that it is known to be of, and what else there is to say."""
    from transreward.domains import logs
    from transreward.domains.domain import control_rate
    from transreward.domains.logs.recorded import file_of

    path = Path(args.log)
    of_run = (path / "config.json").is_file() and not journal_of(path).is_file()
    if args.seed is not None and not of_run:
        raise RequestError(f"{args.log} is no run, whose seed could be asked for: leave `seed` out")
    if journal_of(path).is_file():
        from transreward.session.told import told

        robot = _robot(_content(request_of(path, SESSION)))
        found = told(path, None if robot is None else control_rate(robot))
        return _named(found.log, path), robot, [str(found)]
    if of_run:
        from transreward.engine.taken import target_steps

        log, robot = target_steps(path, args.seed or 0), _robot(_content(path / "config.json"))
        return replace(_named(log, path), rate=None if robot is None else control_rate(robot)), robot, []
    return logs.read(file_of(args.log) or args.log), None, []


def _content(file: Path) -> dict[str, Any]:
    """What a run's config.json or its request holds; nothing where that cannot be read."""
    from transreward import plain

    try:
        told = plain.parsed(plain.content(file))
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def _robot(told: dict[str, Any]) -> Domain | None:
    """The robot of a run's target, if it is one of the table or of a file, which may lie where the run was begun: to
    make others may begin to move them."""
    from transreward.domains.asked import lists
    from transreward.domains.files import place
    from transreward.domains.ids import domain
    from transreward.domains.robots import ROBOTS
    from transreward.domains.users import begun_in

    id, begun = str(told.get("target")), told.get("begun_in")
    own = id.removeprefix(ASKED)
    in_file = place.split(own) or (own != id and lists(own))
    if own.partition(":")[0].partition("+")[0].partition("@")[0] not in ROBOTS and not in_file:
        return None
    try:
        with begun_in(begun if isinstance(begun, str) else None):
            return domain(id)
    except RequestError:  # its file has gone
        return None


def _named(log: Log, directory: Path) -> Log:
    """The log with the names of columns that a run's config.json keeps, for where its robot is not there any more."""
    from transreward.domains.logs import named

    spaces = _content(directory / "config.json").get("spaces")
    try:
        kept = named.kept(spaces["obs_names"], spaces["action_names"])  # type: ignore[index]
    except (KeyError, TypeError):  # there are none yet
        return log
    return replace(log, names=named.told(kept, log.obs.shape[1], log.action.shape[1]))


def _at_rate(log: Log, rate: float | None) -> tuple[Log, list[str]]:
    """The log with this rate, if one is named, and what that changed."""
    from transreward.domains.logs.slower import slower

    if rate is None:
        return log, []
    if log.rate is None:
        return replace(log, rate=rate), []
    found, changed = slower(log, rate)
    near = "" if f"{found.rate:.4g}" == f"{rate:.4g}" else f" (not {rate:g}, which is no whole part of it)"
    if found is log:
        return log, [f"rate      it stays {log.rate:g} Hz{near}"] if near else []
    many = round(log.rate / rate)
    said = [f"slower    {log.rate:g} Hz to {found.rate:g} Hz{near}: {many} steps are one, rewards added up"]
    if changed > CHANGED:
        said.append(f"          in {changed:.0%} of them the action changed, and its mean is taken: a robot of that "
                    f"rate would have kept one")  # fmt: skip
    return found, said
