"""A study's plan, read from YAML and checked: pairs, methods, and the request fields of all or some of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from transreward.plain import read_mapping
from transreward.request.fields import COUNTS
from transreward.types import RequestError, nearest, whole_number

ANYWHERE = (
    "learner",
    *COUNTS,
    "source_run",
    "bridge",
    "evaluate",
    "cotrain",
    "share",
    "settings",
    "agent",
)  # keys allowed in the plan, a pair and a method
PLAN = ("pairs", "methods", "imports", "search", *ANYWHERE)
PAIR = ("source", "target", "name", *ANYWHERE)
METHOD = ("method", "name", "pairs", *ANYWHERE)
AGENT = ("source_steps", "settings")
LEAST = dict.fromkeys(COUNTS, 1) | {"seed": 0}
MOST = 10_000  # cells of a plan, and values of a setting


@dataclass(frozen=True)
class Row:
    """A pair or a method of a plan, with its own request fields."""

    name: str
    what: dict[str, str]  # `source` and `target`, or `method`
    asked: dict[str, Any] = field(default_factory=dict)  # its request fields, keys of ANYWHERE
    pairs: tuple[str, ...] = ("*",)  # for a method: names or patterns of the pairs that it is run on


@dataclass(frozen=True)
class Plan:
    """A study: every method on every pair, or on the pairs that it names."""

    pairs: tuple[Row, ...]
    methods: tuple[Row, ...]
    asked: dict[str, Any]  # request fields of all jobs, keys of ANYWHERE
    imports: tuple[str, ...]
    search: dict[str, Any] | None = None  # as it was written: see study/ranges.py
    typed: bool = False  # whether it was typed as options, as of several targets: errors then name these

    def methods_on(self, pair: Row) -> list[Row]:
        """The methods to run on a pair, in the plan's order."""
        return [row for row in self.methods if any(meant(pattern, pair.name) for pattern in row.pairs)]

    def asked_of(self, pair: Row, row: Row) -> dict[str, Any]:
        """The request fields of one cell: a method's override a pair's, and a pair's the plan's."""
        return merged(self.asked, pair.asked, row.asked)


def meant(pattern: str, name: str) -> bool:
    """Whether a name or a pattern means the pair of that name, which may have signs of a pattern itself: [bf]thigh."""
    return name == pattern or fnmatchcase(name, pattern)


def merged(*parts: Mapping[str, Any]) -> dict[str, Any]:
    """One mapping in which later values replace earlier ones; nested mappings are merged."""
    found: dict[str, Any] = {}
    for part in parts:
        for key, value in part.items():
            both = isinstance(value, dict) and isinstance(found.get(key), dict)
            found[key] = merged(found[key], value) if both else value
    return found


def read_plan(path: Path, imports: Sequence[str] = ()) -> Plan:
    """The plan in a YAML (or JSON) file, with these modules in addition to its own `imports`.

    Raises RequestError with one line that says where the error is.
    """
    text = read_mapping(path, "{pairs: [[hopper, 'hopper:gravity=0.5']], methods: [darc, mix]}")
    try:
        plan = parsed(text)
    except RequestError as error:
        raise RequestError(f"{path}: {error}") from None
    return replace(plan, imports=tuple(dict.fromkeys((*plan.imports, *imports))))


def parsed(text: Mapping[str, Any]) -> Plan:
    """The plan in a mapping. Raises RequestError."""
    known_keys(text, PLAN, "the plan")
    pairs = tuple(each(text, "pairs", "[[hopper, 'hopper:gravity=0.5']]", pair_of))
    methods = tuple(each(text, "methods", "[darc, mix]", method_of))
    names = [pair.name for pair in pairs]
    for name in names:
        if names.count(name) > 1:
            raise RequestError(f"two pairs are called '{name}': give one of them a 'name'")
    if len(pairs) * len(methods) > MOST:
        raise RequestError(
            f"{len(pairs)} pairs x {len(methods)} methods are more than {MOST:,} jobs: make several plans"
        )
    for row in methods:
        for pattern in row.pairs:
            if not any(meant(pattern, name) for name in names):
                raise nearest(pattern, names, f"pair of method '{row.name}'")
    search = text.get("search")
    if not isinstance(search, dict | None):
        raise RequestError(f"'search' must be a mapping with a method, its settings and pairs, not {shown(search)}")
    plan = Plan(pairs, methods, asked_in(text, "the plan"), words(text, "imports", "modules"), search)
    for pair in pairs if search is None else ():  # which may set a pair aside that no method names
        if not plan.methods_on(pair):
            raise RequestError(
                f"no method is run on the pair '{pair.name}': name it in the 'pairs' of one, or leave it out"
            )
    return plan


def each(text: Mapping[str, Any], key: str, example: str, read: Callable[[Any, str], Row]) -> Iterable[Row]:
    """The rows under a key of the plan. Raises RequestError."""
    items = text.get(key)
    if not isinstance(items, list) or not items:
        raise RequestError(f"'{key}' must be a list, such as {key}: {example}")
    if len(items) > MOST:
        raise RequestError(f"'{key}' has {len(items):,} entries; at most {MOST:,} are taken: make several plans of it")
    for number, item in enumerate(items, 1):
        yield read(item, f"entry {number} of '{key}'")


