"""What domains and simulations pass on that change only what is seen, commanded or paid of another one's robots."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np

from transreward.domains.domain import BrokenSimulation, Domain, Kept, Success, successes


class Dressed:
    """A domain whose robots are those of `plain`: they are kept and closed with it."""

    plain: Domain
    name: str

    def __repr__(self) -> str:
        return f"domain({self.name!r})"

    @contextmanager
    def kept(self) -> Iterator[None]:
        """See `Kept`."""
        with self.plain.kept() if isinstance(self.plain, Kept) else nullcontext():
            yield

    @property
    def success(self) -> tuple[Success, ...]:
        """See `Judged`."""
        return successes(self.plain)

    def close(self) -> None:
        """See `Kept`."""
        if isinstance(self.plain, Kept):
            self.plain.close()


class Relayed:
    """A simulation whose robots `plain` simulates: an ability that it does not define is that one's."""

    plain: Any

    @property
    def storing(self) -> bool:
        """See `RepayableSimulation`."""
        return self.plain.storing

    @storing.setter
    def storing(self, on: bool) -> None:
        self.plain.storing = on

    @property
    def variant(self) -> np.ndarray:
        """[n] int: which of a family's robots each row is at present. Only for robots of the table."""
        return self.plain.variant

    def pictures(self) -> list[np.ndarray]:
        """A picture of each row, uint8 [height, width, 3]. Only for domains returned by `drawn`."""
        return self.plain.pictures()

    def get_state(self) -> dict[str, np.ndarray]:
        return self.plain.get_state()

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        self.plain.set_state(state)


class Sparing(Relayed):
    """A `SparingSimulation` whose `plain` is one, too."""

    @property
    def sparing(self) -> bool:
        """See `SparingSimulation`."""
        return self.plain.sparing

    @sparing.setter
    def sparing(self, on: bool) -> None:
        self.plain.sparing = on

    @property
    def diverged(self) -> dict[int, BrokenSimulation]:
        """See `SparingSimulation`."""
        return self.plain.diverged
