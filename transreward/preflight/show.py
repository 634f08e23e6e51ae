"""A pre-flight as text: 80 columns on a terminal, plain in a pipe."""

from __future__ import annotations

import shlex

from rich.console import Console
from rich.table import Table
from rich.text import Text

from transreward.domains.domain import Domain, invertible, table_robot
from transreward.domains.names import Entry
from transreward.evaluation.verdict import number
from transreward.preflight.check import Check
from transreward.preflight.forecast import EPISODES
from transreward.preflight.rank import Ranking
from transreward.preflight.unlike import CROSS, UNCLEAR, UNTRIED, Unlike
from transreward.preflight.unlike import VERDICTS as UNLIKE_VERDICTS
from transreward.preflight.verdict import COMPENSATE, NO_HELP, SAME, SHAPE, TRANSFER, VERDICTS, Coverage, Verdict
from transreward.reports.repeat import folded
from transreward.types import UNKNOWN, Pair

WIDTH = 80
MOST_ENTRIES = 40  # of a space that are listed; the JSON has them all
MOST_MOVED = 6
NEXT = "next    "
COLOURS = {SAME: "green", TRANSFER: "green", COMPENSATE: "cyan", SHAPE: "yellow", NO_HELP: "red"}
COLOURS |= {CROSS: "cyan", UNCLEAR: "yellow", UNTRIED: "yellow"}
FAMILY = "each episode of the source is another robot, so paired methods are refused: name one robot of the family"
TWIN = {  # whether the source is invertible -> what the paired methods do
    True: "the source's simulator can be reset to observed target states: paired methods replay target steps in it",
    False: "the source cannot be reset to an observed state (part of it is hidden, or a row of your own has no "
    "`invert`): paired methods use a learned model of it instead",
}


def show(check: Check | Unlike | Ranking, console: Console | None = None) -> None:
    """Print a check: spaces, shift, physics, support, detection, rewards, and the verdict last; of unlike robots what
    their bridge joins and what differs across it; of several sources which is nearest."""
    console = console or Console(markup=False, emoji=False)  # an id may hold [what would be markup]
    if not console.is_terminal or console.width > 100:
        console.width = WIDTH
    if isinstance(check, Ranking):
        return _ranking(check, console)
    _ends(check.domains, console)
    if isinstance(check, Unlike):
        for section in (_bridge, _across, _unlike_verdict):
            section(check, console)
    else:
        for section in (_spaces, _shift, _physical, _support, _detection, _rewards, _verdict):
            section(check, console)


def _heading(console: Console, name: str) -> None:
    console.print()
    console.print(Text(name, style="bold"))


def _say(console: Console, text: str, style: str = "") -> None:
    console.print(Text(text, style=style))


def _columns(*names: str) -> Table:
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0), pad_edge=False)
    for name in names:
        table.add_column(name, overflow="fold")
    return table


# -- spaces --------------------------------------------------------------------------------------------------------


def _ends(domains: Pair[Domain], console: Console) -> None:
    for name, d in zip(("source", "target"), domains, strict=True):
        low, high = d.spaces.low.min(), d.spaces.high.max()
        _say(
            console,
            f"{name}  {d.name}: {d.spaces.obs} observations, {d.spaces.action} actions in [{low:g}, {high:g}], "
            f"episodes of {d.episode_steps} steps, reward = {' + '.join(d.reward_terms)}",
        )


def _spaces(check: Check, console: Console) -> None:
    for what in ("observation", "action"):
        sides = [of[what] for of in check.space_entries]
        _heading(console, f"{what}s")
        table = _columns("", *(("both",) if sides[0] == sides[1] else ("source", "target")))
        rows = list(zip(*(sides[:1] if sides[0] == sides[1] else sides), strict=True))
        for i, row in enumerate(rows[:MOST_ENTRIES]):
            table.add_row(str(i), *(_entry(entry) for entry in row))
        console.print(table)
        if len(rows) > MOST_ENTRIES:
            _say(console, f"... and {len(rows) - MOST_ENTRIES} more (the JSON has all)", "dim")


def _entry(entry: Entry) -> str:
    unit = f", {entry.unit}" if entry.unit not in ("1", UNKNOWN) else ""
    bounded = entry.low > -float("inf") or entry.high < float("inf")
    return entry.name + unit + (f"  [{entry.low:.3g}, {entry.high:.3g}]" if bounded else "")


# -- what was measured ---------------------------------------------------------------------------------------------


def _shift(check: Check, console: Console) -> None:
    _heading(console, "the shift")
    if check.changes:
        table = _columns("what changed", "of", "source", "target")
        for change in check.changes:
            table.add_row(*change)
        console.print(table)
    _say(console, _measured(check))
    for name, moved in (("joints and bodies", check.parts), ("entries", check.entries)):
        if moved:
            largest = ", ".join(f"{one.name} {one.spreads:.2g}" for one in moved[:MOST_MOVED])
            _say(console, f"{name} whose next state differs most, in spreads: {largest}")
    f = check.figures
    _say(console, f"effects of the same action: agreement {f.agreement:.2f} (1 = same direction, 0 = unrelated)")
    if f.noise:
        _say(console, f"noise: a repeated step differs by {f.noise:.2g} spreads")
    _say(console, "1 spread: standard deviation of an entry's one-step change", "dim")
    if check.starts_differ:
        _say(console, "initial states differ")
    source = check.domains.source
    robot = table_robot(source)
    twin = FAMILY if robot is not None and robot.redrawn else TWIN[invertible(source)]
    _say(console, f"twin: {twin}", "dim")


