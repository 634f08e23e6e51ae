"""A robot that asks: its steps come as it takes them, and nobody here takes any."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np

from transreward.domains.asked import Asked as Domain
from transreward.domains.asked import asked, require_answered
from transreward.replay import Replay
from transreward.streams.choice import Choice
from transreward.streams.journal import Book, Row
from transreward.streams.stream import Opening, Round, Stream, Taker
from transreward.types import Steps, Transition

LEARNER = "learner"  # who acts where there are no candidates


class Desk(Protocol):
    """Who answers the robots."""

    def publish(self, round: Round, stream: Stream, choice: Choice | None) -> None:
        """From now on robots are answered by these policies."""
        ...

    def await_steps(self, settled: int) -> Book:
        """Wait until of each robot so many steps are settled and on the disk."""
        ...


class Asked(Taker):
    """Reads what the robots took, in rounds of as many steps as the loop would have taken. Steps that were lost are
    paid for; the learner sees none of them."""

    def __init__(self, stream: Stream, domain: Domain, seeds: list[int], pay: Any, desk: Desk) -> None:
        super().__init__(stream, domain, seeds, pay)  # type: ignore[arg-type]
        self.desk, self._read = desk, [0] * stream.robots  # rows of each robot

    @classmethod
    def open(cls, stream: Stream, opening: Opening) -> Asked:
        """See `Taker.open`. Raises RequestError where no session answers the robots."""
        robot = asked(opening.domains[stream.place])
        assert robot is not None and len(opening.seeds) == 1
        require_answered(robot)
        return cls(stream, robot, opening.seeds, opening.payer(stream.account), robot.desk)

    def buffer(self, opening: Opening) -> Replay | None:
        """With the steps of the stage before."""
        if self.stream.room and "target" in opening.buffers:
            return opening.buffers["target"]
        return super().buffer(opening)

    def take(self, round: Round) -> Steps | None:
        """The next steps of every robot; it waits for them."""
        if not round.steps:
            return None
        robots = self.stream.robots
        self.desk.publish(round, self.stream, self.choice)
        self.pay(round.steps * robots)
        book = self.desk.await_steps(self.steps // robots + round.steps)
        self.steps += round.steps * robots
        n = min(len(rows) - read for rows, read in zip(book.rows, self._read, strict=True))
        taken = [rows[read : read + n] for rows, read in zip(book.rows, self._read, strict=True)]
        for at_once in zip(*taken, strict=True):
            for robot, row in enumerate(at_once):
                self._count(robot, row)
        self._read = [read + n for read in self._read]
        return self._steps(taken) if n else None

    def _count(self, robot: int, row: Row) -> None:
        own = True
        if self.choice is not None:
            self.choice.now = row.taken
            if row.began:
                self.choice.begin(0, robot, row.who)
            if row.ended:
                own = self.choice.ended(0, robot, row.total)
        if row.ended and own:
            self.returns[0].append(row.total)

    def _steps(self, taken: list[list[Row]]) -> Steps:
        """[1, n, robots, ...]"""
        at_once = list(zip(*taken, strict=True))
        columns = (np.array([[[getattr(row, x) for row in rows] for rows in at_once]]) for x in Transition._fields)
        shape = (1, len(at_once), len(taken))
        terms, place = np.empty((*shape, 0), np.float32), np.full(shape, self.stream.place, np.int32)
        return Steps(Transition(*(x.astype(np.float32) for x in columns)), terms, place)

    def open_log(self, path: Path) -> None:
        """There is the journal."""

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """See `Taker.state`."""
        arrays, numbers = super().state()
        told = {} if self.choice is None else {"choice": self.choice.state()}
        return arrays, numbers | {"read": list(self._read)} | told

    def restore(self, arrays: dict[str, np.ndarray], numbers: dict[str, Any]) -> None:
        """See `Taker.restore`: the journal has the steps behind it."""
        super().restore(arrays, numbers)
        self._read = list(numbers["read"])
        if self.choice is not None:
            self.choice.restore(numbers["choice"])
