"""What a domain is, and what simulations share: how wrong actions, bounds and numbers are refused, and rows seeded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from transreward.types import BrokenRun, Entry, RequestError, Spaces, Transition


class Simulation(Protocol):
    """n robots of one domain, side by side. All arrays are float64 NumPy unless said."""

    terms: dict[str, np.ndarray]  # reward term -> [n], of the latest step; they add up to the reward

    @property
    def obs(self) -> np.ndarray:
        """[n, obs], from which the next action is chosen: of a new episode if the last one just ended."""
        ...

    def step(self, action: np.ndarray) -> Transition:
        """Advance all robots by one control step of `action` [n, action], clipped to the box; reset those that ended.

        `next_obs` of the returned rows is the true successor, before any reset.
        """
        ...

    def get_state(self) -> dict[str, np.ndarray]:
        """Everything that later steps depend on (physics, episode clocks, random streams), as arrays."""
        ...

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """Continue from `state`, bit for bit."""
        ...


@runtime_checkable
class Domain(Protocol):
    """A robot with a task, ready to be simulated."""

    name: str  # an id that names this domain again
    spaces: Spaces
    reward_terms: tuple[str, ...]  # empty: there is no reward, and every step has 0
    episode_steps: int  # control steps after which an episode is truncated

    def simulate(self, n: int, seed: int | Sequence[int], threads: int = 0) -> Simulation:
        """n robots, freshly reset. Several seeds share the rows equally. Row i of a seed has its own random stream, so
        a seed's robots do not depend on the other seeds. `threads` 0 = all cores; the bits are the same for any
        number."""
        ...


# -- optional abilities, each asked for by the function below it or in the one place that uses it --------------------


@runtime_checkable
class Described(Domain, Protocol):
    """Has a name, unit and range for each column of an observation [spaces.obs]; read by `names.entries`."""

    @property
    def entries(self) -> tuple[Entry, ...]: ...


@runtime_checkable
class ActionsDescribed(Domain, Protocol):
    """Has a name, unit and range for each column of an action [spaces.action]; read by `names.action_entries`."""

    @property
    def action_entries(self) -> tuple[Entry, ...]: ...


@runtime_checkable
class Timed(Domain, Protocol):
    """Knows its control rate in Hz; None = not known."""

    @property
    def control_rate(self) -> float | None: ...


def control_rate(domain: Domain) -> float | None:
    """Control steps per second (Hz), or None if not known."""
    return domain.control_rate if isinstance(domain, Timed) else None


@runtime_checkable
class Streamed(Domain, Protocol):
    """Its steps come from another kind of stream than simulated robots: recorded data, or a robot that asks for
    actions."""

    @property
    def stream(self) -> str: ...  # a name in the table of streams


def stream_kind(domain: Domain) -> str:
    """The kind of stream that a domain's steps come from: a key of the table of streams."""
    return domain.stream if isinstance(domain, Streamed) else "walk"


class RebuildableSimulation(Simulation, Protocol):
    """A simulation whose rows can be put into the states that observations show."""

    def put(self, obs: np.ndarray) -> np.ndarray:
        """Put every row into the state that `obs` [n, obs] shows. Returns [n] bool: whether that state is exact."""
        ...

    def ended(self, obs: np.ndarray) -> np.ndarray:
        """Whether the task is over in the states that `obs` [n, obs] show, [n] bool. The rows are left there."""
        ...


@runtime_checkable
class Rebuildable(Domain, Protocol):
    """If `invertible` is true, its simulations are `RebuildableSimulation`s."""

    @property
    def invertible(self) -> bool: ...


def invertible(domain: Domain) -> bool:
    """True if an observation shows the whole state, and simulations can be put into it."""
    return isinstance(domain, Rebuildable) and domain.invertible


class SparingSimulation(Simulation, Protocol):
    """A simulation that can go on when one of its robots diverges: all of the package's, and a user's in `checked`."""

    sparing: bool  # True: a diverged robot begins a new episode. False: `step` raises
    diverged: dict[int, BrokenSimulation]  # of the latest step: row -> why


class RepayableSimulation(Simulation, Protocol):
    """A simulation that stores with each step what another task needs to compute its reward."""

    storing: bool  # whether each step fills `stored`

    @property
    def stored(self) -> np.ndarray:
        """Of the latest step, [n, stored_terms]."""
        ...


@runtime_checkable
class Repayable(Domain, Protocol):
    """Can compute its task's reward for steps taken in another task; its simulations are `RepayableSimulation`s."""

    @property
    def stored_terms(self) -> tuple[str, ...]: ...  # names of the columns of `stored`; empty = none

    def pay(self, obs: np.ndarray, action: np.ndarray, next_obs: np.ndarray, stored: np.ndarray) -> np.ndarray:
        """Its task's reward [n] for steps with `obs` [n, obs], the commanded `action` [n, action] and `stored` [n,
        stored_terms]."""
        ...


