"""The words that every part shares: Transition, Pair, Spaces, Adjusted, Entry, and the errors a user can meet."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    import numpy as np

Array = Any  # a NumPy or JAX array; shapes stand in the docstrings
Key = Any  # a JAX random key
Metrics = dict[str, Array]  # name -> scalar

# The rows of the table that others have to know of: the methods that every other is compared with, the one that breaks
# the target's budget, and the one that people get who name none.
CONTROLS = ZERO_SHOT, FINE_TUNE, TARGET_ONLY = "zero_shot", "fine_tune", "target_only"
CEILING = "oracle"
DEFAULT_METHOD = "auto"
AUTO, NO = "auto", "none"  # of a bridge: where it is needed, and nowhere
ASKED = "asked:"  # of a target's id whose rest says the columns of a robot that asks for its actions
DATA = ("data:", "minari:", "lerobot:")  # of a target's id whose rest says where a log of it is

MANY = 40  # names that an error does not list
OWN_MODULE = "; those of a module of your own are known once `imports` names it"  # of a name that is in no table

T = TypeVar("T")
U = TypeVar("U")


class RequestError(ValueError):
    """The request is wrong: one line that says what, and what to do. The command line exits with 2.

    It names what was asked for in Python's words between backticks, `source_steps`, `learner="sac"` or
    `use.strength=0`. The command line shows these as the options that they are.
    """

    def __init__(self, *said: object) -> None:
        super().__init__(*(" ".join(x.splitlines()) if isinstance(x, str) else x for x in said))  # it may quote lines


class BrokenRun(RuntimeError):
    """A simulation or a loss became NaN or infinite. The command line exits with 1."""

    row: int | None = None  # of the simulation, where one row broke


class Transition(NamedTuple):
    """One step, or any batch of steps, in Gymnasium's words.

    `next_obs` is the true successor, also where an episode ended: never the next episode's first observation.
    """

    obs: Array  # [..., obs]
    action: Array  # [..., action], as commanded; a simulation clips it to the box before it acts
    reward: Array  # [...], raw
    next_obs: Array  # [..., obs]
    terminated: Array  # [...], bool: the task ended, so no value follows
    truncated: Array  # [...], bool: only the clock ended, so the value of next_obs still counts


class Shared(NamedTuple):
    """The columns that two unlike bodies have in common: by the others the bodies would be told apart at once."""

    obs: tuple[int, ...]
    action: tuple[int, ...]


class Steps(NamedTuple):
    """Steps with all that is known of them: what streams hand over, and what a replay gives back. float32, but the
    domain; the flags are 0 or 1."""

    transition: Transition  # [...]
    terms: Array  # [..., terms], what a domain tells of each beside its transition: `stored_terms`; mostly none
    domain: Array  # int32 [...], in which domain of the request they were taken: its place in the pair


@dataclass(frozen=True)
class Entry:
    """One number of an observation or action."""

    name: str  # no two of a vector alike
    unit: str
    part: str = ""  # the joint, body or actuator that it is of; "" = none is known
    low: float = -math.inf
    high: float = math.inf
    soft: bool = False  # the range is a joint's, whose limits give way a little under load
    rest: float = 0.0  # its value in the pose in which the robot begins, from which other robots' are counted


UNKNOWN = "unknown"  # unit of an entry that is only numbered
IN_SI: dict[str, tuple[str, float]] = {  # unit -> that of the robots' columns, and how much one of it is
    **{unit: (unit, 1.0) for unit in ("rad", "rad/s", "m", "m/s", "s")},
    "deg": ("rad", math.pi / 180), "deg/s": ("rad/s", math.pi / 180), "rpm": ("rad/s", math.pi / 30),
    "mm": ("m", 1e-3), "mm/s": ("m/s", 1e-3), "cm": ("m", 1e-2), "cm/s": ("m/s", 1e-2), "ms": ("s", 1e-3),
}  # fmt: skip


class Pair(NamedTuple, Generic[T]):
    """Whatever comes in twos."""

    source: T
    target: T

    def map(self, f: Callable[[T], U]) -> Pair[U]:
        """`f` of each."""
        return Pair(f(self.source), f(self.target))


SHOWN = ("counterpart", "demonstrations")  # what a gap or use may be shown beside a batch of each domain
NO_STEPS: Pair[int] = Pair(0, 0)  # in an account


def whole_number(text: str) -> int:
    """The number that is written as 10000, 10_000, 10,000 or 1e4. Raises ValueError for anything else."""
    if re.fullmatch(r"[+-]?\d{1,3}(,\d{3})+", text.strip()):
        text = text.replace(",", "")
    try:
        return int(text)
    except ValueError:
        found = float(text)
    if not found.is_integer():
        raise ValueError(f"{text} is no whole number")
    return int(found)


class Adjusted(NamedTuple):
    """What the learner sees in place of the raw reward."""

    reward: Array  # [batch]
    weight: Array  # [batch], 1 = counts fully


class Drawn(NamedTuple):
    """What a learner draws to learn from: of each domain, [windows, length, ...] steps."""

    steps: Pair[Transition]
    first: Array | None = None  # []: the batch is as many rows of both sides, one after the other, as each has, from
    # this one on; None: all of them


OfSteps = Callable[[Transition, Array, Array], Array]  # (steps [n, ...], what a critic says of them [n], and which of
# them are the target's [n]) -> []
OfAction = Callable[[Array, Array], Array]  # (obs [..., obs], action [..., action], in the domain's units) -> [...]


class Peer(NamedTuple):
    """Another agent's critic, which a learner's actor follows beside its own."""

    q: OfAction  # what it says of actions, in units of the raw reward
    share: Array | float = 1.0  # of it in what the actor follows, in [0, 1]; of a compensation the most it may be


class Guides(NamedTuple):
    """Other policies, to which a learner's actor is drawn where its own critics say that they do better."""

    acts: Callable[[Array], Array]  # obs [n, obs] -> what each would do, [guides, n, action], in the domain's units
    weigh: Callable[[Array, Array], Array]  # what is said of the learner's own actions [n] and of theirs [guides, n]
    # -> how much each draws, [guides, n]; all in units of the raw reward
    apart: Callable[[Array, Array], Array]  # how far actions [n, action] are from theirs, [guides, n]; without a unit
    cost: Callable[[Array], Array] | None = None  # of a batch's actions [n, action] -> [n]: by the learner, once it has
    # weighed them


