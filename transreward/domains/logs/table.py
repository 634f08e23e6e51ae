"""Logs in which each number has a column of its own: which of them make a step.

By their names, `obs.hip`, `action[0]`, `reward`, `episode`, in the words of D4RL and Gymnasium; or as a file beside the
log says, `monday.yaml` beside `monday.csv`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from transreward.domains.logs import clock, named
from transreward.domains.logs.columns import PART, WIDE, WORDS, listed
from transreward.plain import read_mapping
from transreward.types import IN_SI, RequestError, nearest

EPISODE, TIME = ("episode", "episode_index", "episode_id"), ("time", "timestamp", "t")
KEYS = {  # of the file beside a log -> part of a step
    "observation": "obs", "action": "action", "reward": "reward", "next_observation": "next_obs",
    "terminated": "terminated", "truncated": "truncated", "episode": "episode", "time": "time", "rate": "rate",
}  # fmt: skip
NAMED, OTHERS = re.compile(r"(\w+?)[./](.+)"), re.compile(r"(\w+?)(?:\[.+\]|_\d+)")  # obs.hip; obs[0], obs_0
ENDS = {"episode", "time", "truncated", "next_obs"}  # parts of which each tells where an episode ends
COLUMN = ("column", "factor", "offset", "unit")  # keys of one
EXAMPLE = "{observation: [hip, knee], action: [u], reward: r, episode: trial, time: stamp}"


class Column(NamedTuple):
    """A column of a file, and what its numbers are multiplied by and added to."""

    name: str
    factor: float = 1.0
    offset: float = 0.0


class Layout(NamedTuple):
    """Which columns are which part of a step."""

    parts: dict[str, list[Column]]  # keys of PART, and episode and time
    rate: float | None = None  # control steps a second, where a file says it

    @property
    def names(self) -> list[str]:
        """The columns that are read, each once."""
        return list(dict.fromkeys(column.name for columns in self.parts.values() for column in columns))


def layout(names: Sequence[str], path: Path) -> Layout:
    """What the columns of a file are, by the file beside it, or of those of a folder by the file in it, or by their
    names. Raises RequestError."""
    says = beside(path)
    where = f"a file {says.name} {'in' if path.is_dir() else 'beside'} it"
    return told(names, says) if says.is_file() else by_name(names, where)


def beside(path: Path) -> Path:
    """The file that says what the columns of a log are, if it is there: beside it, or in it if that is a folder."""
    return path / "log.yaml" if path.is_dir() else path.with_suffix(".yaml")


def by_name(names: Sequence[str], where: str) -> Layout:
    """`obs.hip`, `obs/hip`, `obs[0]`, `obs_0` are columns of the observation, in the order of the file; those of the
    next observation are in the order of the observation's, where they have the same names.

    Raises RequestError where a part is missing, or is there by two names; `where` it could be said what they are.
    """
    parts: dict[str, list[Column]] = {}
    for name in names:
        part = part_of(name)
        if part is not None:
            parts.setdefault(part, []).append(Column(name))
    lacking = [part for part in ("obs", "action") if part not in parts]
    if lacking:
        raise RequestError(
            f"found the columns {listed(names)}; no {WORDS[lacking[0]][-1]} among them: call them obs.NAME, "
            f"action.NAME, reward, or say which they are in {where}, such as {EXAMPLE}"
        )
    for part, columns in parts.items():
        if part not in WIDE and len(columns) > 1:  # which of them holds is not to be guessed
            twice = listed(column.name for column in columns)
            raise RequestError(f"{twice} are the same by two names: leave one, or name it in {where}")
    if "next_obs" in parts:
        parts["next_obs"] = _alike(parts["obs"], parts["next_obs"], where)
    return Layout(parts)


def _alike(obs: Sequence[Column], successor: list[Column], where: str) -> list[Column]:
    """The columns of the next observation in the order of the observation's, by their names; as they are where none is
    the same. Raises RequestError where some are, and others not: what belongs together cannot be told."""
    own = [_within(column.name) for column in obs]
    place = {_within(column.name): column for column in successor}
    if not len(own) == len(set(own)) == len(successor) == len(place) or not place.keys() & set(own):
        return successor
    if place.keys() == set(own):
        return [place[name] for name in own]
    odd = listed(column.name for column in successor if _within(column.name) not in own)
    raise RequestError(f"{odd}: the observation has no such column; name both alike, or say in {where} which they are")


def _within(name: str) -> str:
    """What a column is called within its part: hip of obs.hip, 0 of obs[0] and obs_0."""
    found = OTHERS.fullmatch(name) or NAMED.fullmatch(name)
    return name[found.end(1) :].strip("[]./_") if found else ""


def part_of(name: str) -> str | None:
    """The part of a step that a column of this name is of; None: of none."""
    if name in EPISODE:
        return "episode"
    if name in TIME:
        return "time"
    if name in PART:
        return PART[name]
    found = OTHERS.fullmatch(name) or NAMED.fullmatch(name)
    return PART[found[1]] if found and PART.get(found[1]) in WIDE else None


def told(names: Sequence[str], beside: Path) -> Layout:
    """What a file says. Raises RequestError for what it cannot mean."""
    said = read_mapping(beside, EXAMPLE)
    try:
        return meant(said, names)
    except RequestError as error:
        raise RequestError(f"{beside}: {error}") from None


def meant(said: Mapping[str, Any], names: Sequence[str]) -> Layout:
    """What a mapping says of columns of these names; the name of an array stands for all of its columns, `qpos` for
    `qpos[0]`, `qpos[1]`, ... Raises RequestError for what it cannot mean."""
    for key in said:
        if key not in KEYS:
            raise nearest(key, KEYS, "key")
    rate = clock.required(said[clock.RATE]) if clock.RATE in said else None
    known = dict.fromkeys(names)
    parts = {KEYS[key]: _columns(key, value, known) for key, value in said.items() if key != clock.RATE}
    for part in ("obs", "action"):
        if part not in parts:
            raise RequestError(f"it names no {part}: write a mapping such as {EXAMPLE}")
    if "next_obs" in parts and len(parts["next_obs"]) != len(parts["obs"]):
        raise RequestError("observation and next_observation must have as many columns")
    return Layout(parts, rate)


def _columns(key: str, value: Any, names: Mapping[str, None]) -> list[Column]:
    wide = KEYS[key] in WIDE
    if wide != isinstance(value, list) or not value:
        raise RequestError(f"{key} must be {'a list of columns' if wide else 'one column'}, not {value!r}")
    found = [column for one in (value if wide else [value]) for column in _column(one, names)]
    if not wide and len(found) > 1:
        raise RequestError(f"{key} must be one column, and {listed([value])} has {len(found)}: name {found[0].name}")
    return found


def _column(one: Any, names: Mapping[str, None]) -> list[Column]:
    """A column, or those of an array."""
    said = {"column": one} if isinstance(one, str) else one
    if not isinstance(said, dict) or not isinstance(said.get("column"), str):
        raise RequestError(f"a column must be a name, or a mapping such as {{column: hip, factor: 0.02}}, not {one!r}")
    for key in said:
        if key not in COLUMN:
            raise nearest(key, COLUMN, "key of a column")
    name = said["column"]
    if name not in names and f"{name}[0]" in names:
        number = next(i for i in count(1) if f"{name}[{i}]" not in names)
        return [column for i in range(number) for column in _column({**said, "column": f"{name}[{i}]"}, names)]
    if name not in names:
        raise nearest(name, names, "column")
    numbers = [said.get("factor", 1.0), said.get("offset", 0.0)]
    if not all(isinstance(x, (int, float)) and not isinstance(x, bool) and np.isfinite(x) for x in numbers):
        raise RequestError(f"factor and offset of {name} must be numbers, not {numbers}")
    return [Column(name, *map(float, numbers)) if "unit" not in said else _in_si(said, float(numbers[1]))]


def _in_si(said: dict[str, Any], offset: float) -> Column:
    """A column whose unit is said, in that of the robots. Raises RequestError for one that is not known."""
    name, unit = said["column"], said["unit"]
    if "factor" in said:
        raise RequestError(f"{name} has a unit and a factor: leave one of them out")
    if not isinstance(unit, str) or unit not in IN_SI:
        raise RequestError(
            f"the unit of {name} is {unit!r:.40}, which is none of {', '.join(IN_SI)}: write {{column: {name}, factor: "
            f"F}}, F being what one of it is in rad, m or s"
        )
    return Column(name, IN_SI[unit][1], offset)


def arrays(
    found: Layout, read: Callable[[str], np.ndarray], where: Callable[[int], str], whole: bool = True
) -> dict[str, np.ndarray]:
    """The arrays of a log, as `columns` names them; `read(name)` is a column of the file, [n], and `where(i)` says in
    which of its lines or rows the i-th number of a column stands. `whole`: they hold all steps, else one episode's.

    An episode ends where another begins in its column. Raises RequestError for what is not finite, and where nothing
    tells where an episode ends.
    """
    if whole and not found.parts.keys() & ENDS:
        raise RequestError(
            "nothing says where an episode ends: call a column episode, time or truncated, or say which column is one "
            "of these in a YAML file beside it"
        )

    def numbers(column: Column) -> np.ndarray:
        told = np.asarray(read(column.name), float)
        x = column.factor * told + column.offset
        wrong = np.flatnonzero(~(np.abs(x) <= np.finfo(np.float32).max))
        if wrong.size:
            more = f", and {wrong.size - 1:,} more" if wrong.size > 1 else ""
            place = f"{listed([column.name])} is {told[wrong[0]]:g} in {where(int(wrong[0]))}"
            raise RequestError(f"{place}{more}: leave such steps out of the log")
        return x

    parts = {part: [numbers(column) for column in columns] for part, columns in found.parts.items()}
    steps = {part: xs for part, xs in parts.items() if part in WORDS}
    out = {WORDS[part][0]: np.stack(xs, axis=1) if part in WIDE else xs[0] for part, xs in steps.items()}
    if "episode" in parts:
        number = parts["episode"][0]
        _require_in_turn(number)
        ends = np.append(np.diff(number) != 0, True)[: len(number)]
        before = out.get(WORDS["truncated"][0], np.zeros(len(number)))
        over = out.get(WORDS["terminated"][0], np.zeros(len(number)))
        out[WORDS["truncated"][0]] = np.where(ends & (over == 0), 1.0, before)
    out |= named.kept(*(_names(found.parts[part]) for part in ("obs", "action")))
    return out if found.rate is None else out | {clock.RATE: np.array(found.rate)}


def _require_in_turn(number: np.ndarray) -> None:
    """Raises RequestError where rows of several episodes alternate, as of robots that are logged side by side: each
    row would be an episode of its own. Numbers that begin anew, as in files one behind the other, do not alternate."""
    begins = np.flatnonzero(np.diff(number, prepend=np.nan) != 0)
    alone = np.diff(begins, append=len(number)) == 1
    if 2 * alone.sum() > len(begins) > 2 * len(np.unique(number)):
        first = ", ".join(f"{x:g}" for x in number[begins[:4]])
        raise RequestError(f"rows of its episodes alternate ({first}, ...): sort them by episode, then by time")


def _names(columns: Sequence[Column]) -> list[str]:
    """What the columns of a part are called, without the part; their whole names where that leaves numbers."""
    own = [found[2] if (found := NAMED.fullmatch(column.name)) and found[1] in PART else None for column in columns]
    if any(name is None or name.isdigit() for name in own):
        return [column.name for column in columns]
    return [name for name in own if name]


def distinct(names: Iterable[str]) -> list[str]:
    """The names of a file's columns. Raises RequestError for one that is there twice."""
    found = list(names)
    (name, times), *_ = Counter(found).most_common(1) or [("", 0)]
    if times > 1:
        raise RequestError(f"it has the column {listed([name])} twice")
    return found
