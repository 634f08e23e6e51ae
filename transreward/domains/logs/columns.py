"""Which array of a log is which part of a step, by D4RL's and Gymnasium's words, and the steps that they make."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterable, Mapping
from math import prod
from typing import NamedTuple

import numpy as np

from transreward.domains.domain import in_range
from transreward.domains.logs.clock import missing
from transreward.domains.users import truths
from transreward.types import RequestError, Transition

WORDS = {  # part of a step -> what the arrays are called
    "obs": ("observations", "observation", "obs"),
    "action": ("actions", "action"),
    "reward": ("rewards", "reward"),
    "next_obs": ("next_observations", "next_observation", "next_obs"),
    "terminated": ("terminals", "terminations", "terminated"),
    "truncated": ("timeouts", "truncations", "truncated"),
    "time": ("times", "time", "timestamps", "timestamp"),  # s, at which the observation was made
}
PART = {word: part for part, words in WORDS.items() for word in words}
NEEDED = ("obs", "action")
WIDE = ("obs", "action", "next_obs")  # [n, entries]; the others are [n]
MOST = 2**27  # numbers in a log, 1 GiB of them
PACKED = 1032  # numbers that a byte of a file can stand for: the most that deflate makes of one
LISTED = 8  # names that an error lists
ROUNDING = 1e-6  # of a column's largest number; observations are often stored in float32


class Taken(NamedTuple):
    """The n steps of arrays."""

    steps: Transition
    dropped: int  # rows that are none, because they have no successor
    ends: int  # of those, in which the task ended
    time: np.ndarray | None  # s, [n]
    missing: np.ndarray  # s that are missing behind each step, [n]


def chosen(names: Iterable[str]) -> dict[str, dict[str, str]]:
    """Group -> part of a step -> name of the array: the group "" of all steps, else one of each episode, in order.

    Arrays with other names are left out, and so are all groups where the file itself has steps.

    Raises:
        RequestError: observations or actions are missing, or a part is there twice.
    """
    names = list(names)
    groups: dict[str, dict[str, str]] = {}
    for name in names:
        group, _, word = name.rpartition("/")
        if word not in PART:
            continue
        found = groups.setdefault(group, {})
        if PART[word] in found:
            raise RequestError(f"{listed([found[PART[word]], name])} are the same by two names: leave one")
        found[PART[word]] = name
    lacking = {group: [part for part in NEEDED if part not in found] for group, found in groups.items()}
    whole = [group for group, missing in lacking.items() if not missing]
    if "" in whole:
        return {"": groups[""]}
    if not whole:
        missing = min(lacking.values(), key=len, default=NEEDED)
        raise RequestError(f"found {listed(names)}; wanted {' and '.join(_spelled(part) for part in missing)}")
    whole.sort(key=in_order)
    first = groups[whole[0]]
    for group, missing in lacking.items():
        if len(missing) < len(NEEDED) and groups[group].keys() != first.keys():
            (part, *_) = sorted(groups[group].keys() ^ first.keys())
            has, lacks = (group, whole[0]) if part in groups[group] else (whole[0], group)
            has, lacks = (listed([x]) if x else "the file" for x in (has, lacks))
            raise RequestError(f"{has} has {WORDS[part][0]}, and {lacks} has none: all episodes need the same arrays")
    return {group: groups[group] for group in whole}


def wanted(names: Iterable[str]) -> list[str]:
    """The names of the arrays that `chosen` chooses."""
    return [name for named in chosen(names).values() for name in named.values()]


def listed(names: Iterable[str]) -> str:
    """Names that a stranger gave, to be shown: the first few."""
    names = list(names)
    few = ", ".join(ascii(name[:60])[1:-1] for name in names[:LISTED])
    return (few or "nothing") + (f" and {len(names) - LISTED} more" if len(names) > LISTED else "")


def damaged(error: Exception) -> RequestError:
    """The error for a file that a library cannot read, in a few of the library's words."""
    return RequestError(f"it is damaged: {ascii(' '.join(str(error).split())[:100])[1:-1]}")


