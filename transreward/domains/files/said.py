"""What may be said of a robot in a file where the conventions do not find it: beside the file, `arm.yaml` beside
`arm.xml`, or in its id, `mjcf:arm.xml(tip=hand)`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from transreward.plain import read_mapping
from transreward.types import RequestError, nearest


@dataclass(frozen=True)
class Said:
    """Keys of the YAML file, all of them optional. Lengths are in m, angles in rad, rates in Hz."""

    control_rate: float = 50.0  # control steps per second
    episode_steps: int = 0  # control steps; 0 = 1000, or 200 for an arm
    base: str = ""  # body that walks or stands on the floor; empty = the one on which most motors hang
    tip: str = ""  # site or body that reaches; empty = by its name, or the end of the longest chain
    pose: str = ""  # keyframe in which an episode begins; empty = home, or the first one, or the model's own pose
    servos: float = 0.0  # how far a servo's target may be from the pose; 0 = 0.5 if the base is free, else no limit
    limits: Mapping[str, tuple[float, float]] = field(default_factory=dict)  # actuator -> its control range
    fallen: float = 0.5  # share of the height in the pose below which a robot that walks has fallen

    def __post_init__(self) -> None:
        for name in ("control_rate", "fallen", "servos", "episode_steps"):
            value = getattr(self, name)
            kind = int if name == "episode_steps" else (int, float)
            if isinstance(value, bool) or not isinstance(value, kind) or not 0 <= value < 1e6:
                raise RequestError(f"{name} must be a number from 0, not {value!r}")
        if not self.fallen < 1:
            raise RequestError(f"fallen is a share of the height in the pose, below 1, not {self.fallen!r}")
        if not self.control_rate > 0:
            raise RequestError("control_rate must be above 0")
        for name in ("base", "tip", "pose"):
            if not isinstance(getattr(self, name), str):
                raise RequestError(f"{name} must be a name, not {getattr(self, name)!r}")
        if not isinstance(self.limits, Mapping):
            raise RequestError("limits must be a mapping such as {shoulder: [-2, 2]}")
        for name, pair in self.limits.items():
            if not _is_range(pair):
                raise RequestError(f"limits of {name} must be [low, high], not {pair!r}")


def _is_range(pair: Any) -> bool:
    numbers = isinstance(pair, (list, tuple)) and len(pair) == 2 and all(type(x) in (int, float) for x in pair)
    return numbers and pair[0] < pair[1]


def beside(path: Path, text: str = "") -> Said:
    """What is said beside the model in `path`, with the defaults where there is no such file; what is said in an id,
    `tip=hand,pose=ready`, comes before it.

    Raises RequestError with the file's name for what is no such mapping, and for an unknown key.
    """
    file = path.with_suffix(".yaml")
    found = told(file, read_mapping(file, "{control_rate: 50, tip: gripper}")) if file.is_file() else Said()
    return told(f"'({text})'", dict(map(_pair, text.split(","))), found) if text else found


def told(where: object, text: Mapping[str, Any], found: Said = Said()) -> Said:
    """`found`, with what a mapping says. Raises RequestError."""
    known = [one.name for one in fields(Said)]
    try:
        for key in text:
            if key not in known:
                raise nearest(key, known, "key")
        return replace(found, **text)
    except RequestError as error:
        raise RequestError(f"{where}: {error}") from None


def _pair(part: str) -> tuple[str, Any]:
    """A key and its value, a number where it is one."""
    key, _, value = part.partition("=")
    for number in (int, float):
        try:
            return key.strip(), number(value)
        except ValueError:
            pass
    return key.strip(), value.strip()