def pair_of(item: Any, where: str) -> Row:
    """The pair in [source, target], or in a mapping with its own request fields. Raises RequestError."""
    if isinstance(item, list):
        if len(item) != 2:
            raise RequestError(
                f"{where} must be [source, target], not {len(item)} values: put an id with a comma in quotes, such as "
                f"[hopper, 'hopper:gravity=0.5,mass=2']"
            )
        item = dict(zip(("source", "target"), item, strict=True))
    if not isinstance(item, dict):
        raise RequestError(f"{where} must be [source, target] or a mapping with both, not {shown(item)}")
    known_keys(item, PAIR, where)
    what = {side: word(item, side, where) for side in ("source", "target")}
    return Row(word(item, "name", where, what["target"]), what, asked_in(item, where))


def method_of(item: Any, where: str) -> Row:
    """The method in a name, or in a mapping with its own request fields. Raises RequestError."""
    if isinstance(item, str):
        item = {"method": item}
    if not isinstance(item, dict):
        raise RequestError(f"{where} must be a method's name or a mapping with one, not {shown(item)}")
    known_keys(item, METHOD, where)
    method = word(item, "method", where)
    pairs = words(item, "pairs", "names of pairs") if "pairs" in item else ("*",)
    if not pairs:
        raise RequestError(f"'pairs' of {where} is empty: name some, or leave it out for all of them")
    return Row(word(item, "name", where, method), {"method": method}, asked_in(item, where), pairs)


def asked_in(text: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The request fields in a part of a plan, keys of ANYWHERE; a learner's settings are added to `settings`."""
    found: dict[str, Any] = {"settings": settings_in(text, where)}
    for key in COUNTS:
        if key in text:
            found[key] = count(text[key], f"'{key}' of {where}", LEAST[key])
    learner = text.get("learner")
    if isinstance(learner, dict):
        own = settings_in({"settings": learner}, f"'learner' of {where}")
        learner = own.pop("name", None)
        found["settings"] = {**{f"learner.{name}": value for name, value in own.items()}, **found["settings"]}
    if learner is not None:
        found["learner"] = word({"learner": learner}, "learner", where)
    found |= {key: word(text, key, where) for key in ("source_run", "bridge", "evaluate") if text.get(key) is not None}
    for key in ("cotrain", "share"):
        if key in text:
            if not isinstance(text[key], bool):
                raise RequestError(f"'{key}' of {where} must be true or false, not {shown(text[key])}")
            found[key] = text[key]
    if "agent" in text:
        found["agent"] = agent_in(text["agent"], f"'agent' of {where}")
    return found


def agent_in(text: Any, where: str) -> dict[str, Any]:
    """The source agents' own `source_steps` and `settings`. Raises RequestError."""
    if not isinstance(text, dict):
        raise RequestError(f"{where} must be a mapping such as {{source_steps: 300000}}, not {shown(text)}")
    known_keys(text, AGENT, where)
    found: dict[str, Any] = {"settings": settings_in(text, where)}
    if "source_steps" in text:
        found["source_steps"] = count(text["source_steps"], f"'source_steps' of {where}", 1)
    return found


def settings_in(text: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Path -> value. Paths depend on the method, so they are checked with the whole request."""
    settings = text.get("settings", {})
    if not isinstance(settings, dict):
        raise RequestError(
            f"'settings' of {where} must be a mapping such as {{loop.aligned: 0}}, not {shown(settings)}"
        )
    for path, value in settings.items():
        plain = value if isinstance(value, list) and len(value) <= MOST else [value]
        if not isinstance(path, str) or not all(isinstance(x, (str, bool, int, float)) for x in plain):
            raise RequestError(f"'settings' of {where}: {shown(path)} must be a path and have a plain value or a list")
    return dict(settings)


def known_keys(text: Mapping[Any, Any], known: Sequence[str], where: str) -> None:
    """Raise RequestError for an unknown key."""
    for key in text:
        if key not in known:
            raise nearest(repr(str(key)[:80])[1:-1], known, f"key of {where}")


def count(value: Any, what: str, least: int) -> int:
    """A whole number of at least `least`, also from text such as 1e5. Raises RequestError."""
    try:
        found = whole_number(value) if isinstance(value, str) else value
    except (ValueError, OverflowError):
        found = None
    if not isinstance(found, int) or isinstance(found, bool) or found < least:
        raise RequestError(f"{what} must be a whole number of at least {least}, not {shown(value)}")
    return found


def word(text: Mapping[str, Any], key: str, where: str, default: str | None = None) -> str:
    """A text of one line; required if there is no default. Raises RequestError."""
    found = text.get(key, default)
    if not isinstance(found, str) or not found.strip() or not found.isprintable():
        raise RequestError(f"{where} must have a '{key}', a text of one line, not {shown(found)}")
    return found


def words(text: Mapping[str, Any], key: str, what: str) -> tuple[str, ...]:
    """A text or a list of texts, as a tuple. Raises RequestError."""
    found = text.get(key, [])
    found = [found] if isinstance(found, str) else found
    if not isinstance(found, list) or not all(isinstance(name, str) and name and name.isprintable() for name in found):
        raise RequestError(f"'{key}' must be a list of {what}, not {shown(found)}")
    return tuple(found)


def shown(value: Any) -> str:
    """A wrong value for an error message, cut if it is long."""
    kind = {dict: "a mapping", list: "a list", type(None): "nothing"}.get(type(value))
    return kind or repr(value)[:80]