def require_package(name: str) -> None:
    """Raise RequestError where a package of the extra `logs` is missing."""
    if importlib.util.find_spec(name) is None:
        raise RequestError(f"the package {name} is missing: pip install 'transreward[logs]'")


def require_numbers(name: str, dtype: np.dtype) -> None:
    """Raise RequestError for an array of anything but booleans, whole numbers and floats."""
    if dtype.kind not in "biuf":
        what = "objects, references or texts" if dtype.hasobject else f"'{dtype.name}'"
        raise RequestError(f"{listed([name])} holds {what}, where numbers are wanted")


def require_room(shapes: Mapping[str, tuple[int, ...]], size: int) -> None:
    """Raise RequestError where a file of `size` bytes says that it holds more than is read, or than it can hold."""
    numbers = sum(map(prod, shapes.values()))
    if numbers > MOST:
        raise RequestError(
            f"it says that it holds {numbers:,} numbers, and at most {MOST:,} are read: take fewer steps"
        )
    if numbers > PACKED * size:
        raise RequestError(f"it says that it holds {numbers:,} numbers, which {size:,} bytes cannot: it is damaged")


def require_shapes(found: Mapping[str, np.ndarray], named: Mapping[str, str]) -> None:
    """Refuse arrays that are not one row a step.

    `obs` may have one row more than there are actions, where there is no `next_obs`, and so may `time`.

    Raises:
        RequestError: other dimensions than [n, entries] and [n]; other lengths; no steps; no numbers.
    """
    for part, x in found.items():
        require_numbers(named[part], x.dtype)
        if not 1 <= x.ndim <= 2 or (part not in WIDE and x.shape[1:] not in ((), (1,))):
            layout = "[steps, entries]" if part in WIDE else "[steps]"
            raise RequestError(f"{named[part]} has the shape {list(x.shape)}, where {layout} is wanted")
        if x.shape[1:] == (0,):
            raise RequestError(f"{named[part]} has no columns")
    steps = len(found["action"])
    if not steps:
        raise RequestError(f"{named['action']} is empty: there are no steps")
    lengths = {part: len(x) for part, x in found.items()}
    if "next_obs" not in found and lengths["obs"] == steps + 1:
        lengths["obs"] = steps
    if lengths.get("time") == steps + 1:
        lengths["time"] = steps
    if set(lengths.values()) != {steps}:
        rows = ", ".join(f"{named[part]} has {len(x):,} rows" for part, x in found.items())
        raise RequestError(f"{rows}: as many are wanted as there are steps")
    if "next_obs" in found and prod(found["next_obs"].shape[1:]) != prod(found["obs"].shape[1:]):
        shapes = " and ".join(f"{named[part]} {list(found[part].shape)}" for part in ("obs", "next_obs"))
        raise RequestError(f"{shapes} differ in their columns")


