"""A teacher's demonstrations: source steps of the stage before."""

from __future__ import annotations

from transreward import replay as rp
from transreward.replay import Replay
from transreward.streams.stream import Opening, Taker


class Lesson(Taker):
    """The newest share of the source steps that a method's teacher took."""

    grows = False

    def buffer(self, opening: Opening) -> Replay:
        """The demonstrations, without the source agent's older steps in the same replay."""
        assert opening.takers is not None
        stored = opening.buffers["source"]
        own = opening.takers["source"].steps // self.stream.robots  # older ones are the source agent's
        return rp.newest(stored, min(own / int(stored.size), 1.0) * self.stream.newest)
