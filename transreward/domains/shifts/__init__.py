"""Shifts: changes of a robot's physics, made on its `MjSpec` before the model is compiled, on its actions, or on what
it sees. Each module holds the rows of one part of the table, with the functions behind them."""

from transreward.domains.shifts.acts import acting
from transreward.domains.shifts.both import slot, together
from transreward.domains.shifts.compiled import applied, build, of_plan, prepared, touched
from transreward.domains.shifts.elements import labels
from transreward.domains.shifts.kinds import Kind, Physics, Range, Shift
from transreward.domains.shifts.table import SHIFTS
from transreward.domains.shifts.text import parse

__all__ = [
    "SHIFTS", "Kind", "Physics", "Range", "Shift", "acting", "applied", "build", "labels", "of_plan", "parse",
    "prepared", "slot", "together", "touched",
]  # fmt: skip
