"""What a source agent is trained in besides the source itself."""

from __future__ import annotations

from dataclasses import dataclass

from transreward.types import RequestError


@dataclass(frozen=True)
class Randomise:
    """Domain randomisation: the source agent is trained in a family of robots around the source."""

    # shifts with ranges, as in an id; each episode draws its robot's. A range takes the source's own factor along
    ranges: str = "gravity=0.7..1.4,friction=0.7..1.4,mass=0.7..1.4,gear=0.7..1.4,damping=0.7..1.4"

    informed = False  # whether the agent is told which robot of the family an episode has

    def __post_init__(self) -> None:
        if ".." not in self.ranges:
            raise RequestError(f"randomise.ranges must have a range, such as gravity=0.7..1.4, not '{self.ranges}'")


@dataclass(frozen=True)
class Informed(Randomise):
    """The same, and the agent is told which robot of the family an episode has, but for a share of the episodes. Where
    the source is a family, that is it."""

    drop: float = 0.2  # share of the episodes in which it is not told, so that it acts well before anything is known
    scale: bool = True  # of a family of tasks: while it is trained, each task's rewards are divided by their spread
    infer: bool = False  # of a family of tasks: the target's first rewards tell its task, even where its id would

    informed = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.drop < 1:
            raise RequestError(
                f"randomise.drop must be in (0, 1), not {self.drop}: never told, the policy is that of 'randomised', "
                f"and always told, it could not take the first steps"
            )
