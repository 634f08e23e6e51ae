"""Several methods and their controls on one pair, from one source agent, in one table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from transreward.domains.domain import Domain
from transreward.methods import Method, method
from transreward.request.config import Config
from transreward.request.resolve import each
from transreward.row import SECTIONS
from transreward.runs.comparison import Comparison
from transreward.runs.source_agent import import_all
from transreward.transfer import Watch, carry_out, compared, planned, requested
from transreward.types import AUTO, CONTROLS, DEFAULT_METHOD, FINE_TUNE, RequestError, usual_controls


def compare(
    source: Domain | str,
    target: Domain | str,
    methods: Sequence[str],
    *,
    learner: Any = None,
    source_steps: int | None = None,
    target_steps: int | None = None,
    seeds: int = 3,
    seed: int = 0,
    settings: dict[str, Any] | None = None,
    source_run: str | Path | None = None,
    bridge: str = AUTO,
    evaluate: Domain | str | None = None,
    fresh: bool = False,
    out: str | Path | None = None,
    log: Sequence[str] = (),
    imports: Sequence[str] = (),
    watch: Watch | None = None,
) -> Comparison:
    """Run `methods` on one pair with the same seeds and budgets; `CONTROLS` that are not named are added, beside
    logs only those that take no step there.

    The rest is as for `transfer`. `settings` of a gap, use, gate or feed must all belong to a single method, or name
    theirs, as in {"darc.use.strength": 1.0, "sac_iw.use.high": 5.0}.
    Raises RequestError for a wrong request, before anything is written; BrokenRun where a number stopped being finite.
    """
    config, names = planned_comparison(
        source, target, methods, learner=learner, source_steps=source_steps, target_steps=target_steps, seeds=seeds,
        seed=seed, settings=settings, source_run=source_run, bridge=bridge, evaluate=evaluate, fresh=fresh,
        imports=imports,
    )  # fmt: skip
    result = carry_out(config, requested(config, learner, settings or {}, log, names), out, log, watch)
    return compared(result, names)


def planned_comparison(
    source: Domain | str,
    target: Domain | str,
    methods: Sequence[str],
    *,
    settings: dict[str, Any] | None = None,
    source_run: str | Path | None = None,
    imports: Sequence[str] = (),
    **request: Any,
) -> tuple[Config, list[str]]:
    """The checked request of a `compare` with these arguments, of which nothing is run, and its methods in order."""
    imports = import_all(imports, source_run)
    ids = [one.name if isinstance(one, Domain) else str(one) for one in (each(source)[0], target)]
    rows = chosen(methods, usual_controls(*ids))
    first = leader(rows, settings or {}, several=len(each(source)) > 1)
    controls = [row.name for row in rows if row is not first]
    config = planned(
        source, target, first.name, settings=settings, controls=controls, source_run=source_run, imports=imports,
        **request,
    )  # fmt: skip
    return config, [row.name for row in rows]


def chosen(names: Sequence[str], controls: Sequence[str] = CONTROLS) -> list[Method]:
    """The rows of the methods named, in that order, then those of the controls that were not."""
    if isinstance(names, str) or not names:
        raise RequestError(
            f'name the methods to compare, as in `methods=["{DEFAULT_METHOD}", "{FINE_TUNE}"]` '
            f"(transreward list methods)"
        )
    rows = {}
    for name in names:
        row = method(str(name))
        if row.name in rows:
            raise RequestError(f"method '{row.name}' is named twice: name each method once")
        rows[row.name] = row
    return list({**rows, **{name: method(name) for name in controls if name not in rows}}.values())


def leader(rows: list[Method], settings: Iterable[str], several: bool = False) -> Method:
    """The method that `transfer` is asked for, the others being its controls: the one whose own settings are given.

    Where none are, one that goes on in the source: it is run first, so that no other's time is counted as its own. Of
    `several` sources it is one that can choose between them: the others take the leading one.
    """
    own: dict[str, list[Method]] = {}  # path -> the methods that have it
    for path in settings:
        section, _, name = path.partition(".")
        having = [row for row in rows if name in settings_in(row, section)]
        own |= {path: having} if having else {}
    meant = [row for row in rows if any(row in having for having in own.values())]
    if len(meant) > 1:
        path, (row, *_) = next(iter(own.items()))
        raise RequestError(
            f"{', '.join(own)} could be meant for {', '.join(row.name for row in meant)}: write a method's name before "
            f"each, as in {row.name}.{path}"
        )
    able = [row for row in meant or rows if row.chooses or not several]
    return min(able or meant or rows, key=lambda row: (row.gap is None, not row.uses_source))


def settings_in(row: Method, section: str) -> set[str]:
    """The names of a method's settings in a section; none where it has no such part."""
    part = getattr(row, section) if section in SECTIONS else None
    return set() if part is None else {field.name for field in fields(part)}
