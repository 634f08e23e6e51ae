"""Domains that users write: everything that their simulations return is checked and copied on entry."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from transreward.domains.domain import (
    ActionsDescribed,
    Described,
    Domain,
    Drawn,
    Entry,
    Modelled,
    Repayable,
    Traced,
    Tried,
    control_rate,
    invertible,
    require_action,
    require_box,
    require_finite,
    stored_terms,
    stream_kind,
    without,
)
from transreward.domains.names import action_entries, action_names, entries, entry_names
from transreward.domains.relayed import Dressed, Relayed
from transreward.domains.users import in_one_line, numbers, truths, unpacked, whole
from transreward.types import BrokenRun, RequestError, Spaces, Transition


def checked(domain: Domain) -> Domain:
    """The domain itself if it is the package's own, otherwise wrapped in a `CheckedDomain`."""
    own = type(domain).__module__.startswith("transreward.")
    return domain if own else CheckedDomain(domain)  # type: ignore[return-value]


class CheckedDomain(Dressed):
    """A user's domain with every optional ability declared; those that it lacks have their defaults.

    Raises:
        RequestError: its name, sizes, bounds, entries, reward terms or `episode_steps` are not valid.
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
        steps = plain.episode_steps
        counts = {"spaces.obs": spaces.obs, "spaces.action": spaces.action, "episode_steps": steps}
        for what, number in counts.items():
            whole(f"'{name}': {what}", number)
        said = {
            "entries": (plain.entries if isinstance(plain, Described) else (), spaces.obs),
            "action_entries": (plain.action_entries if isinstance(plain, ActionsDescribed) else (), spaces.action),
        }
        for what, (known, count) in said.items():
            if known and (len(known) != count or not all(isinstance(x, Entry) for x in known)):
                raise RequestError(f"'{name}': {what} must be {count} of names.Entry, one a column, not {known!r}")
        if not all(isinstance(term, str) for term in plain.reward_terms) or isinstance(plain.reward_terms, str):
            raise RequestError(f"'{name}': reward_terms must be a tuple of names, not {plain.reward_terms!r}")
        try:
            low, high = (numbers(f"spaces.{x}", getattr(spaces, x), (spaces.action,)) for x in ("low", "high"))
        except RequestError as error:
            raise RequestError(f"'{name}': {error}") from None
        low, high = (bound.astype(np.float32) for bound in (low, high))
        require_box(name, action_names(plain), low, high, "give its spaces other bounds")
        self.name, self.spaces, self.reward_terms, self.episode_steps = name, spaces, plain.reward_terms, steps
        for one in self.success:
            for term in (x for x in one.terms if x not in self.reward_terms):
                raise RequestError(f"'{name}': {one.name} is read from '{term}', which is no term of its reward")
            if one.column and one.column not in entry_names(plain):
                raise RequestError(f"'{name}': {one.name} is read from '{one.column}', which is no column of it")
        self.entries, self.action_entries = entries(plain), action_entries(plain)
        self.control_rate, self.invertible = control_rate(plain), invertible(plain)
        self.stored_terms, self.stream = stored_terms(plain), stream_kind(plain)
        self.traits, self.changing = (plain.traits, plain.changing) if isinstance(plain, Traced) else ({}, [])
        self.model_names = plain.model_names if isinstance(plain, Modelled) else {}

    def pay(self, obs: np.ndarray, action: np.ndarray, next_obs: np.ndarray, stored: np.ndarray) -> np.ndarray:
        """See `Repayable`, for domains with `stored_terms`."""
        assert isinstance(self.plain, Repayable)
        paid = self.plain.pay(obs, action, next_obs, stored)
        return numbers(f"what pay() of '{self.name}' returns", paid, (len(obs),))

    def drawn(self) -> CheckedDomain:
        """See `Drawn`."""
        if not isinstance(self.plain, Drawn):
            raise RequestError(f"no video: nothing draws '{self.name}'")
        return CheckedDomain(self.plain.drawn())

    def untried(self) -> CheckedDomain:
        """See `Tried`."""
        return CheckedDomain(self.plain.untried()) if isinstance(self.plain, Tried) else self

    def simulate(self, n: int, seed: int | Sequence[int] = 0, threads: int = 0) -> CheckedSimulation:
        """n robots, freshly reset; see `Domain`."""
        return CheckedSimulation(self.plain, n, seed, threads)


class CheckedSimulation(Relayed):
    """n robots of a `CheckedDomain`; see `Simulation`.

    Raises:
        RequestError: before the first valid step, what the user's code returns breaks the contract of `Simulation`.
        BrokenRun: the same after that step, and a number that is not finite in float32 at any time.
    """

    def __init__(self, domain: Domain, n: int, seed: int | Sequence[int], threads: int) -> None:
        self.domain, self._n, self._taken = domain, n, 0
        self.sparing, self.diverged = False, {}  # see `SparingSimulation`
        try:
            self.plain = domain.simulate(n, seed, threads)
            obs = self.obs
        except (Exception, SystemExit) as error:
            raise self._wrong("simulate(n, seed, threads)", error) from error
        require_finite(domain.name, "reset", "an observation", "obs", obs)

    @property
    def obs(self) -> np.ndarray:
        """[n, obs], from which the next action is chosen."""
        return numbers("simulation.obs", self.plain.obs, (self._n, self.domain.spaces.obs))

    @property
    def terms(self) -> dict[str, np.ndarray]:
        """Reward term -> [n], of the latest step."""
        found, names = self.plain.terms, self.domain.reward_terms
        if set(found) != set(names):
            raise RequestError(f"simulation.terms must have {', '.join(names) or 'no terms'}, not {', '.join(found)}")
        terms = {name: numbers(f"the term '{name}'", found[name], (self._n,)) for name in names}
        for paid in terms.values():
            paid[list(self.diverged)] = 0
        return terms

    @property
    def stored(self) -> np.ndarray:
        """See `RepayableSimulation`."""
        found = numbers("simulation.stored", self.plain.stored, (self._n, len(stored_terms(self.domain))))
        found[list(self.diverged)] = 0
        return found

    def put(self, obs: np.ndarray) -> np.ndarray:
        """See `RebuildableSimulation`."""
        return truths("put(obs)", self.plain.put(obs), (self._n,))

    def ended(self, obs: np.ndarray) -> np.ndarray:
        """See `RebuildableSimulation`."""
        return truths("ended(obs)", self.plain.ended(obs), (self._n,))

    def step(self, action: np.ndarray) -> Transition:
        """One control step of all rows; see `Simulation`."""
        obs, action, name = self.obs, np.asarray(action), self.domain.name
        require_action(name, self._taken, action, (self._n, self.domain.spaces.action))
        self.diverged = {}
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
        spared = self.diverged if self.sparing else None
        require_finite(name, self._taken, "an observation", "next_obs", next_obs, spared)
        require_finite(name, self._taken, "a reward", "the reward", reward, spared)
        for term, paid in terms.items():
            require_finite(name, self._taken, "a reward", f"the term '{term}'", paid, spared)
        told = np.delete(np.array([sum(terms.values()), reward]) if terms else np.zeros((2, 0)), list(self.diverged), 1)
        if not np.allclose(*told, rtol=1e-4, atol=1e-6):
            raise self._wrong(
                "step(action)", RequestError("simulation.terms must add up to the reward of step(action)")
            )
        require_finite(name, f"reset after control step {self._taken}", "an observation", "obs", after)
        self._taken += 1
        return without(Transition(obs, action, reward, next_obs, terminated, truncated), self.diverged)

    def _wrong(self, method: str, error: BaseException) -> Exception:
        if isinstance(error, BrokenRun):
            return error
        why = str(error) if isinstance(error, RequestError) else f"{method} failed: {in_one_line(error)}"
        if self._taken:
            return BrokenRun(f"{self.domain.name}, control step {self._taken}: {why}")
        return RequestError(f"'{self.domain.name}': {why}")
