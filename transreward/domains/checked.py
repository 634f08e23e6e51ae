"""A Domain that a user wrote: what its simulations return is copied and checked where it enters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from transreward.domains.domain import Domain, require_action, require_box, require_finite
from transreward.domains.names import Entry, action_names
from transreward.domains.users import in_one_line, numbers, truths, unpacked, whole
from transreward.types import BrokenRun, RequestError, Spaces, Transition


def checked(domain: Domain) -> Domain:
    """The domain, as a `CheckedDomain` where it is not the package's own."""
    own = type(domain).__module__.startswith("transreward.")
    return domain if own else CheckedDomain(domain)  # type: ignore[return-value]


class CheckedDomain:
    """A user's domain; whatever is not simulated is the plain one's.

    Raises:
        RequestError: sizes, bounds, terms or the length of an episode that are none.
    """

    def __init__(self, plain: Domain) -> None:
        self.plain = plain
        name, spaces = plain.name, plain.spaces
        if not isinstance(name, str) or not name.isprintable() or not name:
            raise RequestError(
                f"a {type(plain).__name__} must have the id that makes it again as its name, not {name!r}"
            )
        if not isinstance(spaces, Spaces):
            raise RequestError(
                f"'{name}': spaces must be Spaces(obs, action, low, high), not a {type(spaces).__name__}"
            )
        counts = {"spaces.obs": spaces.obs, "spaces.action": spaces.action, "episode_steps": plain.episode_steps}
        for what, count in counts.items():
            whole(f"'{name}': {what}", count)
        for what, count in (("entries", spaces.obs), ("action_entries", spaces.action)):
            known = getattr(plain, what, ()) or (None,) * count
            if len(known) != count or not all(isinstance(x, Entry) or x is None for x in known):
                raise RequestError(f"'{name}': {what} must be {count} of names.Entry, one a column, not {known!r}")
        if not all(isinstance(term, str) for term in plain.reward_terms) or isinstance(plain.reward_terms, str):
            raise RequestError(f"'{name}': reward_terms must be a tuple of names, not {plain.reward_terms!r}")
        try:
            low, high = (numbers(f"spaces.{x}", getattr(spaces, x), (spaces.action,)) for x in ("low", "high"))
        except RequestError as error:
            raise RequestError(f"'{name}': {error}") from None
        low, high = (bound.astype(np.float32) for bound in (low, high))
        require_box(name, action_names(plain), low, high, "give its spaces other bounds")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "plain":  # while it is unpickled there is none
            raise AttributeError(name)
        return getattr(self.plain, name)

    def __repr__(self) -> str:
        return f"domain({self.plain.name!r})"

    def simulate(self, n: int, seed: int | Sequence[int] = 0, threads: int = 0) -> CheckedSimulation:
        """n robots, freshly reset; see `Domain`."""
        return CheckedSimulation(self.plain, n, seed, threads)


class CheckedSimulation:
    """n robots of a `CheckedDomain`; see `Simulation`.

    Raises:
        RequestError: what is returned is not as `Simulation` says, until a first step was right.
        BrokenRun: the same later, and at any time what is not finite in float32.
    """

    def __init__(self, domain: Domain, n: int, seed: int | Sequence[int], threads: int) -> None:
        self.domain, self._n, self._taken = domain, n, 0
        try:
            self.plain = domain.simulate(n, seed, threads)
            obs = self.obs
        except (Exception, SystemExit) as error:
            raise self._wrong("simulate(n, seed, threads)", error) from error
        require_finite(domain.name, "reset", "an observation", "obs", obs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "plain":
            raise AttributeError(name)
        return getattr(self.plain, name)

    @property
    def obs(self) -> np.ndarray:
        """[n, obs]: what the next action answers to."""
        return numbers("simulation.obs", self.plain.obs, (self._n, self.domain.spaces.obs))

    @property
    def terms(self) -> dict[str, np.ndarray]:
        """Reward term -> [n], of the latest step."""
        found, names = self.plain.terms, self.domain.reward_terms
        if set(found) != set(names):
            raise RequestError(f"simulation.terms must have {', '.join(names) or 'no terms'}, not {', '.join(found)}")
        return {name: numbers(f"the term '{name}'", found[name], (self._n,)) for name in names}

    @property
    def storing(self) -> bool:
        """Whether each step fills `stored`."""
        return self.plain.storing  # type: ignore[attr-defined]

    @storing.setter
    def storing(self, on: bool) -> None:
        self.plain.storing = on  # type: ignore[attr-defined]

    def step(self, action: np.ndarray) -> Transition:
        """One control step of all rows; see `Simulation`."""
        obs, action, name = self.obs, np.asarray(action), self.domain.name
        require_action(name, self._taken, action, (self._n, self.domain.spaces.action))
        try:
            found = Transition(*unpacked("step(action)", self.plain.step(action.copy()), Transition._fields))
            numbers("obs of step(action)", found.obs, obs.shape)
            next_obs = numbers("next_obs of step(action)", found.next_obs, obs.shape)
            reward = numbers("reward of step(action)", found.reward, (self._n,))
            terminated = truths("terminated of step(action)", found.terminated, (self._n,))
            truncated = truths("truncated of step(action)", found.truncated, (self._n,))
            after, terms = self.obs, self.terms
        except (Exception, SystemExit) as error:
            raise self._wrong("step(action)", error) from error
        require_finite(name, self._taken, "an observation", "next_obs", next_obs)
        require_finite(name, self._taken, "a reward", "the reward", reward)
        for term, paid in terms.items():
            require_finite(name, self._taken, "a reward", f"the term '{term}'", paid)
        if terms and not np.allclose(sum(terms.values()), reward, rtol=1e-4, atol=1e-6):
            raise self._wrong(
                "step(action)", RequestError("simulation.terms must add up to the reward of step(action)")
            )
        require_finite(name, f"reset after control step {self._taken}", "an observation", "obs", after)
        self._taken += 1
        return Transition(obs, action, reward, next_obs, terminated, truncated)

    def _wrong(self, method: str, error: BaseException) -> Exception:
        if isinstance(error, BrokenRun):
            return error
        why = str(error) if isinstance(error, RequestError) else f"{method} failed: {in_one_line(error)}"
        if self._taken:
            return BrokenRun(f"{self.domain.name}, control step {self._taken}: {why}")
        return RequestError(f"'{self.domain.name}': {why}")
