"""What a domain is, and what simulations share: how wrong actions, bounds and numbers are refused, and rows seeded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, runtime_checkable

import numpy as np

from transreward.types import BrokenRun, Entry, RequestError, Spaces, Transition


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


# -- what a domain may do beside that, asked for by the function below it or in the one place that uses it ----------


@runtime_checkable
class Described(Domain, Protocol):
    """It says what each column of an observation is, `spaces.obs` of them; `names.entries` asks."""

    @property
    def entries(self) -> tuple[Entry, ...]: ...


@runtime_checkable
class ActionsDescribed(Domain, Protocol):
    """The same of actions, `spaces.action` of them; `names.action_entries` asks."""

    @property
    def action_entries(self) -> tuple[Entry, ...]: ...


@runtime_checkable
class Timed(Domain, Protocol):
    """It knows its control steps a second, Hz; None = it does not."""

    @property
    def control_rate(self) -> float | None: ...


def control_rate(domain: Domain) -> float | None:
    """Control steps a second, Hz; None where the domain does not know."""
    return domain.control_rate if isinstance(domain, Timed) else None


@runtime_checkable
class Streamed(Domain, Protocol):
    """Its steps do not come from robots that walk in a simulation, but by another kind of stream: recorded ones, or a
    robot that asks what to do."""

    @property
    def stream(self) -> str: ...  # a name in the table of streams


def stream_kind(domain: Domain) -> str:
    """By which kind of stream a domain's own steps come."""
    return domain.stream if isinstance(domain, Streamed) else "walk"


class RebuildableSimulation(Simulation, Protocol):
    """One whose rows can be put into the states that observations show."""

    def put(self, obs: np.ndarray) -> np.ndarray:
        """Put every row into the state that `obs` [n, obs] shows, at rest otherwise; which rows show it, [n] bool."""
        ...

    def ended(self, obs: np.ndarray) -> np.ndarray:
        """Whether the task is over in the states that `obs` [n, obs] show, [n] bool. The rows are left there."""
        ...


@runtime_checkable
class Rebuildable(Domain, Protocol):
    """Where `invertible` is true, its simulations are `RebuildableSimulation`."""

    @property
    def invertible(self) -> bool: ...


def invertible(domain: Domain) -> bool:
    """Whether an observation shows the domain's whole state, and its simulations can be put there."""
    return isinstance(domain, Rebuildable) and domain.invertible


class SparingSimulation(Simulation, Protocol):
    """One in which a robot that diverges need not end the others: every one of the package, and a user's as `checked`
    hands it out."""

    sparing: bool  # whether such a robot begins a new episode; if not, `step` raises
    diverged: dict[int, BrokenSimulation]  # of the latest step: row -> why


class RepayableSimulation(Simulation, Protocol):
    """One that tells, of each step, what another task has to know to pay for it."""

    storing: bool  # whether each step fills `stored`

    @property
    def stored(self) -> np.ndarray:
        """Of the latest step, [n, stored_terms]."""
        ...


@runtime_checkable
class Repayable(Domain, Protocol):
    """Its task can pay for steps that were taken with another; its simulations are `RepayableSimulation`."""

    @property
    def stored_terms(self) -> tuple[str, ...]: ...  # what they tell, by name; empty = nothing

    def pay(self, obs: np.ndarray, action: np.ndarray, next_obs: np.ndarray, stored: np.ndarray) -> np.ndarray:
        """What its task pays for steps [n] of which `stored` [n, stored_terms] was told, [n]. `action` as commanded."""
        ...


def stored_terms(domain: Domain) -> tuple[str, ...]:
    """What a stored step of the domain tells beside the transition, by name; empty where its reward is its own."""
    return domain.stored_terms if isinstance(domain, Repayable) else ()


class TableSimulation(RebuildableSimulation, RepayableSimulation, Protocol):
    """Robots of the table: their physics can be read and set."""

    @property
    def qpos(self) -> np.ndarray: ...  # [n, nq]

    @property
    def qvel(self) -> np.ndarray: ...  # [n, nv]

    def set_physics(self, qpos: np.ndarray, qvel: np.ndarray) -> None:
        """Put every row into a physics state, at rest otherwise."""
        ...


