"""All steps of a log, there from the start."""

from __future__ import annotations

import numpy as np

from transreward import replay as rp
from transreward.domains.logs.recorded import recorded
from transreward.replay import Replay
from transreward.streams.stream import Opening, Round, Taker
from transreward.types import Steps, Transition


class Whole(Taker):
    """What was recorded, the same for every seed, to be learned from as a whole. It is paid for in the first round."""

    grows = False

    def buffer(self, opening: Opening) -> Replay:
        """The first steps of the log, as many as the stream has room for."""
        found, seeds = recorded(self.domain), len(self.seeds)
        assert found is not None
        n = self.stream.room
        columns = (x[:n, None].astype(np.float32) for x in found.log.transition)
        told = Transition(*(np.broadcast_to(x, (seeds, *x.shape)) for x in columns))
        where = np.full((seeds, n, 1), self.stream.place, np.int32)
        return rp.of(Steps(told, np.empty((seeds, n, 1, 0), np.float32), where), self.domain.spaces)

    def take(self, round: Round) -> Steps | None:
        """None: there are no others."""
        if not self.steps:
            self.pay(self.stream.room)
            self.steps = self.stream.room
        return None
