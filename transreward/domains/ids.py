"""From ids to domains: `robot[@view][+task][:shift[,shift...]]`, several of these between `~`, `gym:Id` or
`package.module:name`, each with `@history=n` behind it or not, and in the columns of another one with `@bridge(id)`
behind it."""

from __future__ import annotations

import importlib.util
import re
from typing import TYPE_CHECKING, Any

from transreward.domains import across, shifts, tasks
from transreward.domains.asked import Asked, lists
from transreward.domains.bridged import Bridged
from transreward.domains.checked import checked
from transreward.domains.domain import Domain, altered
from transreward.domains.files import place
from transreward.domains.history import with_history
from transreward.domains.robot import Robot
from transreward.domains.robots import ROBOTS, row
from transreward.domains.several import apart
from transreward.domains.users import in_one_line, look_beside_user, named
from transreward.types import ASKED, DATA, OWN_MODULE, RequestError, nearest

if TYPE_CHECKING:
    from transreward.domains.mujoco import MujocoDomain

# MuJoCo and Gymnasium are imported only when a domain needs them, so that listing names or refusing an id is fast.

_DOTTED = r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*"


def domain(id: str | Domain) -> Domain:
    """The domain that an id names: `robot[@view][+task][:shift[,shift...]]`, `gym:[module:]Id` or
    `package.module:factory[@view]`; behind each of these may stand `@history=n` (see `History`), and then `@bridge(id)`
    (see `Across`), or behind a family `@informed=p` (see `Informed`). `asked:ID` is a robot with the columns of ID that
    asks for its actions. A `Domain` object is accepted as well; what a user's returns is checked.

    A factory takes no arguments and returns a Domain, or a new Gymnasium environment at each call. The domain is named
    after the factory, so that its id makes it again.

    Raises:
        RequestError: the id is malformed or unknown (the message names the nearest), or the domain cannot be made.
    """
    if isinstance(id, Domain):
        return checked(id)
    if not isinstance(id, str) or not id or not id.isprintable():
        raise RequestError(f"malformed domain id {id!r}: write robot[:shift,...], such as hopper:gravity=0.5")
    if len(several := apart(id)) > 1:
        raise RequestError(
            f"'{id}' names {len(several)} domains: name one (several sources are of `transfer` and `check`, several "
            f"targets of the command line of `transfer`)"
        )
    if crossed := across.split(id):
        return across.Across(domain(crossed[0]), domain(crossed[2]), crossed[1])
    head, colon, tail = id.partition(":")
    if (found := _wider(id) or _listed(id)) is not None:
        return found
    if colon and not tail:
        raise RequestError(f"malformed domain id '{id}': nothing follows the colon")
    if id.startswith(ASKED) and tail:
        return Asked(tail, None if lists(tail) else domain(tail))
    if of_file := place.split(id):
        return _of_robot(row(of_file[0]), of_file[1], id)
    if id.startswith(DATA):
        raise RequestError(
            f"'{id}' is a log, which takes no step: it can be the target of `identify`, `check` and `transfer` alone"
        )
    if colon and head == "gym":
        from transreward.domains.gym import gym_domain

        return gym_domain(tail)
    robot, plus, _ = head.partition("+")
    robot, at, view = robot.partition("@")
    if robot not in ROBOTS:
        factory, at, view = tail.partition("@")
        if colon and not plus and re.fullmatch(_DOTTED, head) and re.fullmatch(_DOTTED, factory):
            return _viewed(_from_factory(head, factory), at, view)
        raise _unknown_robot(robot)
    return _viewed(_of_robot(_row(robot), id[len(robot + at + view) :], id), at, view)


def _wider(id: str) -> Domain | None:
    """A domain with further columns; None for an id that asks for none."""
    if sent := re.fullmatch(r"(.*)@history=([1-9]\d{0,8})", id):
        return with_history(domain(sent[1]), int(sent[2]))
    if told := re.fullmatch(r"(.*)@(un)?informed=(\d+(?:\.\d+)?)", id):
        from transreward.domains.informed import informed, uninformed

        of, number = domain(told[1]), float(told[3])
        return uninformed(of, int(number)) if told[2] else informed(of, number)
    return None


def _listed(id: str) -> MujocoDomain | None:
    """A family of robots that are each named in full, `robot[+task][:shifts]~robot[+task][:shifts]`; None for any other
    id."""
    parts = re.split(r"~(?![^()]*\))", id)
    if not any(map(_headed, parts[1:])) or (first := _headed(parts[0])) is None:
        return None
    found, wanted, changes = _row(first[0]), [], []
    for part in parts:
        name, rest = _headed(part) or ("", "")
        if not name:
            raise RequestError(f"'{part}' in the list '{id}' is no robot: write each in full, robot[+task][:shift,...]")
        if name != first[0]:
            raise RequestError(f"a list is of one robot, and '{id}' names {first[0]} and {name}: leave one of them out")
        if rest.startswith("@"):
            raise RequestError(f"a list of tasks is in its robot's own columns: leave '{rest}' out of '{part}'")
        some, text = _asked(found, rest, part)
        wanted.append(some)
        changes.append(shifts.parse(text) if text else [])
    from transreward.domains.trial import tried
    from transreward.domains.varied import Varied

    if all(some == wanted[0] for some in wanted):
        return tried(Varied(found, changes, wanted[0], by="episode"))
    return tried(Varied(found, changes, by="episode", listed=wanted))


