"""The table of shifts."""

from __future__ import annotations

from transreward.domains.shifts import acts, actuators, bodies, body_plan, contact, joints, sensors, world
from transreward.domains.shifts.kinds import Kind

SHIFTS: dict[str, Kind] = {
    kind.name: kind
    for part in (world, contact, body_plan, bodies, joints, actuators, acts, sensors)
    for kind in part.KINDS
}
OWN = dict(SHIFTS)  # the package's own rows; see `robots.OWN`
