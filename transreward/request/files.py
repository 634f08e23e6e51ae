"""Reading a request from a file."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from transreward.plain import read_mapping
from transreward.presets import restore_learner
from transreward.request.fields import COUNTS, FIELDS
from transreward.row import SECTIONS
from transreward.runs import store
from transreward.types import RequestError, nearest, whole_number


def read_config(path: Path) -> dict[str, Any]:
    """The request in a config file (JSON as config.json, or YAML), as keyword arguments of `transfer`."""
    text = read_mapping(path, "{method: darc}")
    store.require_schema(path, text)
    plain = set(FIELDS) - {"learner"}  # which may be a mapping
    request: dict[str, Any] = {key: text.pop(key) for key in plain & set(text)}
    if isinstance(several := text.pop("sources", None), list):  # a run's, of which the first is its source
        request["source"] = several
    for key in set(COUNTS) & set(request):
        with suppress(ValueError):  # anything else is refused when the whole request is checked
            request[key] = whole_number(request[key]) if isinstance(request[key], str) else request[key]
    for name, what in (("controls", "methods"), ("imports", "modules")):
        if not isinstance(request.get(name, ""), (str, list)):
            raise RequestError(f"{path}: '{name}' must be a list of {what}")
    if not isinstance(request.get("source_run") or "", str):
        raise RequestError(f"{path}: 'source_run' must be a directory")
    learner, settings = _settings(path, text)
    if "schema" in text and "loop.symmetry" not in settings:  # written by a run before there were symmetries
        settings["loop.symmetry"] = "none"
    for ignored in ("schema", "versions", "spaces", "shift", "variant"):
        text.pop(ignored, None)
    replaced = text.pop("replaced", {})
    if not isinstance(replaced, dict):
        raise RequestError(f"{path}: 'replaced' must be a mapping of settings")
    if replaced:  # written by a run: the other methods use these, its own method overrides them again
        own = {name.partition(".")[2]: v for name, v in settings.items() if name.startswith("learner.")}
        learner = {"learner": restore_learner({**own, **replaced, "name": learner.get("learner")})}
        settings = {name: v for name, v in settings.items() if name not in {f"learner.{x}" for x in replaced}}
    if text:
        raise nearest(next(iter(text)), [*plain, "learner", "loop", *SECTIONS, "settings"], "key")
    return {**request, **learner, "settings": settings}


def _settings(path: Path, text: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Remove the learner's name, if any, and all settings from a file's mapping; return them as fields and by path."""
    learner, settings = {}, {}
    for section in ("settings", "learner", "loop", *SECTIONS):
        value = text.pop(section, {})
        if isinstance(value, str) and section == "learner":
            value = {"name": value}
        if not isinstance(value, dict):
            raise RequestError(f"{path}: '{section}' must be a mapping of settings")
        if section == "learner" and "name" in value:
            learner = {"learner": value.pop("name")}
        if section == "offline":
            value = {name: x for name, x in value.items() if name != "name"}  # which the method decides
        settings |= {name if section == "settings" else f"{section}.{name}": v for name, v in value.items()}
    return learner, settings
