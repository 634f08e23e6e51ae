"""`asked:ID`: a robot that is not simulated and asks for each of its actions. Its columns are those of the domain ID,
or those that a file lists, `asked:robot.yaml`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from transreward.domains.domain import Domain, control_rate, require_box
from transreward.domains.names import action_entries, entries
from transreward.domains.users import located
from transreward.plain import read_mapping
from transreward.types import ASKED, UNKNOWN, Entry, RequestError, Spaces, nearest

EXAMPLE = "{observation: [hip angle, hip velocity], action: [{name: hip, low: -1, high: 1}], control_rate: 50}"
KEYS = ("observation", "action", "control_rate", "episode_steps")
ENTRY = [one.name for one in fields(Entry)]


class Asked:
    """A robot that asks. Who answers is its `desk`; see `streams.asked`. Steps are taken at its own pace, and none by
    the loop.

    Raises RequestError for a file that does not list columns.
    """

    stream = "asked"

    def __init__(self, text: str, like: Domain | None) -> None:
        """`text` stands behind `asked:`; `like` is the domain that it names, None where it is a file."""
        self.name = f"{ASKED}{text}"
        self.reward_terms: tuple[str, ...] = ("reward",)
        self.desk: Any = None
        self.like = like
        if like is None:
            self._listed(located(text))
            return
        self.spaces, self.entries, self.action_entries = like.spaces, entries(like), action_entries(like)
        self.control_rate, self.episode_steps = control_rate(like), like.episode_steps

    def _listed(self, path: Path) -> None:
        told = read_mapping(path, EXAMPLE)
        try:
            for key in told:
                if key not in KEYS:
                    raise nearest(key, KEYS, "key")
            self.entries, self.action_entries = (_entries(told, key) for key in KEYS[:2])
            self.control_rate = _number(told, "control_rate", None)
            self.episode_steps = int(_number(told, "episode_steps", None) or 1000)
            with np.errstate(over="ignore"):  # what leaves float32 is told below
                low, high = np.array([(e.low, e.high) for e in self.action_entries]).T.astype(np.float32)
            require_box(path.name, [e.name for e in self.action_entries], low, high, "say the low and high of each")
        except RequestError as error:
            raise RequestError(f"{path}: {error}") from None
        self.spaces = Spaces(len(self.entries), len(self.action_entries), low, high)

    def __repr__(self) -> str:
        return f"domain({self.name!r})"

    def simulate(self, n: int, seed: int | Sequence[int] = 0, threads: int = 0) -> Any:
        """Raises RequestError: nothing is simulated."""
        raise RequestError(f"'{self.name}' is a robot that asks for its actions: nothing simulates it")


def lists(text: str) -> bool:
    """Whether what stands behind `asked:` is a file."""
    return re.search(r"\.(yaml|yml|json)$", text) is not None


def readable(id: str) -> str:
    """A domain's id as a reader sees it: a robot that asks goes by the name of its file, where it has one, also where
    it stands in the id of a bridge; other ids are as they are."""

    def robot(found: re.Match[str]) -> str:
        return Path(found[1]).stem if lists(found[1]) else "a robot that asks"

    return robot(whole) if (whole := re.fullmatch(f"{ASKED}(.+)", id)) else re.sub(rf"{ASKED}([^()]+)", robot, id)


def asked(domain: Domain) -> Asked | None:
    """The domain if it is a robot that asks, else None."""
    return domain if isinstance(domain, Asked) else None


def require_answered(domain: Domain) -> None:
    """Raise RequestError for a robot that asks where no session answers it."""
    robot = asked(domain)
    if robot is not None and robot.desk is None:
        raise RequestError(f"'{robot.name}' asks for its actions, and nobody answers it here: open a tr.Session")


def _entries(told: Mapping[str, Any], key: str) -> tuple[Entry, ...]:
    listed = told.get(key)
    if not isinstance(listed, list) or not listed:
        raise RequestError(f"{key} must list the robot's columns, as in {EXAMPLE}")
    found = [_entry(key, one) for one in listed]
    names = [entry.name for entry in found]
    for name in names:
        if names.count(name) > 1:
            raise RequestError(f"{key} has the name '{name}' twice")
    return tuple(found)


def _entry(key: str, one: Any) -> Entry:
    said = {"name": one} if isinstance(one, str) else one
    if not isinstance(said, dict) or not isinstance(said.get("name"), str) or not said["name"].isprintable():
        raise RequestError(f"each of {key} must be a name, or a mapping with one, not {one!r}")
    for field in said:
        if field not in ENTRY:
            raise nearest(field, ENTRY, f"key of {said['name']}")
    if not isinstance(soft := said.get("soft", False), bool):  # the text 'no' would count as yes
        raise RequestError(f"soft of {said['name']} must be true or false, not {soft!r}")
    unit, part = str(said.get("unit", UNKNOWN)), str(said.get("part", ""))
    numbers = {name: float(_number(said, name, 0.0) or 0.0) for name in ("low", "high", "rest") if name in said}
    return Entry(said["name"], unit, part, soft=soft, **numbers)


def _number(told: Mapping[str, Any], key: str, default: float | None) -> float | None:
    value = told.get(key, default)
    if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float)) or not np.isfinite(value)):
        raise RequestError(f"{key} must be a number, not {value!r}")
    if key in ("control_rate", "episode_steps") and value is not None and not 0 < value < 1e9:
        raise RequestError(f"{key} must be above 0, not {value!r}")
    if key == "episode_steps" and value is not None and value != int(value):
        raise RequestError(f"{key} must be a whole number, not {value!r}")
    return value
