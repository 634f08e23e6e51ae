"""Settings by path: `section.field=value`, read as the field's type."""

from __future__ import annotations

from dataclasses import fields, replace
from math import isfinite
from typing import Any, Literal, get_args, get_origin, get_type_hints

from transreward.learners import LEARNERS
from transreward.methods import Method
from transreward.row import SECTIONS
from transreward.types import RequestError, nearest, whole_number

WORDS = {  # names of settings in other libraries -> ours
    "gamma": "discount", "tau": "polyak", "temperature": "alpha_start", "ent_coef": "entropy_weight",
    "vf_coef": "value_weight", "n_envs": "robots", "num_envs": "robots", "n_steps": "rollout_steps",
    "lambda": "strength", "weight": "strength", "coef": "strength",
}  # fmt: skip

ONLY_WITH = {"gap.held_back": "gap.excess", "gate.scale_floor": "gate.scale"}  # those that count where another is on


def settings_of(row: Method, settings: dict[str, Any]) -> dict[str, Any]:
    """The settings of one method, such as `darc.use.strength`, without its name. Raises RequestError for settings that
    all methods share."""
    own = {path[len(row.name) + 1 :]: value for path, value in settings.items() if path.startswith(f"{row.name}.")}
    for path in own:
        if path.partition(".")[0] in ("learner", "loop"):
            raise RequestError(f"all methods of a run share learner and loop: write {path}, not {row.name}.{path}")
    return own


def with_settings(row: Method, settings: dict[str, Any]) -> Method:
    """The row with settings of its gap, use, gate or feed. A use may have a setting that says where it starts."""
    row = replace(row, **apply_settings({name: getattr(row, name) for name in SECTIONS}, settings, row))
    use = row.use
    return row if use is None or use.start == type(use).start else replace(row, start=use.start)


def apply_settings(sections: dict[str, Any], settings: dict[str, Any], row: Method) -> dict[str, Any]:
    """Set each `section.field` to its value, a string or of the field's type. Raises RequestError for a path that does
    not exist, for a value of another type, and for one that would not count."""
    changes: dict[str, dict[str, Any]] = {}  # a section changes at once, since fields may be valid only together
    for path, value in settings.items():
        section, _, name = path.partition(".")
        known = [f"{s}.{name}" for s, part in sections.items() if part is not None for name in settable(part)]
        if path not in known:
            if section in sections and sections[section] is None:
                raise RequestError(f"method '{row.name}' has no {section}, so '{path}' would change nothing")
            if section == "learner" and (others := _learners_with(name)):
                raise RequestError(f"{path} is a setting of {' and '.join(others)}, not of {sections[section].name}")
            raise nearest(path, known, "setting", WORDS)
        part = sections[section]
        changes.setdefault(section, {})[name] = typed(path, value, get_type_hints(type(part))[name])
    made = {**sections, **{section: replace(sections[section], **values) for section, values in changes.items()}}
    for path, switch in ONLY_WITH.items():
        section, _, name = path.partition(".")
        changed = name in changes.get(section, {}) and changes[section][name] != getattr(sections[section], name)
        if changed and not getattr(made[section], switch.partition(".")[2]):
            raise RequestError(f"{path} counts only with {switch}, which is false: leave one of them out")
    return made


def _learners_with(name: str) -> list[str]:
    """The learners of source agents that have a setting of that name."""
    return [learner for learner, kind in LEARNERS.items() if not kind.offline and name in settable(kind)]


def settable(part: Any) -> list[str]:
    """The names of the settings of a part."""
    return [f.name for f in fields(part)]


def typed(path: str, value: Any, kind: Any) -> Any:
    """`value` as the field's type; strings are parsed as on the command line. Raises RequestError."""
    kind = str if get_origin(kind) is Literal else kind  # settings check their own words
    try:
        if get_args(kind) and isinstance(value, (str, list, tuple)):  # tuple[int, ...]
            items = value.strip("()[] ").split(",") if isinstance(value, str) else value
            return tuple(_finite(get_args(kind)[0](str(item))) for item in items if str(item).strip())
        if kind is bool and isinstance(value, str):
            return {"true": True, "false": False, "1": True, "0": False}[value.lower()]
        if kind is int and isinstance(value, str):
            return whole_number(value)
        if kind is float and not isinstance(value, bool) and isfinite(float(value)):
            return float(value)
        if kind is not float and isinstance(value, kind) and (kind is bool or not isinstance(value, bool)):
            return value
    except (ValueError, KeyError, TypeError, OverflowError):
        pass
    wanted = {bool: "true or false", int: "a whole number", float: "a number", str: "a word"}.get(
        kind, "numbers such as 64,64"
    )
    raise RequestError(f"{path} must be {wanted}, not {value!r}")


def _finite(x: Any) -> Any:
    """The item. Raises ValueError for a number that is infinite or NaN."""
    if not isinstance(x, str) and not isfinite(x):
        raise ValueError
    return x


def plain_settings(settings: Any) -> dict[str, Any]:
    """Settings as they are after a round trip through JSON."""
    values = {f.name: getattr(settings, f.name) for f in fields(settings)}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