class Shaping(NamedTuple):
    """All that reaches a learner beside rewards: what a compensation says of actions. None: it says nothing."""

    advise: OfAction | None = None  # added to what the critics say wherever they are asked, so that they learn the rest
    floor: OfAction | None = None  # a value that counts wherever it is above the critics'
    draw: OfAction | None = None  # what an action costs the actor alone, in units of the mean size of Q, at least 1
    peer: Peer | None = None  # followed by the actor alone, the more the less it errs beside the learner's own critics
    press: OfSteps | None = None  # added to the loss of each critic
    guides: Guides | None = None  # whom the actor alone is drawn to, state by state


@dataclass(frozen=True, eq=False)
class Spaces:
    """Sizes and bounds of a domain's observations and actions.

    Two are equal where their values are, so that programs are compiled once for all domains of the same spaces.
    """

    obs: int
    action: int
    low: np.ndarray  # [action], finite; a copy that cannot be written
    high: np.ndarray  # [action], finite; the same

    def __post_init__(self) -> None:
        import numpy as np  # here, so that --help does not wait for it

        for name in ("low", "high"):
            bound = np.array(getattr(self, name))
            bound.setflags(write=False)
            object.__setattr__(self, name, bound)

    @property
    def _values(self) -> tuple[Any, ...]:
        return self.obs, self.action, *((x.dtype.str, x.shape, x.tobytes()) for x in (self.low, self.high))

    def __eq__(self, other: object) -> bool:
        return self._values == other._values if isinstance(other, Spaces) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._values)

    @property
    def centre(self) -> np.ndarray:
        """Middle of the action box, float32 [action]."""
        return ((self.high + self.low) / 2).astype("float32")

    @property
    def half_width(self) -> np.ndarray:
        """Half the side of the action box, float32 [action]."""
        return ((self.high - self.low) / 2).astype("float32")

    def fit(self, other: Spaces) -> bool:
        """Whether a policy of the one can act in the other as it is."""
        import numpy as np

        same_sizes = (self.obs, self.action) == (other.obs, other.action)
        return same_sizes and np.allclose(self.low, other.low) and np.allclose(self.high, other.high)


def nearest(
    name: str, known: Iterable[str], kind: str, words: Mapping[str, str] | None = None, otherwise: str = ""
) -> RequestError:
    """The error for a name that does not exist, with what may have been meant.

    `words` are what others call some of the known names. A dotted name, `section.field`, is looked for in its section.
    `otherwise` is added where no known name is like it.
    """
    name, known = str(name), sorted(known)
    section, _, word = name.rpartition(".")
    inside = [k for k in known if k.rpartition(".")[0] == section] or known
    if inside is known and section:  # of a section that does not exist
        word, last = name, {k: k for k in known}
    else:
        last = {k: k.rpartition(".")[2] for k in inside}
    close = _close(word.lower(), last, words or {})
    if close:
        hint = f"did you mean {' or '.join(close)}?"
    elif len(inside) > MANY:
        hint = f"none of the {len(inside)} there are is like it{otherwise}"
    else:
        hint = f"there are: {', '.join(inside)}{otherwise}"
    return RequestError(f"unknown {kind} '{name}': {hint}")


def _close(word: str, last: Mapping[str, str], words: Mapping[str, str]) -> list[str]:
    """The names whose last part is meant by `word`: another word for it, a misspelling, or an abbreviation."""
    meant = [k for k, part in last.items() if part == words.get(word)]
    alike = {k: difflib.SequenceMatcher(None, word, part.lower()).ratio() for k, part in last.items()}
    best = max(alike.values(), default=0.0)
    spelled = sorted((k for k in alike if alike[k] >= max(best - 0.1, 0.6)), key=lambda k: -alike[k])[:3]
    if meant or best >= 0.8:
        return meant or spelled
    return [k for k, part in last.items() if _abbreviates(word, part.lower())][:3] or spelled


def _abbreviates(short: str, long: str) -> bool:
    """`lr` for learning_rate, `rate` too, `ent_coef` for entropy_weight, `batch_size` for batch."""
    pieces = long.split("_")
    within = (a in b or b in a for a in short.split("_") for b in pieces if min(len(a), len(b)) > 2)
    return short == "".join(piece[:1] for piece in pieces) or any(within)


def make(table: Mapping[str, Callable[..., T]], name: str, kind: str, settings: Mapping[str, Any]) -> T:
    """An entry of a table with its settings. Raises RequestError with the nearest names for what is unknown."""
    if name not in table:
        raise nearest(name, table, kind, otherwise=OWN_MODULE)
    known = [f.name for f in fields(table[name])]  # type: ignore[arg-type]
    for setting in settings:
        if setting not in known:
            raise nearest(setting, known, f"setting of {kind} '{name}'")
    return table[name](**settings)


def usual_controls(source: str, target: str) -> tuple[str, ...]:
    """What runs beside a method unless told, for two ids: a log takes no step for a control."""
    of_source, of_target = (one.startswith(DATA) for one in (source, target))
    return () if of_target else (TARGET_ONLY,) if of_source else CONTROLS
