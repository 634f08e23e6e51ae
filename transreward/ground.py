"""How a method grounds its simulator: it is trained on in what is identified from its first target steps."""

from __future__ import annotations

from dataclasses import dataclass

from transreward.types import RequestError

SURE = 0.9  # share of what differs that the identified simulator explains, from which it is taken for the target
LEAST = 60  # steps: below these nothing can be held out


@dataclass(frozen=True)
class Ground:
    """The source policy takes the first target steps; the simulator whose physics they show is the source from then."""

    steps: int = 500  # target steps per seed from which the physics is identified
    least: float = 0.2  # share of what differs that has to be explained on held-out steps; else the source stays
    rounds: int = 1  # of identifying from all target steps so far and training; the newest policy takes the next ones
    walk: float = 0.0  # share of the updates that are made in that simulator alone, before more target steps are taken
    known: tuple[str, ...] = ()  # run directories to other targets of the source: what they found is tried first
    physics: bool = True  # false, as a control: the same stages, and the source stays whatever the steps show

    def __post_init__(self) -> None:
        if self.steps < LEAST:
            raise RequestError(f"ground.steps must be at least {LEAST}, 500 are usual, not {self.steps}")
        if self.rounds < 1:
            raise RequestError(f"ground.rounds must be at least 1, not {self.rounds}")
        if not 0 <= self.least <= 1:
            raise RequestError(f"ground.least must be in [0, 1], not {self.least}")
        if not 0 <= self.walk < 1:
            raise RequestError(f"ground.walk must be at least 0 and below 1, not {self.walk}")