def steps(found: Mapping[str, np.ndarray], named: Mapping[str, str], alone: bool, usual: float = np.inf) -> Taken:
    """The steps of arrays that `require_shapes` let pass.

    Every episode ends in a step that terminated or was truncated, be it by the end of the recording, or where more than
    the `usual` seconds passed. `alone`: the arrays hold all steps, else those of one episode.

    Raises:
        RequestError: numbers that are not finite in float32, flags that are neither 0 nor 1, no way to tell episodes,
            time that runs backwards within one.
    """
    n = len(found["action"])
    x = {part: _numbers(part, found[part], named[part]) for part in found}
    terminated, flagged = (
        truths(named[part], x[part], (n,)) if part in x else np.zeros(n, bool) for part in ("terminated", "truncated")
    )
    obs, reward, successor = x["obs"], x.get("reward", np.zeros(n)), x.get("next_obs")
    if successor is None and len(obs) == n + 1:
        obs, successor = obs[:-1], obs[1:]
    if successor is None and alone and not x.keys() & {"truncated", "time"}:
        raise RequestError(
            f"it has neither {WORDS['next_obs'][0]} nor {WORDS['truncated'][0]}, so where an episode ends cannot be "
            f"told: add {WORDS['truncated'][0]}, 1 in the last step of each episode and else 0"
        )
    told, follows = terminated | flagged, None if successor is None else _follows(successor, obs)
    ended = told.copy()
    ended[-1] = True
    if follows is not None:
        ended[:-1] |= ~follows
    time = x["time"][:n] if "time" in x else None
    says = "truncated" in x or not alone  # where episodes end: else a row that does not go on may well be an end
    lost = np.zeros(n) if time is None else missing(time, ended, told if says else ended, usual)
    ended |= lost > 0
    if successor is None or follows is None:
        successor = np.concatenate([obs[1:], obs[-1:]])
        kept = ~ended
    else:
        kept = _kept(told, follows, lost > 0)
    last = ended.copy()
    last[:-1] |= ~kept[1:]
    columns = (obs, x["action"], reward, successor, terminated, flagged | (last & ~terminated))
    taken = Transition(*(column[kept] for column in columns))
    return Taken(
        taken,
        int(n - kept.sum()),
        int((terminated & ~kept).sum()),
        None if time is None else time[kept],
        _behind(lost, kept),
    )


def _kept(told: np.ndarray, follows: np.ndarray, late: np.ndarray) -> np.ndarray:
    """Which rows are steps, [n], of rows with successors; `told`: an episode is said to end; `late`: the next row came
    late; `follows` [n - 1]: it begins where this one ended."""
    kept = np.ones(len(told), bool)
    # The next episode's first observation is no successor of this one's last step; or else the step that begins
    # with this one's last observation is none. Neither can be told from the other.
    seam = told[:-1] & follows
    kept[:-1] &= ~seam & ~(late[:-1] & follows)  # a late successor is one of several steps
    kept[1:] &= ~seam
    return kept


def _behind(lost: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """What is missing behind each row that is kept: also what is behind rows after it that are not."""
    out, number = np.zeros(int(kept.sum())), np.cumsum(kept) - 1
    there = (lost > 0) & (number >= 0)
    np.add.at(out, number[there], lost[there])
    return out


def require_finite(name: str, x: np.ndarray) -> None:
    """Raise RequestError where `x` [n] or [n, entries] is not finite in float32, which learning is in."""
    if in_range(x):
        return
    (at, *others) = np.argwhere(~(np.abs(x) <= np.finfo(np.float32).max)).tolist()
    more = f", and {len(others):,} more" if others else ""
    raise RequestError(f"{name}[{', '.join(map(str, at))}] is {x[tuple(at)]:g}{more}: leave such steps out of the log")


def _numbers(part: str, x: np.ndarray, name: str) -> np.ndarray:
    """float64, [n, entries] or [n]."""
    x = np.asarray(x, float).reshape(len(x), -1) if part in WIDE else np.asarray(x, float).reshape(len(x))
    require_finite(name, x)
    return x


def _follows(next_obs: np.ndarray, obs: np.ndarray) -> np.ndarray:
    """Whether each step but the first begins where the one before it ended, [n - 1], but for rounding."""
    return (np.abs(next_obs[:-1] - obs[1:]) <= ROUNDING * np.abs(obs).max(0)).all(1)


def _spelled(part: str) -> str:
    first, *others = WORDS[part]
    return f"{first} (or {', '.join(others)})"


def in_order(group: str) -> list[str | tuple[int, str]]:
    """A key by which episode_10 comes after episode_9."""
    pieces = re.split("([0-9]+)", group)
    return [(len(x.lstrip("0")), x.lstrip("0")) if i % 2 else x for i, x in enumerate(pieces)]