PLUS = " + "  # between terms


class Success(NamedTuple):
    """One number that says whether a task is done, beside its return: read per episode from a term of the reward, or
    from what is observed."""

    name: str  # such as reached
    unit: str  # "" for a share of episodes
    term: str  # whose values it is read from, or the sum of several, `a + b`; "" = whether the episode was terminated
    read: Callable[[np.ndarray, np.ndarray], np.ndarray]  # (mean of an episode, last) -> value of it, each [episodes]
    column: str = ""  # of an observation, from which it is read in the place of a term

    @property
    def label(self) -> str:
        """Its name in records: one with a unit in brackets is a number, and one without is a share of episodes."""
        return f"{self.name} ({self.unit})" if self.unit else self.name

    @property
    def terms(self) -> tuple[str, ...]:
        """The terms whose sum it is read from."""
        return tuple(self.term.split(PLUS)) if self.term else ()


@runtime_checkable
class Judged(Domain, Protocol):
    """Knows when its task is done."""

    @property
    def success(self) -> tuple[Success, ...]: ...


def successes(domain: Domain) -> tuple[Success, ...]:
    """What says, beside the return, whether a domain's task is done; empty if it does not say."""
    return domain.success if isinstance(domain, Judged) else ()


@runtime_checkable
class Listed(Domain, Protocol):
    """A family whose robots may have tasks of their own; its simulations say in `variant` which each row is."""

    @property
    def ids(self) -> tuple[str, ...]: ...  # of each robot; empty = they have one task


def listed(domain: Domain) -> tuple[str, ...]:
    """The ids of a family's robots where these have tasks of their own; else none."""
    return domain.ids if isinstance(domain, Listed) else ()


def stored_terms(domain: Domain) -> tuple[str, ...]:
    """Names of the reward terms stored beside each transition; empty if the domain cannot pay for others' steps."""
    return domain.stored_terms if isinstance(domain, Repayable) else ()


class TableSimulation(RebuildableSimulation, RepayableSimulation, Protocol):
    """Simulation of a robot of the table: physics states can be read and set."""

    @property
    def qpos(self) -> np.ndarray: ...  # [n, nq]

    @property
    def qvel(self) -> np.ndarray: ...  # [n, nv]

    def set_physics(self, qpos: np.ndarray, qvel: np.ndarray) -> None:
        """Put every row into a physics state, [n, nq] and [n, nv]; clocks, delayed actions and memory start anew."""
        ...

    def recall(self, sent: np.ndarray) -> None:
        """Take `sent` [n, number, action] for each row's latest commanded actions, the newest first: a delay brings
        them."""
        ...


@runtime_checkable
class TableRobot(Rebuildable, Repayable, Protocol):
    """A robot of the table with its tasks and shifts, which are known by name."""

    @property
    def robot(self) -> Any: ...  # robot.Robot: its row, with the tasks' rewards

    @property
    def tasks(self) -> tuple[Any, ...]: ...  # of tasks.Task

    @property
    def shifts(self) -> tuple[Any, ...]: ...  # of shifts.Shift

    @property
    def model(self) -> Any: ...  # mujoco.MjModel, with the shifts

    @property
    def physics(self) -> Any: ...  # shifts.Physics: the model, what acts on actions and what on observations

    @property
    def redrawn(self) -> bool: ...  # whether each episode has other physics: `model` is one of many

    def simulate(self, n: int, seed: int | Sequence[int], threads: int = 0) -> TableSimulation: ...

    def shown_with(self, sent: int) -> bool:
        """True if an observation and the last `sent` commanded actions show the whole state."""
        ...

    def paid_as(self, other: TableRobot) -> TableRobot:
        """This robot and its shifts, with the tasks of another domain that has the same observations."""
        ...


def table_robot(domain: Domain) -> TableRobot | None:
    """The domain if it is a robot of the table, else None."""
    return domain if isinstance(domain, TableRobot) else None


@runtime_checkable
class Restorable(Domain, Protocol):
    """Is made of other domains: `get_state` and `set_state` of its simulations are exact if `restorable` is true."""

    @property
    def restorable(self) -> bool: ...


def restorable(domain: Domain) -> bool:
    """True if a simulation can be put back into a state, bit for bit."""
    return table_robot(domain) is not None or (isinstance(domain, Restorable) and domain.restorable)