@runtime_checkable
class TableRobot(Rebuildable, Repayable, Protocol):
    """A robot of the table with tasks and shifts: what can be changed about it, and how, is known."""

    @property
    def robot(self) -> Any: ...  # robot.Robot, its row, paid as the tasks say

    @property
    def tasks(self) -> tuple[Any, ...]: ...  # of tasks.Task

    @property
    def shifts(self) -> tuple[Any, ...]: ...  # of shifts.Shift

    @property
    def model(self) -> Any: ...  # mujoco.MjModel, with the shifts

    @property
    def noise(self) -> np.ndarray: ...  # of each action, standard deviation [action]

    @property
    def delay(self) -> int: ...  # control steps after which an action acts

    def simulate(self, n: int, seed: int | Sequence[int], threads: int = 0) -> TableSimulation: ...

    def paid_as(self, other: TableRobot) -> TableRobot:
        """This robot in its physics, with the tasks of another that observes the same."""
        ...


def table_robot(domain: Domain) -> TableRobot | None:
    """The domain, where it is a robot of the table."""
    return domain if isinstance(domain, TableRobot) else None


@runtime_checkable
class Drawn(Domain, Protocol):
    """It can draw itself, where MuJoCo does not draw its model."""

    def drawn(self) -> Domain:
        """The same, whose simulations have `pictures()`, a uint8 [height, width, 3] for each row.

        Raises RequestError, `no video: ...`, where it cannot.
        """
        ...


@runtime_checkable
class Kept(Domain, Protocol):
    """Its robots are things that are there once, such as real ones: they are used again, and let go of at the end."""

    def kept(self) -> AbstractContextManager[None]:
        """Within it each simulation takes up the robots of the one before."""
        ...

    def close(self) -> None:
        """Let go of the robots."""
        ...


@runtime_checkable
class Tried(Domain, Protocol):
    """It takes some steps by itself, to see whether a seed gives one episode."""

    def untried(self) -> Domain:
        """The same without them, for those who count each step beforehand."""
        ...


@runtime_checkable
class Traced(Domain, Protocol):
    """It knows what tells its environment from another's of the same spaces."""

    @property
    def traits(self) -> dict[str, Any]: ...  # as JSON

    @property
    def changing(self) -> list[str]: ...  # the wrappers that give observations, actions or rewards other numbers


@runtime_checkable
class Modelled(Domain, Protocol):
    """Its columns are numbered, and behind them is a model that has names; `difference.require_fit` asks."""

    @property
    def model_names(self) -> dict[str, tuple[str, ...]]: ...  # "joint" and "actuator" -> their names


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


def in_range(x: np.ndarray) -> bool:
    """Whether all of `x` is finite in float32, which learning is in."""
    return bool((np.abs(x) <= LARGEST).all())  # NaN is not


def require_finite(
    domain: str,
    step: int | str,
    what: str,
    entry: str,
    x: np.ndarray,
    diverged: dict[int, BrokenSimulation] | None = None,
) -> None:
    """Raise BrokenSimulation where a row of `x` [n] or [n, entries] is not finite in float32, which learning is in; or
    write it into `diverged`, where the robots are spared."""
    if in_range(x):
        return
    good = np.abs(x) <= LARGEST
    for row, *at in np.argwhere(~good).tolist():
        value, name = x[row, *at], f"{entry}[{at[0]}]" if at else entry
        finite = "finite in float32" if np.isfinite(value) else "finite"
        error = BrokenSimulation(domain, step, row, f"{what} is not {finite}: {name} is {value:g}")
        if diverged is None:
            raise error
        diverged.setdefault(row, error)


def without(t: Transition, diverged: Iterable[int]) -> Transition:
    """The steps, where these rows diverged as steps that led nowhere and after which the clock ended: the observation
    stays, nothing is paid. So nobody learns that to diverge pays, or costs."""
    rows = list(diverged)
    if not rows:
        return t
    found = Transition(*(np.array(x) for x in t))
    found.next_obs[rows] = found.obs[rows]
    found.reward[rows], found.terminated[rows], found.truncated[rows] = 0, False, True
    return found


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


def altered(made: Any, **attributes: Any) -> Any:
    """A shallow copy of a domain with other attributes; copy.copy would make it anew by its id.

    Raises TypeError for one that has no `__dict__`.
    """
    other = object.__new__(type(made))
    vars(other).update({**vars(made), **attributes})
    return other
