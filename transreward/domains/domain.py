"""What a domain is, and how an id becomes one: `robot[+task][:shift[,shift...]]`, `gym:Id`, `package.module:name`."""

from __future__ import annotations

import importlib
import importlib.util
import re
from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from transreward.domains import shifts, tasks
from transreward.domains.robots import ROBOTS, Robot
from transreward.domains.users import in_one_line, look_beside_user, no_such
from transreward.types import OWN_MODULE, BrokenRun, RequestError, Spaces, Transition, nearest


class Simulation(Protocol):
    """n robots of one domain, side by side. All arrays are float64 NumPy unless said."""

    terms: dict[str, np.ndarray]  # reward term -> [n], of the latest step; they add up to the reward

    @property
    def obs(self) -> np.ndarray:
        """What the next action answers to, [n, obs]: already reset where an episode just ended."""
        ...

    def step(self, action: np.ndarray) -> Transition:
        """Advance all robots by one control step of `action` [n, action], clipped to the box; reset those that ended.

        `next_obs` of the returned rows is the true successor, before any reset.
        """
        ...

    def get_state(self) -> dict[str, np.ndarray]:
        """Everything the continuation depends on (physics, episode clocks, random streams), as arrays."""
        ...

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """Continue from `state`, bit for bit."""
        ...


@runtime_checkable
class Domain(Protocol):
    """A robot with a task, ready to be simulated."""

    name: str  # the id that makes it again
    spaces: Spaces
    reward_terms: tuple[str, ...]  # none: nobody rewards its steps, whose reward is then 0
    episode_steps: int  # control steps after which an episode is truncated

    def simulate(self, n: int, seed: int | Sequence[int], threads: int = 0) -> Simulation:
        """n robots, freshly reset. Several seeds share the rows equally, row i of a seed having its own random stream,
        so that a seed's robots do not depend on the seeds beside them; 0 threads = all cores. The same bits at any
        number of threads."""
        ...


def invertible(domain: Domain) -> bool:
    """Whether the domain's simulation has `put` and `ended`: its observation shows its whole state."""
    return getattr(domain, "invertible", False)


class BrokenSimulation(BrokenRun):
    """A simulation became NaN, infinite or unstable, at control step `step` (from 0) or in a reset, in row `row`."""

    def __init__(self, domain: str, step: int | str, row: int, why: str):
        at = f"control step {step}" if isinstance(step, int) else step
        super().__init__(f"{domain}, {at}, row {row}: {why}")
        self.domain, self.step, self.row, self.why = domain, step, row, why

    def __reduce__(self):
        return type(self), (self.domain, self.step, self.row, self.why)


LARGEST = float(np.finfo(np.float32).max)
UNBOUNDED = 1e9  # a bound of an action from here on stands for none, whatever it is written as


def require_finite(domain: str, step: int | str, what: str, entry: str, x: np.ndarray) -> None:
    """Raise BrokenSimulation where a row of `x` [n] or [n, entries] is not finite in float32, which learning is in."""
    good = np.abs(x) <= LARGEST  # NaN is not
    if good.all():
        return
    row, *at = np.argwhere(~good)[0].tolist()
    value, entry = x[row, *at], f"{entry}[{at[0]}]" if at else entry
    finite = "finite in float32" if np.isfinite(value) else "finite"
    raise BrokenSimulation(domain, step, row, f"{what} is not {finite}: {entry} is {value:g}")


def require_action(domain: str, step: int, action: np.ndarray, shape: tuple[int, ...]) -> None:
    """Raise RequestError for actions of another shape than [n, action], BrokenSimulation for such as are not finite."""
    if action.shape != shape:
        raise RequestError(f"'{domain}' takes actions of shape {shape}, not {action.shape}")
    require_finite(domain, step, "an action", "action", action)


def require_box(domain: str, names: Sequence[str], low: np.ndarray, high: np.ndarray, cure: str) -> None:
    """Refuse bounds [action], float32, between which no policy can be scaled.

    Raises:
        RequestError: an entry has no bounds, or nothing between them; or there is no entry.
    """
    if not names:
        raise RequestError(f"'{domain}' takes no action: {cure}")
    for name, a, b in zip(names, low.tolist(), high.tolist(), strict=True):
        if not max(abs(a), abs(b)) < UNBOUNDED:
            raise RequestError(f"'{domain}' has an unbounded action box: {name} goes from {a:g} to {b:g}; {cure}")
        if not a < b:
            raise RequestError(
                f"'{domain}': its action {name} goes from {a:g} to {b:g}, which leaves no choice; {cure}"
            )


