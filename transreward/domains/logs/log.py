"""The record of a log, and whether it is of a domain's robot."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from transreward.domains.domain import Domain, beyond, control_rate
from transreward.domains.logs.clock import differ, rate_of
from transreward.domains.logs.columns import listed, require_finite
from transreward.domains.logs.named import Names
from transreward.domains.names import action_entries, entry_names
from transreward.domains.robots import ROBOTS
from transreward.domains.users import numbers, truths
from transreward.types import ASKED, RequestError, Transition


@dataclass(frozen=True, eq=False, repr=False)
class Log:
    """Steps that a robot took, in the order of the recording; copies that cannot be written.

    An episode ends with a step that terminated or was truncated. Within one, each step begins where the one before it
    ended, but for rounding.

    Raises:
        RequestError: an array has another shape or no steps, is not finite in float32, or a flag is neither 0 nor 1.
    """

    obs: np.ndarray  # float64 [n, obs]
    action: np.ndarray  # float64 [n, action], as commanded
    reward: np.ndarray  # float64 [n], raw; 0 where none was recorded
    next_obs: np.ndarray  # float64 [n, obs]
    terminated: np.ndarray  # bool [n]
    truncated: np.ndarray  # bool [n]; also the last step of a recording that broke off
    source: str  # where it came from
    dropped: int = 0  # steps left out, because they have no successor
    rewarded: bool = True  # whether rewards were recorded
    rate: float | None = None  # control steps a second (Hz), by what was said or else by `time`; None: not known
    time: np.ndarray | None = None  # float64 [n], s, of each observation, from anywhere; None: not recorded
    missing: np.ndarray | None = None  # float64 [n], s in which steps are missing behind each step, 0 where none are
    names: Names | None = None  # what the file calls its columns; None: it does not say
    dropped_ends: int = 0  # of the steps left out, in which the task ended: these ends are not in the log
    spare: int = 0  # of a log that was made slower: steps left out besides, because they fill no step of it
    episode: np.ndarray = field(init=False)  # int64 [n], the number of each step's episode, from 0

    def __post_init__(self) -> None:
        shape = np.shape(self.obs)
        if len(shape) != 2 or not len(self.obs):
            raise RequestError(f"obs must be [n, obs], of at least one step, not of shape {shape}")
        n, width = shape[0], np.shape(self.action)[-1] if np.ndim(self.action) == 2 else 1
        shapes = {"obs": shape, "action": (n, width), "reward": (n,), "next_obs": shape}
        for name in ("obs", "action", "reward", "next_obs", "terminated", "truncated"):
            value = getattr(self, name)
            found = numbers(name, value, shapes[name]) if name in shapes else truths(name, value, (n,))
            require_finite(name, found)
            self._keep(name, found)
        for name in ("time", "missing"):
            if (value := getattr(self, name)) is not None:
                self._keep(name, numbers(name, value, (n,)))
        self._keep("episode", np.concatenate([[0], np.cumsum(self.terminated | self.truncated)[:-1]]).astype(np.int64))
        if self.rate is None and self.time is not None:
            object.__setattr__(self, "rate", rate_of(self.time, self.episode))

    def _keep(self, name: str, x: np.ndarray) -> None:
        x.setflags(write=False)
        object.__setattr__(self, name, x)

    def __len__(self) -> int:
        return len(self.obs)

    def __repr__(self) -> str:
        steps = f"{len(self):,} steps in {self.episode[-1] + 1:,} episodes"
        return f"Log({self.source!r}: {steps}, {self.obs.shape[1]} observations, {self.action.shape[1]} actions)"

    @property
    def begins(self) -> np.ndarray:
        """The first step of each episode, [episodes]."""
        return np.flatnonzero(np.diff(self.episode, prepend=-1))

    @property
    def frames(self) -> np.ndarray:
        """The number of each step in its episode, from 0, [n]."""
        return np.arange(len(self)) - self.begins[self.episode]

    @property
    def transition(self) -> Transition:
        """All steps, [n]."""
        return Transition(self.obs, self.action, self.reward, self.next_obs, self.terminated, self.truncated)


def require_fit(log: Log, domain: Domain) -> None:
    """Refuse a log that cannot be of a domain's robot.

    Raises:
        RequestError: other numbers of observations or actions, actions outside the box, or another control rate.
    """
    name = domain.name.removeprefix(ASKED)  # robot.yaml, of a robot that asks
    found, spaces = (log.obs.shape[1], log.action.shape[1]), domain.spaces
    if found != (spaces.obs, spaces.action):
        raise RequestError(
            f"log {log.source} has {found[0]} observations and {found[1]} actions a step, and '{name}' has "
            f"{spaces.obs} ({listed(entry_names(domain))}) and {spaces.action}: bring the log into these columns; "
            f"robots that fit it: {', '.join(fitting(*found)) or 'none of the table'}"
        )
    outside = beyond(log.action, spaces)
    if outside.any():
        worst = int(outside.sum(0).argmax())
        entry, x = action_entries(domain)[worst], log.action[:, worst]
        raise RequestError(
            f"log {log.source}: its action '{entry.name}' goes from {x.min():g} to {x.max():g}, and '{name}' "
            f"takes {entry.low:g} to {entry.high:g} ({outside.any(1).sum():,} of {len(log):,} steps are outside): "
            "scale the log's actions to these bounds, or clip them where the robot did"
        )
    require_rate(log, f"'{name}'", control_rate(domain))


def require_rate(log: Log, other: str, rate: float | None) -> None:
    """Refuse a log of another control rate (Hz) than that of `other`, a robot or a log, where both are known.

    Raises:
        RequestError: what one of them does in a step takes the other several, or a part of one.
    """
    if log.rate is None or rate is None or not differ(log.rate, rate):
        return
    many = round(log.rate / rate)
    if many > 1 and not differ(log.rate, many * rate):
        cure = f"write it with one step for each {many}, by transreward data with `rate={rate:g}`"
    elif log.rate < rate:
        cure = (
            f"a log that is slower than the robot's steps cannot be used: log it at {rate:g} Hz; if its time is not in "
            f"seconds, say so in a file beside it, such as time: {{column: stamp, factor: 0.001}}"
        )
    else:
        cure = f"{log.rate / rate:.3g} steps of the log would be one: log at {rate:g} Hz, or at a multiple of it"
    raise RequestError(f"log {log.source} has {log.rate:g} steps a second, and {other} has {rate:g}: {cure}")


def fitting(obs: int, action: int) -> list[str]:
    """The robots of the table with so many entries of an observation and an action."""
    from transreward.domains.mujoco import MujocoDomain  # which needs MuJoCo, as few requests do

    found = {name: MujocoDomain(row).spaces for name, row in ROBOTS.items()}
    return [name for name, spaces in found.items() if (spaces.obs, spaces.action) == (obs, action)]
