"""What a domain is, and what simulations share: how wrong actions, bounds and numbers are refused, and rows seeded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from transreward.types import BrokenRun, RequestError, Spaces, Transition


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


def altered(made: Any, **attributes: Any) -> Any:
    """A shallow copy of a domain with other attributes; copy.copy would make it anew by its id.

    Raises TypeError for one that has no `__dict__`.
    """
    other = object.__new__(type(made))
    vars(other).update({**vars(made), **attributes})
    return other
