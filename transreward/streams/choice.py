"""Who acts: a candidate for each target episode of each seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from transreward.draws import word
from transreward.fallback import Belief, Episode, beliefs, drawn, expected, of_source
from transreward.types import Array

# (agents, obs [seeds, robots, obs], noise [seeds, robots, action] or None: the mode) -> [seeds, robots, action]
Act = Callable[[Any, Array, Array | None], Array]


class Choice:
    """Whole episodes go to one of the candidates `acting`, of which the last is the policy that learns, if any does."""

    def __init__(self, acting: Sequence[str], seeds: Sequence[int], robots: int) -> None:
        self.acting = tuple(acting)
        self.episodes: list[list[Episode]] = [[] for _ in seeds]  # of each seed, as they ended
        self.simulated: dict[str, list[list[float]]] = {}  # candidate -> returns [seeds, episodes] in a simulator
        self.explained: list[float] = []  # by that simulator, of what differs, for each seed
        self.reach: float | None = None  # what the source policy returns in the source
        self.learning: str | None = None  # the candidate that is, whose old episodes fade
        self.in_turn = False  # whether all act equally often, in order, before anything decides between them
        self.began: list[str] = []  # of several sources, whose policy each seed learned on from
        self.now = 0  # target steps of each seed
        self._who = np.full((len(seeds), robots), "", object)  # whose episode it is; "": of several, or nobody's yet
        self._random = [np.random.default_rng([seed, word("who acts")]) for seed in seeds]

    def belief(self, seed: int, names: Sequence[str]) -> Belief:
        """What is known of the candidates `names`, the source policy first, of the seed at that place."""
        prior = None
        if all(name in self.simulated for name in names):
            tried = np.array([self.simulated[name][seed] for name in names])
            prior = expected(tried, self.explained[seed], self.reach)
        return beliefs(self.episodes[seed], names, self.learning, prior, self.now, self.reach)

    def among(self, act: Act, candidates: Mapping[str, Any], clock: Callable[[], np.ndarray]) -> Act:
        """A policy that acts for whoever was chosen. `candidates` are the agents of all but the one that learns, and
        act without noise. `clock()` [seeds, robots] are steps since the episodes began; at 0 there is a new choice."""
        chosen = np.full(self._who.shape, "", object)

        def either(agents: Any, obs: Array, noise: Array | None) -> Array:
            began = clock() == 0
            for seed, robot in np.argwhere(began | ~np.isin(chosen, self.acting)):
                mine = self._who[seed, robot]
                going = mine in self.acting and not began[seed, robot]
                self._who[seed, robot] = mine if going else ""
                chosen[seed, robot] = mine if going else self.next(seed)
                self._who[seed, robot] = chosen[seed, robot] if going or began[seed, robot] else ""
            self.now += self._who.shape[1]
            action: Any = None
            for name in dict.fromkeys(chosen.flat):
                one = act(candidates[name], obs, None) if name in candidates else act(agents, obs, noise)
                action = one if action is None else np.where((chosen == name)[..., None], one, action)
            return action

        return either

    def next(self, seed: int) -> str:
        """Who acts in the next episode of a seed."""
        if len(self.acting) == 1:
            return self.acting[0]
        if self.in_turn:
            acted = Counter([*(e.who for e in self.episodes[seed]), *map(str, self._who[seed])])
            return min(self.acting, key=acted.__getitem__)  # of equals the first
        return self.acting[drawn(self.belief(seed, self.acting), self._random[seed])]

    def begin(self, seed: int, robot: int, who: str) -> None:
        """Record whose episode begins, where others than this one chose; "": nobody's."""
        self._who[seed, robot] = who

    def ended(self, seed: int, robot: int, total: float) -> bool:
        """Record the return of an episode that is over. False unless all of it was of the policy that learns."""
        who = str(self._who[seed, robot])
        if who:
            self.episodes[seed].append(Episode(who, total, self.now))
        return who == self.acting[-1] and not of_source(who)

    def state(self) -> dict[str, Any]:
        """All that its next choices depend on, as JSON stores it."""
        return {
            "who": self._who.tolist(),
            "episodes": [[list(e) for e in of_seed] for of_seed in self.episodes],
            "simulated": self.simulated,
            "explained": self.explained,
            "began": self.began,
            "now": self.now,
            "random": [random.bit_generator.state for random in self._random],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from a `state`."""
        self._who[:] = state["who"]
        self.episodes = [[Episode(*e) for e in of_seed] for of_seed in state["episodes"]]
        self.began = list(state.get("began", ()))
        self.simulated, self.explained, self.now = dict(state["simulated"]), state["explained"], state["now"]
        for random, known in zip(self._random, state["random"], strict=True):
            random.bit_generator.state = known
