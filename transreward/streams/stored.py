"""The stored steps of the source agent's training, instead of new ones."""

from __future__ import annotations

from functools import partial

from transreward import replay as rp
from transreward.replay import Replay
from transreward.streams.stream import Opening, Taker
from transreward.streams.walk import relabel


class Stored(Taker):
    """Stored source steps: all or the newest share of them, with their own rewards or the target's."""

    grows = False

    def buffer(self, opening: Opening) -> Replay:
        """All steps of the stream, which never grow."""
        stored, whole = opening.stored, self.stream.newest == 1 and self.stream.rewards == "own"
        assert stored is not None
        stored = stored if whole else rp.newest(stored, self.stream.newest)
        return stored if self.stream.rewards == "own" else rp.changed(stored, partial(relabel, opening.domains.target))
