"""The target's fresh steps repeated in the source, from the same states with the same actions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from transreward import replay as rp
from transreward.domains.domain import Domain, invertible
from transreward.draws import stream as draw
from transreward.replay import Replay
from transreward.streams.stream import Opening, Round, Stream, Taker
from transreward.streams.twin import Model, Twin, learn_model
from transreward.types import Steps


class Counterpart(Taker):
    """The source put into the target's observed states. Its steps are paid from the source's account."""

    turn = 1
    sees = False

    def __init__(
        self, stream: Stream, domain: Domain, seeds: list[int], threads: int, model: Model | None,
        pay: Callable[[int], None],
    ) -> None:  # fmt: skip
        super().__init__(stream, domain, seeds, pay)
        self.twin = Twin(domain, seeds, threads, model, pay)
        self.model = model.one if model else None

    @classmethod
    def open(cls, stream: Stream, opening: Opening) -> Counterpart:
        """Uses the source's simulator if it can be put into a state, else a model learned from the source agent's
        stored steps."""
        source, model = opening.twin or opening.domains[stream.place], None
        if not invertible(source):
            assert opening.stored is not None
            model = learn_model(opening.stored, draw(opening.keys, "model of the source"), source.spaces)
        return cls(stream, source, opening.seeds, opening.threads, model, opening.payer(stream.account))

    def buffer(self, opening: Opening) -> Replay | None:
        """Row i belongs to the target's row i, so target steps of a stage before are repeated first."""
        buffer, before = super().buffer(opening), opening.buffers.get("target")
        if buffer is None or before is None or not int(before.size):
            return buffer
        return rp.add(buffer, self.twin.replay(rp.in_order(before)))

    def take(self, round: Round) -> Steps | None:
        """One source step for each target step of the round."""
        target = round.fresh.get("target")
        return None if target is None else self.twin.replay(target)

    def said(self) -> dict[str, Any]:
        """Whether the simulator or a model answers."""
        return {"twin": self.twin.kind}

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """See `Taker.state`; includes the twin's."""
        return self.twin.state(), super().state()[1]

    def restore(self, arrays: dict[str, np.ndarray], numbers: dict[str, Any]) -> None:
        super().restore(arrays, numbers)
        self.twin.restore(arrays)