def _headed(text: str) -> tuple[str, str] | None:
    """The robot at the beginning of an id and what follows it; None where there is none."""
    if text.partition(":")[0] in place.SCHEMES:
        return place.split(text)
    name = re.match(r"\w+(?=[+:@]|$)", text)
    return (name[0], text[name.end() :]) if name and name[0] in ROBOTS else None


def _asked(row: Robot, text: str, id: str) -> tuple[list[tasks.Task], str]:
    """The tasks of `[+task...][:shift,...]`, and the text of its shifts."""
    texts, rest = tasks.split(text)
    if rest and (rest[0] != ":" or rest == ":"):
        raise RequestError(f"malformed domain id '{id}': write robot[+task][:shift,...], not '{rest}' after the task")
    return [tasks.parse(text, row) for text in texts], rest[1:]


def _of_robot(row: Robot, text: str, id: str) -> MujocoDomain:
    """A robot with the tasks and shifts of `[+task...][:shift,...]`."""
    wanted, changes = _asked(row, text, id)
    from transreward.domains.trial import tried

    return tried(_shifted(row, changes, wanted))


def _shifted(row: Robot, text: str, wanted: list[tasks.Task]) -> MujocoDomain:
    """A robot with the shifts of `text`; with ranges a family; with several texts, between `|` or `~`, variants."""
    from transreward.domains.mujoco import MujocoDomain
    from transreward.domains.varied import BETWEEN, Varied, family

    for by, between in BETWEEN.items():
        texts = re.split(rf"{re.escape(between)}(?![^()]*\))", text)
        if len(texts) > 1:
            return Varied(row, [shifts.parse(part) if part else [] for part in texts], wanted, by=by)
    changes = shifts.parse(text) if text else []
    if any(isinstance(shift.value, shifts.Range) for shift in changes):
        return family(row, changes, wanted)
    return MujocoDomain(row, changes, wanted)


def _row(robot: str) -> Robot:
    """The row of `ROBOTS`, or that of a robot in a file. Raises RequestError if its `name` is not its key, as in a copy
    of another row."""
    found: Any = row(robot)
    if not isinstance(found, Robot) or found.name != robot:
        seen = f"the name '{found.name}'" if isinstance(found, Robot) else f"a {type(found).__name__}"
        raise RequestError(
            f"the row '{robot}' of ROBOTS must be a Robot of that name, not {seen}: give it name='{robot}'"
        )
    return found


def _viewed(found: Domain, at: str, view: str) -> Domain:
    """The domain, in the view that its id names if there is one."""
    if not at:
        return found
    from transreward.domains.mujoco import MujocoDomain

    if not isinstance(found, MujocoDomain):
        raise RequestError(f"'{found.name}' is not a plain robot of the table, so it has no views: leave @{view} out")
    return Bridged(found, view)


def _unknown_robot(name: str) -> RequestError:
    def plain(text: str) -> str:
        return re.sub(r"-v\d+$|[^a-z0-9]", "", text.lower())

    if file := place.meant(name):
        return RequestError(f"unknown robot '{name}': did you mean {file}?")
    same = [robot for robot in ROBOTS if plain(robot) == plain(name)]
    if re.fullmatch(r"(\w+/)*[\w.-]+-v\d+", name):
        also = f", or {same[0]}" if same else ""
        return RequestError(f"unknown robot '{name}': did you mean gym:{name}{also}?")
    if same:
        return RequestError(f"unknown robot '{name}': did you mean {same[0]}?")
    return nearest(name, ROBOTS, "robot", otherwise=OWN_MODULE)


def _from_factory(module: str, factory: str) -> Domain:
    id = f"{module}:{factory}"
    look_beside_user()
    try:
        found = importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        found = False
    if not found:
        if place.meant(module):  # `arm.xml:broken` looks like a module's name
            raise _unknown_robot(module)
        if "." not in module:
            raise RequestError(f"{_unknown_robot(module)}; nor is there a module {module} to import")
        raise RequestError(f"'{id}': there is no module {module} to import")
    try:
        made = named(module, factory, "factory")
        if isinstance(made, Domain):
            return domain(_named(made, id))
        first = made()
        if isinstance(first, Domain):
            return domain(_named(first, id))
        from transreward.domains.gym import GymDomain

        return GymDomain(id, made, first)
    except RequestError:
        raise
    except (Exception, SystemExit) as error:  # a module may raise anything
        raise RequestError(f"'{id}' failed: {in_one_line(error)}") from error


def _named(made: Domain, id: str) -> Domain:
    """The domain under the id that was asked for. `made` is copied, since others may use it under its own name."""
    if made.name == id:
        return made
    try:
        renamed = altered(made, name=id)
    except TypeError:  # such as one with slots
        renamed = made
    if renamed.name != id:
        raise RequestError(f"'{id}' makes a domain whose name stays '{made.name}': give it the name '{id}'")
    return renamed
