"""The steps of a log, in the order in which the target took them."""

from __future__ import annotations

import numpy as np

from transreward.domains.logs.recorded import recorded
from transreward.streams.stream import Round, Taker
from transreward.types import BrokenRun, Steps, Transition


class Data(Taker):
    """What was recorded, the same for every seed; whatever the policy would do, nobody acts. Where candidates compete,
    none of them acted in an episode of the log."""

    def take(self, round: Round) -> Steps | None:
        """The next steps of the log."""
        found = recorded(self.domain)
        assert found is not None and self.stream.robots == 1
        if not round.steps:
            return None
        first, last = self.steps, self.steps + round.steps
        if last > len(found.log):
            raise BrokenRun(f"'{found.name}' has {len(found.log):,} steps, fewer than when the run began")
        self.pay(round.steps)
        self.steps = last
        shape = len(self.seeds), round.steps, 1
        columns = (x[first:last, None].astype(np.float32) for x in found.log.transition)
        told = Transition(*(np.broadcast_to(x, (shape[0], *x.shape)) for x in columns))
        return Steps(told, np.empty((*shape, 0), np.float32), np.full(shape, self.stream.place, np.int32))