@runtime_checkable
class Drawn(Domain, Protocol):
    """Can render itself, for domains that are not rendered from a MuJoCo model."""

    def drawn(self) -> Domain:
        """The same domain with simulations that have `pictures()`: uint8 [height, width, 3] for each row.

        Raises RequestError, `no video: ...`, if it cannot render.
        """
        ...


@runtime_checkable
class Kept(Domain, Protocol):
    """Its robots exist once, as real robots do: simulations share them, and they are closed at the end."""

    def kept(self) -> AbstractContextManager[None]:
        """A context in which each simulation uses the robots of the previous one."""
        ...

    def close(self) -> None:
        """Release the robots."""
        ...


@runtime_checkable
class Tried(Domain, Protocol):
    """Takes a few steps on its own to test whether a seed reproduces an episode."""

    def untried(self) -> Domain:
        """The same domain without that test, for when every step must be granted first."""
        ...


@runtime_checkable
class Traced(Domain, Protocol):
    """Knows what distinguishes its environment from another with the same spaces."""

    @property
    def traits(self) -> dict[str, Any]: ...  # as JSON

    @property
    def changing(self) -> list[str]: ...  # names of the wrappers that change observations, actions or rewards


@runtime_checkable
class Modelled(Domain, Protocol):
    """Its columns are numbered, but its model has named parts; read by `difference.require_fit`."""

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


class Unstable(BrokenSimulation):
    """The physics of a row became unstable in MuJoCo; no function of the robot is at fault."""


LARGEST = float(np.finfo(np.float32).max)
UNBOUNDED = 1e9  # an action bound of at least this size counts as none
BEYOND = 1e-5  # of half the box: what rounding to float32 may add to an action


def in_range(x: np.ndarray) -> bool:
    """True if all of `x` is finite in float32, the precision of the learners."""
    return bool((np.abs(x) <= LARGEST).all())  # NaN is not


def require_finite(
    domain: str,
    step: int | str,
    what: str,
    entry: str,
    x: np.ndarray,
    diverged: dict[int, BrokenSimulation] | None = None,
) -> None:
    """Raise BrokenSimulation if a row of `x` [n] or [n, entries] is not finite in float32, the precision of the
    learners. If `diverged` is given, add the row and its error there instead."""
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
    """The steps with those of the `diverged` rows made neutral: next_obs = obs, reward 0, truncated. So the policy
    learns neither that diverging pays nor that it costs."""
    rows = list(diverged)
    if not rows:
        return t
    found = Transition(*(np.array(x) for x in t))
    found.next_obs[rows] = found.obs[rows]
    found.reward[rows], found.terminated[rows], found.truncated[rows] = 0, False, True
    return found


def require_action(domain: str, step: int, action: np.ndarray, shape: tuple[int, ...]) -> None:
    """Raise RequestError if the shape of the actions is not `shape`, BrokenSimulation if one is not finite."""
    if action.shape != shape:
        raise RequestError(f"'{domain}' takes actions of shape {shape}, not {action.shape}")
    require_finite(domain, step, "an action", "action", action)


def require_box(domain: str, names: Sequence[str], low: np.ndarray, high: np.ndarray, cure: str) -> None:
    """Refuse action bounds, float32 [action], to which a policy cannot be scaled.

    Raises:
        RequestError: an action is unbounded, or its bounds are equal or reversed; or there is no action at all.
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


def rounding(spaces: Spaces) -> np.ndarray:
    """By how much an action may differ from the same one after rounding to float32, float64 [action]."""
    return BEYOND * (spaces.high.astype(float) - spaces.low) / 2


def beyond(action: np.ndarray, spaces: Spaces) -> np.ndarray:
    """Which entries of actions [..., action] are outside the bounds by more than rounding, bool of the same shape."""
    low, high = spaces.low.astype(float), spaces.high.astype(float)
    return np.maximum(low - action, action - high) > rounding(spaces)


def row_seeds(n: int, seed: int | Sequence[int]) -> list[tuple[int, int]]:
    """(seed, number within that seed) of each of n rows, which seed the row's random streams.

    Raises ValueError if n does not divide by the number of seeds.
    """
    seeds = [seed] if isinstance(seed, (int, np.integer)) else list(seed)
    if not seeds or n < 1 or n % len(seeds):
        raise ValueError(f"{n} rows do not divide among {len(seeds)} seeds")
    return [(int(s), i) for s in seeds for i in range(n // len(seeds))]


def altered(made: Any, **attributes: Any) -> Any:
    """A shallow copy of a domain with some attributes replaced. (`copy.copy` would make it anew from its id.)

    Raises TypeError if the domain has no `__dict__`.
    """
    other = object.__new__(type(made))
    vars(other).update({**vars(made), **attributes})
    return other
