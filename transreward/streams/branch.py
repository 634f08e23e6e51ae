"""Short rollouts in the source from states that the target visited, corrected by the gap (branched rollouts)."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import numpy as np

from transreward.domains.domain import Domain
from transreward.draws import stream as draw
from transreward.streams.counterpart import Counterpart
from transreward.streams.stream import Opening, Round, Stream, Taker
from transreward.streams.twin import Twin
from transreward.types import Array, Steps, Transition


class Branch(Taker):
    """Branched rollouts: `stream.per_step` source steps for each target step, taken whenever they suffice for one
    rollout of every robot."""

    turn = 2
    sees = False

    def __init__(self, stream: Stream, domain: Domain, seeds: list[int], twin: Twin) -> None:
        super().__init__(stream, domain, seeds)  # the twin pays for the steps
        self.twin = twin
        self.unspent = 0  # source steps that are due for target steps, but not taken yet

    @classmethod
    def open(cls, stream: Stream, opening: Opening) -> Branch:
        """Uses the twin of the stage's counterpart."""
        counterpart = opening.opened["counterpart"]
        assert isinstance(counterpart, Counterpart)
        return cls(stream, opening.domains[stream.place], opening.seeds, counterpart.twin)

    def take(self, round: Round) -> Steps | None:
        """One rollout of each robot, or None while too few steps are due; these carry over to the next round."""
        shape, target = (self.stream.length, self.stream.robots), round.fresh.get("target")
        if target is None:
            return None
        self.unspent += self.stream.per_step * target.domain[0].size
        if shape[0] * shape[1] > self.unspent:
            return None
        self.unspent -= shape[0] * shape[1]
        noise = round.noise(draw(round.keys, "noise branch"), *shape)
        drawn = draw(round.keys, "branch corrections")

        def act(obs: Array, i: int) -> Array:
            return round.act(round.agents, obs, noise[:, i])

        def correct(steps: Transition, i: int) -> Transition:
            return round.correct(steps, jax.vmap(partial(jax.random.fold_in, data=i))(drawn))

        starts = round.visited("target", draw(round.keys, "branch starts"), shape)
        return self.twin.branch(starts, act, correct)

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """See `Taker.state`; the twin is part of the counterpart's state."""
        arrays, numbers = super().state()
        return arrays, numbers | {"unspent": self.unspent}

    def restore(self, arrays: dict[str, np.ndarray], numbers: dict[str, Any]) -> None:
        super().restore(arrays, numbers)
        self.unspent = numbers["unspent"]
