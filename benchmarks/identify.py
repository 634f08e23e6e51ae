"""Does `identify` find what differs? Robots whose shifts are known, 500 steps each.

    python benchmarks/identify.py                         # runs the cases that are missing, then prints the table
    python benchmarks/identify.py --only 'hopper *'       # of these cases alone; `--again` also those that are there
    python benchmarks/identify.py --markdown              # the table of docs/identify.md; runs nothing
    python benchmarks/identify.py --list

A case is a robot, its shifts and a seed. The source policy acts, with a little noise, as in `identify --source-run`: a
PPO agent by the robot's preset, trained once into runs/identify/. A case is written to results/identify.json when it
ends; one that is there is not run again. CPU seconds are of the fit alone, in one thread.
"""

from __future__ import annotations

import argparse
import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # CPU seconds are those of one core

import time
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from record import RESULTS, provenance, read, write

import transreward as tr
from transreward.domains.parameters import DEAD, Family
from transreward.domains.shifts import SHIFTS, Shift, parse
from transreward.identify.evidence import Evidence
from transreward.identify.identification import NOISES, Identification
from transreward.identify.identified import identifiable, identified, variants_of
from transreward.preflight.identify import walked

RESULT = RESULTS / "identify.json"
AGENTS = Path("runs/identify")
ROBOTS = ("halfcheetah", "hopper", "walker2d", "ant")
STEPS = 500
CLOSE, NOISY = 0.02, 0.1  # of a value: what counts as found, without noise and with it
NOISE = "sensor_noise=0.01"

WHOLE = (
    "gravity=0.5", "gravity=2", "slope=5", "friction=0.3", "friction=2", "softness=2", "mass=0.7", "mass=1.5",
    "payload=2", "size=1.1", "damping=0.5", "damping=3", "armature=2", "frictionloss=2", "range=0.6", "gear=0.7",
    "bias=0.1", "deadzone=0.2", "viscosity=1", "density=300", "sensor_bias=0.1",
)  # fmt: skip
ACTING = ("delay=1", "delay=2", "delay=3", "sensor_delay=1", "sensor_delay=2", "noise=0.1", "sensor_noise=0.01")
PARTS = {
    "halfcheetah": (
        "stiffness=2", "friction(bfoot)=0.3", "mass(torso)=2", "payload(bthigh)=1", "size(torso)=1.2",
        "size(fthigh)=1.2", "damping(fshin)=3", "armature(bthigh)=3", "stiffness(bshin)=3", "frictionloss(bthigh)=4",
        "range(*foot)=0.5", "gear(fthigh)=0.5", "broken=bthigh", "bias(bshin)=0.2", "deadzone(bthigh)=0.3",
        "sensor_bias(rooty angle)=0.3",
    ),
    "hopper": (
        "friction(foot_geom)=0.3", "mass(torso)=2", "payload(leg)=1", "size(torso)=1.2", "size(thigh)=1.2",
        "damping(leg_joint)=3", "armature(foot_joint)=3", "frictionloss(leg_joint)=4", "range(foot_joint)=0.5",
        "gear(leg_joint)=0.7", "broken=foot_joint", "bias(thigh_joint)=0.1", "deadzone(leg_joint)=0.2",
        "sensor_bias(leg_joint angle)=0.3",
    ),
    "walker2d": (
        "friction(foot_geom)=0.3", "mass(torso)=2", "payload(leg)=1", "size(torso)=1.2", "size(thigh_left)=1.2",
        "damping(leg_joint)=3", "armature(foot_joint)=3", "frictionloss(leg_joint)=4", "range(foot_left_joint)=0.5",
        "gear(leg_joint)=0.7", "broken=foot_left_joint", "bias(thigh_joint)=0.1", "deadzone(leg_left_joint)=0.2",
        "sensor_bias(leg_joint angle)=0.3",
    ),
    "ant": (
        "friction(left_ankle_geom)=0.3", "mass(torso)=2", "payload(ankle_2)=0.1", "size(torso)=1.2",
        "size(ankle_3)=1.2",
        "damping(hip_1)=3", "armature(ankle_4)=3", "frictionloss(hip_2)=4", "range(ankle_1)=0.5", "gear(hip_3)=0.5",
        "broken=ankle_4", "bias(hip_4)=0.1", "deadzone(ankle_3)=0.3", "sensor_bias(hip_2 angle)=0.3",
    ),
}  # fmt: skip
PAIRS = {
    "halfcheetah": (
        "gear=0.7,friction=0.3", "mass(torso)=1.6,broken=ffoot", "gravity=0.5,delay=1", "viscosity=0.5,density=30",
        "damping=2,gravity=1.3",
    ),
    "hopper": ("gravity=0.8,damping=3", "mass(torso)=1.5,friction=0.3", "gear=0.8,delay=1"),
    "walker2d": ("friction=0.3,gear=0.8", "gravity=0.7,mass(torso)=1.5"),
    "ant": ("gear(hip_1)=0.5,gear(hip_3)=0.5", "gravity=0.5,damping=2"),
}  # fmt: skip
NOISED = {  # and the number of seeds: 40 cases
    "halfcheetah": (("gravity=0.5", "friction=0.3", "mass(torso)=2", "gear=0.7", "damping=3", "broken=bthigh"), 2),
    "hopper": (("gravity=0.5", "friction=0.3", "mass(torso)=2", "gear=0.7", "damping=3", "broken=foot_joint"), 3),
    "walker2d": (("gravity=0.5", "friction=0.3", "mass(torso)=2", "gear=0.7"), 2),
    "ant": (("gravity=0.5", "broken=hip_1"), 1),
}
LOGS = {  # of another simulator's generation: what is known of each (a value, or what is said)
    "halfcheetah_gravity_0.5_medium": ("halfcheetah", {"gravity": 0.5}),
    "hopper_gravity_0.5_medium": ("hopper", {"gravity": 0.5}),
    "halfcheetah_kinematic_medium": ("halfcheetah", None),
    "hopper_morph_medium": ("hopper", None),
}