def row_seeds(n: int, seed: int | Sequence[int]) -> list[tuple[int, int]]:
    """(seed, row of that seed) of each row, seed by seed: what each row's random streams are made from."""
    seeds = [seed] if isinstance(seed, (int, np.integer)) else list(seed)
    if not seeds or n < 1 or n % len(seeds):
        raise ValueError(f"{n} rows do not divide among {len(seeds)} seeds")
    return [(int(s), i) for s in seeds for i in range(n // len(seeds))]


_LATER = {"mjcf": "MJCF files", "data": "offline data files", "minari": "Minari data sets"}
_DOTTED = r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*"


def domain(id: str | Domain) -> Domain:
    """The domain that an id names: `robot[@symmetry][+task][:shift[,shift...]]`, `gym:[module:]Id` or
    `package.module:factory[@symmetry]`. A Domain of a user's own is taken, too, and what it answers checked.

    A factory takes no arguments and returns a Domain, or a new Gymnasium environment at each call. Its domain goes by
    the factory's id, since that makes it again.

    Raises:
        RequestError: nothing is named so; the message says what comes nearest.
    """
    if isinstance(id, Domain):
        from transreward.domains.checked import checked

        return checked(id)
    if not isinstance(id, str) or not id or not id.isprintable():
        raise RequestError(f"malformed domain id {id!r}: write robot[:shift,...], such as hopper:gravity=0.5")
    head, colon, tail = id.partition(":")
    if colon and not tail:
        raise RequestError(f"malformed domain id '{id}': nothing follows the colon")
    if colon and head in _LATER:
        raise RequestError(f"'{id}': {_LATER[head]} are not supported yet")
    if colon and head == "gym":
        from transreward.domains.gym import gym_domain

        return gym_domain(tail)
    robot, plus, _ = head.partition("+")
    robot, at, seen = robot.partition("@")
    if robot not in ROBOTS:
        factory, at, seen = tail.partition("@")
        if colon and not plus and re.fullmatch(_DOTTED, head) and re.fullmatch(_DOTTED, factory):
            return _seen(_from_factory(head, factory), at, seen)
        raise _unknown_robot(robot)
    texts, rest = tasks.split(id[len(robot + at + seen) :])
    if rest and (rest[0] != ":" or rest == ":"):
        raise RequestError(f"malformed domain id '{id}': write robot[+task][:shift,...], not '{rest}' after the task")
    row = _row(robot)
    wanted = [tasks.parse(text, row) for text in texts]
    changes = shifts.parse(rest[1:]) if rest else []
    from transreward.domains.mujoco import MujocoDomain

    return _seen(MujocoDomain(row, changes, wanted), at, seen)


def _row(robot: str) -> Robot:
    """The row of the table. Raises RequestError for one that goes by another name, as a copy of another row does."""
    row: Any = ROBOTS[robot]
    if not isinstance(row, Robot) or row.name != robot:
        seen = f"the name '{row.name}'" if isinstance(row, Robot) else f"a {type(row).__name__}"
        raise RequestError(
            f"the row '{robot}' of ROBOTS must be a Robot of that name, not {seen}: give it name='{robot}'"
        )
    return row


def _seen(found: Domain, at: str, symmetry: str) -> Domain:
    """The domain, through a symmetry where its id has one."""
    if not at:
        return found
    from transreward.domains.mujoco import MujocoDomain
    from transreward.domains.symmetries import SeenDomain

    if not isinstance(found, MujocoDomain):
        raise RequestError(f"'{found.name}' is no robot of the table as it is, so it has no symmetry: leave @ away")
    return SeenDomain(found, symmetry)


def _unknown_robot(name: str) -> RequestError:
    def plain(text: str) -> str:
        return re.sub(r"-v\d+$|[^a-z0-9]", "", text.lower())

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
        if "." not in module:
            raise RequestError(f"{_unknown_robot(module)}; nor is there a module {module} to import")
        raise RequestError(f"'{id}': there is no module {module} to import")
    try:
        made: Any = importlib.import_module(module)
        for name in factory.split("."):
            if not hasattr(made, name):
                raise no_such(made, name, f"factory of {module}")
            made = getattr(made, name)
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


def altered(made: Any, **attributes: Any) -> Any:
    """A shallow copy of a domain with other attributes; copy.copy would make it anew by its id.

    Raises TypeError for one that has no `__dict__`.
    """
    other = object.__new__(type(made))
    vars(other).update({**vars(made), **attributes})
    return other


def _named(made: Domain, id: str) -> Domain:
    """The domain by the id that was asked for; `made` itself keeps its name, since it may serve others, too."""
    if made.name == id:
        return made
    try:
        named = altered(made, name=id)
    except TypeError:  # such as one with slots
        named = made
    if named.name != id:
        raise RequestError(f"'{id}' makes a domain whose name stays '{made.name}': give it the name '{id}'")
    return named
