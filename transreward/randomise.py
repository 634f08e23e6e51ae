"""What a source agent is trained in besides the source itself."""

from __future__ import annotations

from dataclasses import dataclass

from transreward.types import RequestError


@dataclass(frozen=True)
class Randomise:
    """Domain randomisation: the source agent is trained in a family of robots around the source."""

    # shifts with ranges, as in an id; each episode draws its robot's. A range takes the source's own factor along
    ranges: str = "gravity=0.7..1.4,friction=0.7..1.4,mass=0.7..1.4,gear=0.7..1.4,damping=0.7..1.4"

    def __post_init__(self) -> None:
        if ".." not in self.ranges:
            raise RequestError(f"randomise.ranges must have a range, such as gravity=0.7..1.4, not '{self.ranges}'")