@dataclass(frozen=True)
class Case:
    """A robot with shifts that are known."""

    robot: str
    group: str  # single, acting, none, pair, noise, log
    shifts: str
    seed: int = 0

    @property
    def name(self) -> str:
        return f"{self.robot} {self.shifts or 'none'}{f' seed {self.seed}' if self.seed else ''}"


def cases() -> list[Case]:
    """All of them."""
    found = []
    for robot in ROBOTS:
        found += [Case(robot, "none", "", seed) for seed in (0, 1)]
        whole = [shifts.replace("density=300", "density=30") if robot == "ant" else shifts for shifts in WHOLE]
        found += [Case(robot, "single", shifts) for shifts in (*whole, *PARTS[robot])]  # in thick air ants explode
        found += [Case(robot, "acting", shifts) for shifts in ACTING]
        found += [Case(robot, "pair", shifts) for shifts in PAIRS[robot]]
        shifts, seeds = NOISED[robot]
        found += [Case(robot, "noise", f"{one},{NOISE}", seed) for seed in range(seeds) for one in shifts]
    return found


def agent(robot: str) -> Path:
    """The run directory of the source agent, trained where it is missing."""
    out = AGENTS / robot
    if not (out / "source").exists():
        tr.transfer(robot, f"{robot}:gravity=0.9", "zero_shot", controls=(), learner="ppo", seeds=1, out=out)
    return out


def steps(case: Case) -> Evidence:
    """That the target of `case` took."""
    target = tr.domain(f"{case.robot}:{case.shifts}" if case.shifts else case.robot)
    return walked(identifiable(case.robot), target, agent(case.robot), STEPS, case.seed)


def run(case: Case) -> dict[str, Any]:
    """What `identify` says of one case."""
    robot = identifiable(case.robot)
    try:
        return judged(case, *timed(robot, steps(case)), variants_of(robot))
    except tr.RequestError as error:
        return {**asdict(case), "steps": STEPS, "verdict": "refused", "words": [str(error)]}


