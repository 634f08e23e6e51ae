"""What a shift is, a row of the table of shifts, and a robot's physics with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from transreward.domains.shifts.rules import Rule

UNNAMED = " (geom "  # in the name that a geom without one is given for a pair of contacts; then its number
ADDED = "reach_tip", "reach_goal"  # bodies that a task adds to a robot from a file: no shift is of them
Spec = Any  # mujoco.MjSpec; its elements have no useful types
Elements = list[Any]


@dataclass(frozen=True)
class Range:
    """All values from `low` to `high`, of which an episode has one: `low..high`. `log`: they are spread evenly in the
    logarithm. Whole numbers if both ends are."""

    low: float | int
    high: float | int
    log: bool = False

    def at(self, share: np.ndarray) -> list[float | int]:
        """The values at `share` [n], in [0, 1), of the way."""
        if isinstance(self.low, int) and isinstance(self.high, int):
            return [self.low + int(x * (self.high - self.low + 1)) for x in share.tolist()]
        if self.log:
            return (self.low * (self.high / self.low) ** share).tolist()
        return (self.low + (self.high - self.low) * share).tolist()

    def __str__(self) -> str:
        return f"{_number(self.low)}..{_number(self.high)}"


@dataclass(frozen=True)
class Shift:
    """One change, `name=value` or `name(pattern)=value`; its text is canonical and parses to itself. A range of values
    makes a family."""

    name: str
    value: float | int | str | Range | Rule
    pattern: str | None = None

    def __str__(self) -> str:
        value = _number(self.value) if isinstance(self.value, (float, int)) else self.value
        return f"{self.name}={value}" if self.pattern is None else f"{self.name}({self.pattern})={value}"


def _number(value: float | int) -> str:
    return repr(value).removesuffix(".0")


@dataclass(frozen=True)
class Kind:
    """One row of the table of shifts.

    A kind with `edit` changes the model, and so does one that is `planned`, as the robot's row says. Any other is a
    field of `Physics` of the same name, which acts on actions or on what is seen.
    """

    name: str
    doc: str
    element: str = ""  # what its pattern matches: joint, body, geom, actuator, entry (of an observation), or nothing
    edit: Callable[[Spec, Elements, Any], None] | None = None  # (spec, chosen elements, value), before it is compiled
    low: float = 0.0  # smallest value
    above: bool = False  # the smallest value itself is not allowed
    high: float = 1000.0
    value: str = "factor"  # or a unit; number, steps: a whole number; pattern: an element's name; file: see `read`
    words: tuple[str, ...] = ()  # what others call it
    read: Callable[[str], Any] | None = None  # from the name of a file to the value
    neutral: float | None = 1.0  # the value that changes nothing; None for patterns and files
    default: Callable[[Spec], Elements] | None = None  # what is chosen without a pattern; None = all
    other: str = ""  # what a pattern matches that matches none of its elements: site
    combine: Callable[[Any, Any], Any] = np.add  # without `edit`: what two of it come to
    shown: str = ""  # without `edit`: what it is called among what changed
    sided: bool = False  # whether a mirrored robot would be shifted in another way, with or without a pattern
    planned: bool = False  # whether `Robot.plans` says how it is made
    random: bool = False  # whether it is drawn anew at every step
    sets: bool = False  # whether its value takes the place of the robot's own; others scale it or are added
    first: bool = False  # whether it changes which parts there are, and so comes before all others

    @property
    def counts(self) -> bool:
        """Whether its values are whole numbers."""
        return self.value in ("steps", "number")

    @property
    def weighs(self) -> bool:
        """Whether it may change masses: those of bodies do, and those that say which there are."""
        return self.element == "body" or self.first

    @property
    def late(self) -> bool:
        """Whether something arrives later."""
        return self.value == "steps"

    @property
    def hides(self) -> bool:
        """Whether state and action do not tell the next state with it: chance does too, or what acted before."""
        return self.random or self.late or self.read is not None

    @property
    def of_model(self) -> bool:
        """Whether it changes the model; if not, what acts or what is seen."""
        return self.edit is not None or self.planned

    @property
    def elements(self) -> str:
        """What its pattern matches, of several."""
        known = [name for name in (self.element, self.other) if name]
        return ", ".join(f"{name[:-1]}ies" if name.endswith("y") else f"{name}s" for name in known)

    @property
    def part(self) -> str:
        """What its pattern matches, in words."""
        return f"{self.element} or {self.other}" if self.other else self.element

    @property
    def usage(self) -> str:
        """How it is written, for people."""
        if self.value == "pattern":
            return f"{self.name}=<{self.element}>"
        whole, part = f"{self.name}=<{self.value}>", f"{self.name}(<{self.part}>)=<{self.value}>"
        return f"{whole} or {part}" if self.element else whole

    @property
    def range(self) -> str:
        """Valid values, for people."""
        if self.value == "pattern":
            return f"a name or a pattern such as hip_* of {self.elements}"
        if self.read is not None:
            return "the name of a file"
        number = "a whole number" if self.counts else "a number"
        return f"{number} {'above' if self.above else 'from'} {self.low:g} to {self.high:g}"

    @property
    def meaning(self) -> str:
        """What the number is, behind its range."""
        if self.value == "factor":
            return f"; {self.name} is a factor of the robot's own: 0.5 halves it"
        if self.value in ("number", "share", "std"):
            return ""
        return f", in {'control ' * (self.value == 'steps')}{self.value}, written without a unit"


class Physics(NamedTuple):
    """A robot with its shifts."""

    model: Any  # mujoco.MjModel
    noise: np.ndarray  # on actions, standard deviation in their units, [control]
    bias: np.ndarray  # added to what acts, as a share of half the control range, [control]
    deadzone: np.ndarray  # about the middle of the control range, as a share of half of it, [control]
    delay: int  # control steps before an action acts
    motors: Rule | None  # what is added to what has arrived
    sensor_noise: np.ndarray  # standard deviation, as a share of each entry's spread, [obs]; [1] if they have no names
    sensor_bias: np.ndarray  # added to what is seen, as a share of each entry's spread, [obs]; [1] if without names
    sensor_delay: int  # control steps before an observation is seen

    @property
    def obeys(self) -> bool:
        """Whether what acts is the commanded action, at once."""
        moved = self.noise.any() or self.bias.any() or self.deadzone.any()
        return not (self.delay or self.motors or moved)

    @property
    def sees(self) -> bool:
        """Whether what is seen is the state, at once."""
        return not (self.sensor_delay or self.sensor_noise.any() or self.sensor_bias.any())

    def shown_with(self, sent: int) -> bool:
        """Whether what is seen and the last `sent` commanded actions tell the state, and what the next step does."""
        return not (self.delay > sent or self.motors or self.sensor_delay or self.sensor_noise.any())


class Beside(NamedTuple):
    """What each of n robots has beside its model; see `Physics`."""

    noise: np.ndarray  # [n, control]
    bias: np.ndarray  # [n, control]
    deadzone: np.ndarray  # [n, control]
    delay: np.ndarray  # [n]
    sensor_noise: np.ndarray  # [n, obs], or [n, 1]
    sensor_bias: np.ndarray  # [n, obs], or [n, 1]
    sensor_delay: np.ndarray  # [n]


def label(element: Any, kind: str) -> str:
    """The name an element goes by; one without a name goes by its target's, its joint's or its body's."""
    if element.name:
        return element.name.partition(UNNAMED)[0]
    if kind == "actuator":
        return element.target
    inside = [*element.joints, *element.geoms] if kind == "body" else [element.parent]
    return next((other.name for other in inside if other.name), f"{kind}{element.id}")


def type_of(of: Any) -> str:
    """FIXED of mjGAIN_FIXED, and so on."""
    return of.name.partition("_")[2]


def driving(spec: Spec, joints: Elements) -> Elements:
    """The actuators that act on joints directly."""
    names = {joint.name for joint in joints if joint.name}
    return [a for a in spec.actuators if a.target in names and type_of(a.trntype) in ("JOINT", "JOINTINPARENT")]
