"""Rewrites the tables of these pages from the code's own: `python docs/tables.py`.

A page holds a marked block, `<!-- generated: KEY -->` to `<!-- end -->`, whose inside is written here; KEY is a name of
BLOCKS with what follows it, such as `settings of darc`. The pages are committed with it, so that they read whole on a
forge too; tests/test_docs_tables.py fails where one is stale.
"""

from __future__ import annotations

import ast
import inspect
import io
import re
import tokenize
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from transreward.cli.list import able, choices
from transreward.domains.shifts import SHIFTS
from transreward.domains.tasks import TASKS
from transreward.feed import Feed
from transreward.gaps import GAPS
from transreward.gates.chain import Gate
from transreward.ground import Ground
from transreward.learners import LEARNERS
from transreward.methods import METHODS, Method
from transreward.presets import LEARNERS as OF_AGENTS
from transreward.randomise import Informed
from transreward.request.loop import Loop
from transreward.row import SECTIONS
from transreward.types import RequestError
from transreward.uses import USES

DOCS = Path(__file__).parent
BLOCK = re.compile(r"(<!-- generated: (.+?) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
STARTS = {"source": "source agent", "nothing": "scratch", "ceiling": "scratch, with the source's budget"}
TINY = 1e-6
PLAIN = Feed()


def table(head: Sequence[str], rows: Iterator[Sequence[str]] | Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    cells = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(x.replace("|", "\\|") for x in row) + " |\n" for row in cells)


def code(text: str) -> str:
    """In backticks; nothing stays nothing."""
    return f"`{text}`" if text else ""


# -- methods, shifts, tasks ---------------------------------------------------------------------------------------


def methods() -> str:
    """Every row of the table of methods, with a link to its page."""
    head = ("method", "what it does", "start", "feed", "gap", "use", "learner")
    return table(head, [_method(name) for name in METHODS])


def _method(name: str) -> list[str]:
    row = METHODS[name]
    gap, use, feed, learner = ("" if word == "-" else word for word in choices(row))
    gap, use = (", ".join(code(x) if x in {**GAPS, **USES} else x for x in part.split(", ")) for part in (gap, use))
    does = row.summary + ("" if row.needs_target_reward else "; needs no target reward")
    return [f"[`{name}`]({page_of(name)})", does, STARTS[row.start], feed, gap, use, learner]


@cache
def page_of(name: str) -> str:
    """Where a method is described, from docs/: the page of its name, or the one with a heading that names it."""
    for page in sorted((DOCS / "methods").glob("*.md")):
        for line in page.read_text().splitlines():
            level, _, heading = line.partition(" ")
            if level.strip("#") == "" and name in re.split(r"\W+", heading):
                return f"methods/{page.name}" + (f"#{name}" if len(level) > 1 else "")
    raise LookupError(f"no page below docs/methods has '{name}' in its title or in a heading of its own")


def shifts() -> str:
    """Every shift."""
    head = ("shift", "what it does", "values", "unit", "changes nothing at", "a pattern matches")
    rows = []
    for kind in SHIFTS.values():
        neutral = "" if kind.neutral is None else f"{kind.neutral:g}"
        unit = kind.value if kind.value not in ("pattern", "file", "number") else ""
        own = kind.elements if kind.element and kind.value != "pattern" else ""
        rows.append([code(kind.name), kind.doc, kind.range, unit, neutral, own])
    return table(head, rows)


def tasks() -> str:
    """Every task."""
    rows = []
    for kind in TASKS.values():
        has = [f"{k} = {v:g}" for k, v in kind.values.items() if v is not None]
        rows.append([code(kind.usage), ", ".join(has), kind.doc, able(kind)])
    return table(("task", "defaults", "what it pays", "robots"), rows)


# -- settings -----------------------------------------------------------------------------------------------------


def settings(which: str = "") -> str:
    """Of one part (`loop`, `gap latent`, ...), of rows of the methods (`of darc`), or of all with headings."""
    if which.startswith("of "):
        return _of_rows(which.removeprefix("of ").split(", "))
    if which:
        return _settings(*_parts()[which])
    return "\n".join(f"## {which}\n\n{settings(which)}" for which, (_, part) in _parts().items() if _names(part))


def _parts() -> dict[str, tuple[str, Any]]:
    """Heading -> section of its paths, and what has them, as its defaults are."""
    own = {kind.name: kind for kind in (type(row.gap) for row in METHODS.values() if row.gap is not None)}
    offline = {name: kind for name, kind in LEARNERS.items() if kind.offline}
    return {
        "loop": ("loop", Loop()),
        **{f"learner {name}": ("learner", kind()) for name, kind in OF_AGENTS.items() if not kind.offline},
        **{f"offline {name}": ("offline", kind()) for name, kind in offline.items()},
        "feed": ("feed", Feed()),
        "gate": ("gate", Gate()),
        "ground": ("ground", Ground()),
        "randomise": ("randomise", Informed()),
        **{f"gap {name}": ("gap", kind()) for name, kind in {**GAPS, **own}.items()},
        **{f"use {name}": ("use", kind()) for name, kind in USES.items()},
    }


def _of_rows(names: list[str]) -> str:
    """What methods have, a column of values for each; of the feed only what it says."""
    rows: dict[tuple[str, str], dict[str, tuple[Any, str]]] = {}  # (path, meaning) -> method -> part, field
    for name in names:
        for section, part, field in _chosen(METHODS[name]):
            rows.setdefault((f"{section}.{field}", meaning(type(part), field)), {})[name] = (part, field)
    if not rows:
        return "It has no settings of its own.\n"
    head = ("setting", *(["default"] if len(names) == 1 else map(code, names)), "values", "meaning")
    lines = []
    for (path, about), of in rows.items():
        own = [written(getattr(*of[name])) if name in of else "" for name in names]
        lines.append([code(path), *own, valid(*next(iter(of.values()))), about])
    return table(head, lines)


def _chosen(row: Method) -> list[tuple[str, Any, str]]:
    parts = [(section, part) for section in SECTIONS if (part := getattr(row, section)) is not None]
    agent = replace(OF_AGENTS["sac"](), **dict(row.learner))
    own = [(section, part, field) for section, part in parts for field in _names(part)]
    told = [one for one in own if one[0] != "feed" or getattr(one[1], one[2]) != getattr(PLAIN, one[2])]
    return [*told, *(("learner", agent, field) for field, _ in row.learner)]


def _settings(section: str, part: Any) -> str:
    rows = [
        [code(f"{section}.{name}"), written(getattr(part, name)), valid(part, name), meaning(type(part), name)]
        for name in _names(part)
    ]
    return table(("setting", "default", "values", "meaning"), rows)


def _names(part: Any) -> list[str]:
    return [field.name for field in fields(part)]


def written(value: Any) -> str:
    """A value as the command line takes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(map(str, value)) or "()"
    text = f"{value:.12g}" if isinstance(value, float) else str(value)
    return text.replace(",", ",<wbr>") if len(text) > 40 else text  # a long one may be broken


def valid(part: Any, name: str) -> str:
    """The values that a setting may have: found by trying, so that it is what the code refuses."""
    kind = get_type_hints(type(part))[name]
    if get_origin(kind) is Literal:
        words = [word for word in get_args(kind) if _taken(part, name, word)]
        if len(words) == 1:  # another setting has to change with it
            words = [word for word in get_args(kind) if word in meaning(type(part), name)]
        return ", ".join(map(code, words))
    if kind is bool:
        return "true, false"
    if kind not in (int, float):
        return "" if kind is str else "words" if str in get_args(kind) else "numbers"
    bounds = _bounds(lambda x: _taken(part, name, kind(x)), kind is int)
    return ", ".join(filter(None, ("whole" if kind is int else "", bounds))) or "any number"


def _bounds(taken: Callable[[float], bool], whole: bool) -> str:
    half = () if whole else ((0.5, "above 0"),)  # of a share, of which another setting says how little is too little
    lowest = ((-1, ""), (0, "from 0"), (TINY, "above 0"), *half, (1, "from 1"), (2, "from 2"))
    low = next((text for x, text in lowest if taken(x)), "")
    if not low or taken(1e6):
        return low.replace("from", "at least")
    high = "" if taken(2 if whole else 1 + TINY) else " to 1" if taken(1) else " to below 1"
    return low.replace("from ", "") + high if low.startswith("from") and high else low + high


def _taken(part: Any, name: str, value: Any) -> bool:
    others = [row.feed for row in METHODS.values() if row.feed] if isinstance(part, Feed) else []
    return any(_fits(one, name, value) for one in (part, *others))  # a feed's settings fit beside others only


def _fits(part: Any, name: str, value: Any) -> bool:
    try:
        made = replace(part, **{name: value})
        getattr(made, "transforms", None)  # where a gate checks its settings
    except RequestError:
        return False
    return True


@cache
def meaning(kind: type, name: str) -> str:
    """The comment on a setting, where the class that has it is written."""
    owner = next(one for one in kind.__mro__ if name in vars(one).get("__annotations__", {}))
    found = _comments(owner).get(name)
    if not found:
        raise LookupError(f"{owner.__module__}.{owner.__name__}.{name} has no comment that says what it is")
    return found


@cache
def _comments(kind: type) -> dict[str, str]:
    """Field -> its comment: on its lines and those behind them, or else above it."""
    text = inspect.getsource(kind)
    said = {
        t.start[0]: t.string.lstrip("# ")
        for t in tokenize.generate_tokens(io.StringIO(text).readline)
        if t.type == tokenize.COMMENT
    }
    body = [node for node in ast.parse(text).body[0].body if not isinstance(node, ast.Expr)]
    alone = {i for i, line in enumerate(text.splitlines(), 1) if line.lstrip().startswith("#")}
    found = {}
    for node in body:
        if isinstance(node, ast.AnnAssign):
            lines = [i for i in range(node.lineno, node.end_lineno + 1) if i in said]
            following = node.end_lineno + 1
            while lines and following in alone:
                lines.append(following)
                following += 1
            above = node.lineno - 1
            while above in alone and (not lines or lines[0] < node.lineno):
                lines.insert(0, above)
                above -= 1
            found[node.target.id] = " ".join(said[i] for i in lines)
    return found


BLOCKS: dict[str, Callable[..., str]] = {"methods": methods, "shifts": shifts, "tasks": tasks, "settings": settings}


def fresh(text: str) -> str:
    """The page with its blocks as the code would write them."""

    def write(block: re.Match[str]) -> str:
        name, _, which = block[2].partition(" ")
        inside = BLOCKS[name](which) if which else BLOCKS[name]()
        return f"{block[1]}\n{inside}\n{block[4]}"

    return BLOCK.sub(write, text)


def pages() -> list[Path]:
    """Those with a block."""
    return [page for page in sorted(DOCS.rglob("*.md")) if BLOCK.search(page.read_text())]


if __name__ == "__main__":
    for page in pages():
        text = page.read_text()
        if (new := fresh(text)) != text:
            page.write_text(new)
            print(page.relative_to(DOCS))