def timed(robot: Any, told: Evidence) -> tuple[Identification, float]:
    """An identification and its CPU seconds; the family of the robot is made before."""
    variants_of(robot)
    began = time.process_time()
    found = identified(robot, told)
    return found, time.process_time() - began


def truth(case: Case, family: Family) -> dict[str, float]:
    """Parameter -> its value in the target; of elements where a pattern matches several."""
    wanted: dict[str, float] = {}
    for shift in parse(case.shifts) if case.shifts else ():
        shift = Shift("gear", 0.0, str(shift.value)) if shift.name == "broken" else shift
        names = [p.name for p in family.parameters if p.kind.name == shift.name and of(shift.pattern, p.pattern)]
        names = [str(shift).partition("=")[0]] if shift.pattern is None or not names else names
        wanted |= {name: float(shift.value) for name in names}  # pyright: ignore
    return wanted


def of(pattern: str | None, element: str | None) -> bool:
    """Whether an element is one of a pattern's."""
    return pattern == element or (pattern is not None and element is not None and fnmatchcase(element, pattern))


def judged(case: Case, found: Identification, seconds: float, family: Family) -> dict[str, Any]:
    """A case's result: `verdict` is right, alike (another parameter of the same effect, which is told) or wrong."""
    wanted, close = truth(case, family), NOISY if case.group == "noise" else CLOSE
    named = {n.parameter.name: (n.value, n.low, n.high) for n in found.named}
    off = {name: error(name, value, named) for name, value in wanted.items()}
    extra = [name for name in named if name not in wanted]
    missed = [name for name, x in off.items() if x > (NOISY if name in NOISES else close)]
    alike = set(found.alike)
    verdict = "right" if not missed and not extra else "wrong"
    if verdict == "wrong" and all(any((e, m) in alike for e in extra) for m in missed if m not in named):
        verdict = "alike" if found.explained > 0.999 and all(m not in named for m in missed) else "wrong"
    inside = {name: bool(named[name][1] <= value <= named[name][2]) for name, value in wanted.items() if name in named}
    return {
        **asdict(case), "steps": STEPS,
        "verdict": verdict, "id": found.id, "named": named, "off": off, "inside": inside,
        "explained": found.explained, "ten_step_error": list(found.ten_step_error), "cpu_seconds": round(seconds, 2),
        "words": found.lines(),
    }  # fmt: skip


def error(name: str, value: float, named: dict[str, tuple[float, float, float]]) -> float:
    """Of what was found, as a share of the value: 1 where it was not; of a dead motor and of delays, all or nothing."""
    if name not in named:
        return 1.0
    found = named[name][0]
    if SHIFTS[name.partition("(")[0]].value == "steps":
        return float(found != value)
    return float(found >= DEAD) if value == 0 else abs(found - value) / abs(value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=["*"], metavar="PATTERN", help="of names or groups of cases")
    parser.add_argument("--again", action="store_true", help="also cases that are there")
    parser.add_argument("--logs", type=Path, help="directory of the handed logs")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--markdown", action="store_true")
    parser.add_argument("--out", type=Path, default=RESULT)
    args = parser.parse_args()
    chosen = [c for c in cases() if any(fnmatchcase(x, p) for x in (c.name, c.group) for p in args.only)]
    result = read(args.out) or {"cases": {}}
    for case in chosen if not args.markdown else ():
        if args.list:
            print(case.name)
        elif args.again or case.name not in result["cases"]:
            one = run(case)
            result = {**provenance(), "cases": {**(read(args.out) or result)["cases"], case.name: one}}
            write(args.out, result)
            print(
                f"{case.name:44} {one['verdict']:6} {one.get('cpu_seconds', 0):6.1f} s  {one['words'][0]}", flush=True
            )


if __name__ == "__main__":
    main()