def _measured(check: Check) -> str:
    """`ShiftMeasure` as text, with the names of entries in place of their numbers."""
    names = [entry.name for entry in check.space_entries.source["observation"]]
    text = str(check.shift)
    for i, _ in check.shift.entries:
        text = text.replace(f"obs[{i}]", names[i])
    return text


def _physical(check: Check, console: Console) -> None:
    _heading(console, "what differs physically, by the target's steps")
    found = check.identification
    for line in [f"not known: {found}"] if isinstance(found, str) else found.lines():
        _say(console, line)
    if check.forecast is not None:
        source, target = map(number, check.forecast)
        _say(
            console,
            f"forecast: the source policy returns {source} in the source, and would return {target} in the target, by "
            f"the simulator with what was found (first seed, {EPISODES} episodes of each)",
        )


def _support(check: Check, console: Console) -> None:
    _heading(console, "support: share of steps that the other domain can take with its best action")
    table = _columns("actions", "source's steps in target", "target's steps in source", "gap, spreads")

    def row(name: str, c: Coverage) -> None:
        table.add_row(name, f"{c.target_covers_source:.0%}", f"{c.source_covers_target:.0%}", f"{c.gap:.3f}")

    row("random", check.figures.random)
    if check.figures.policy is not None:
        row("source policy", check.figures.policy)
    console.print(table)


def _detection(check: Check, console: Console) -> None:
    d = check.detection
    _heading(console, "detection: a classifier on held-out steps")
    _say(
        console,
        f"AUC {d.auc:.2f} ({d.interval[0]:.2f} to {d.interval[1]:.2f}; 0.5 = cannot tell), calibration error "
        f"{d.calibration:.2f} ({d.uncalibrated:.2f} before calibration)",
    )


def _rewards(check: Check, console: Console) -> None:
    f = check.figures
    _heading(console, "rewards, shaping removed")
    measured = "" if check.reward_explained == 1.0 else f" (by models that explain {check.reward_explained:.0%})"
    _say(console, f"distance {f.reward_distance:.2f} (0 = alike, 0.71 = unrelated, 1 = opposed){measured}")
    for term in check.terms:
        _say(console, f"  {term.term}: {term.how}")
    _say(console, f"relabelling is {check.relabelling}" if f.tasks_differ else check.relabelling)


def _verdict(check: Check, console: Console) -> None:
    _judged(check.verdict, VERDICTS, console)
    if check.seen:
        _say(
            console, f"seen as {check.seen} the source is paid like the target, and a transfer sees it so: start there"
        )
    _closing(check, f" (source: {check.source_steps:,})", console)


def _judged(verdict: Verdict, verdicts: dict[str, str], console: Console) -> None:
    _heading(console, "verdict")
    console.print(
        Text.assemble((verdict.verdict, f"bold {COLOURS[verdict.verdict]}"), f": {verdicts[verdict.verdict]}")
    )
    _say(console, verdict.reason)


def _closing(check: Check | Unlike, source: str, console: Console) -> None:
    for limit in check.verdict.limits:
        _say(console, limit, "yellow")
    _next(check, source, console)


def _next(check: Check | Unlike | Ranking, source: str, console: Console) -> None:
    _say(console, f"target steps taken: {check.target_steps:,}{source}", "dim")
    command = folded(shlex.split(check.command), WIDTH - len(NEXT))
    console.print(Text(f"{NEXT}{command}", style="bold"), soft_wrap=True)


# -- several sources -----------------------------------------------------------------------------------------------


def _ranking(found: Ranking, console: Console) -> None:
    table = _columns("", "source", "verdict", "gap, spreads", "rewards apart", *["forecast"][: found.foreseen])
    for i, one in enumerate(found.checks, 1):
        figures = ("", "", "")
        if not isinstance(one, Unlike):
            known = "" if one.forecast is None else number(one.forecast.target)
            figures = f"{one.figures.gap:.3f}", f"{one.figures.reward_distance:.2f}", known
        verdict = Text(one.verdict.verdict, style=COLOURS[one.verdict.verdict])
        table.add_row(str(i), one.domains.source.name, verdict, *figures[: len(table.columns) - 3])
    console.print(table)
    for i, one in enumerate(found.checks, 1):
        if not isinstance(one, Unlike) and not isinstance(one.identification, str):
            _say(console, f"{i}  {'; '.join([one.identification.lines()[0], *one.identification.untold()])}")
    for limit in dict.fromkeys(limit for one in found.checks for limit in one.verdict.limits):
        whose = [str(i) for i, one in enumerate(found.checks, 1) if limit in one.verdict.limits]
        _say(console, limit if len(whose) == len(found.checks) else f"{', '.join(whose)}  {limit}", "yellow")
    _next(found, "", console)


# -- unlike robots -------------------------------------------------------------------------------------------------


def _bridge(check: Unlike, console: Console) -> None:
    _heading(console, "the bridge: each motor and column of the target, and what it shows of the source")
    rows = check.across.table().splitlines()
    for line in rows[: MOST_ENTRIES + 1]:
        _say(console, line)
    if len(rows) > MOST_ENTRIES + 1:
        _say(console, f"... and {len(rows) - MOST_ENTRIES - 1} more", "dim")
    console.print()
    _say(console, check.across.said())


def _across(check: Unlike, console: Console) -> None:
    if check.differs:
        _heading(console, "what differs across it")
        table = _columns("what", "of", "source", "target")
        for change in check.differs:
            table.add_row(*change)
        console.print(table)


def _unlike_verdict(check: Unlike, console: Console) -> None:
    _judged(check.verdict, UNLIKE_VERDICTS, console)
    if check.to_try:
        console.print(Text(f"to try  {check.to_try}"), soft_wrap=True)
    _closing(check, "", console)
