"""Does `identify` find what differs? Robots whose shifts are known, 500 steps each.

    python benchmarks/identify.py                         # runs the cases that are missing, then prints the table
    python benchmarks/identify.py --only 'hopper *'       # of these cases alone; `--again` also those that are there
    python benchmarks/identify.py --markdown              # the tables, into docs/identify.md; runs nothing
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
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from statistics import median
from typing import Any

import outside
from record import RESULTS, provenance, read, table, write

import transreward as tr
from transreward.domains.parameters import DEAD, Family
from transreward.domains.shifts import SHIFTS, Shift, parse
from transreward.identify.evidence import Evidence
from transreward.identify.identification import NOISES, Identification
from transreward.identify.identified import identifiable, identified, variants_of
from transreward.identify.known import Known
from transreward.preflight.identify import of_logs, walked
from transreward.preflight.identify import read as read_logs

RESULT = RESULTS / "identify.json"
AGENTS = Path("runs/identify")
PAGE, BEGIN, END = Path("docs/identify.md"), "<!-- table -->", "<!-- end -->"
ROBOTS = ("halfcheetah", "hopper", "walker2d", "ant")
STEPS, LOGGED = 500, 2000  # of a target, and of a log
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
OUTSIDE = {  # factories of outside.py, whose effects no parameter describes
    "falling_torque": "halfcheetah", "lag": "halfcheetah", "gusts": "halfcheetah", "bumpy": "hopper",
    "weak_one_way": "walker2d",
}  # fmt: skip
LOGS = {  # of another simulator's generation, and the gravity that is known of two of them
    "halfcheetah_gravity_0.5_medium": ("halfcheetah", 0.5),
    "hopper_gravity_0.5_medium": ("hopper", 0.5),
    "halfcheetah_kinematic_medium": ("halfcheetah", None),
    "hopper_morph_medium": ("hopper", None),
}
NEAR = 0.05  # of that gravity


@dataclass(frozen=True)
class Case:
    """A robot with shifts that are known."""

    robot: str
    group: str  # a key of GROUPS
    shifts: str  # or the name of a factory, or of a log
    seed: int = 0
    steps: int = STEPS

    @property
    def name(self) -> str:
        return f"{self.robot} {self.shifts or 'none'}{f' seed {self.seed}' if self.seed else ''}{self._longer}"

    @property
    def _longer(self) -> str:
        return f" {self.steps} steps" if self.steps != STEPS else ""


def cases(logs: Path | None) -> list[Case]:
    """All of them; those of logs where there is a directory of these."""
    found = [Case("walker2d", "acting", "delay=3", steps=1500)]  # it falls at once: few of 500 steps can be used
    found += [Case(robot, "outside", factory) for factory, robot in OUTSIDE.items()]
    found += [Case(robot, "log", name, steps=LOGGED) for name, (robot, _) in LOGS.items()] if logs else []
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


def steps(case: Case, logs: Path | None = None) -> Evidence:
    """That the target of `case` took."""
    robot = identifiable(case.robot)
    if case.group == "log":
        assert logs is not None
        return of_logs(robot, read_logs(logs / f"{case.shifts}.hdf5"), case.steps)
    if case.group == "outside":
        target = getattr(outside, case.shifts)()
    else:
        target = tr.domain(f"{case.robot}:{case.shifts}" if case.shifts else case.robot)
    return walked(robot, target, agent(case.robot), case.steps, case.seed)


def run(case: Case, logs: Path | None) -> dict[str, Any]:
    """What `identify` says of one case."""
    robot = identifiable(case.robot)
    try:
        return judged(case, *timed(robot, steps(case, logs)), variants_of(robot))
    except tr.RequestError as error:
        return {**asdict(case), "verdict": "refused", "words": [str(error)]}


def timed(robot: Any, told: Evidence, known: Sequence[Known] = ()) -> tuple[Identification, float]:
    """An identification and its CPU seconds; the family of the robot is made before."""
    variants_of(robot)
    began = time.process_time()
    found = identified(robot, told, known=known)
    return found, time.process_time() - began


def truth(case: Case, family: Family) -> dict[str, float]:
    """Parameter -> its value in the target; of elements where a pattern matches several."""
    wanted: dict[str, float] = {}
    if case.group in ("outside", "log"):
        gravity = LOGS[case.shifts][1] if case.group == "log" else None
        return {} if gravity is None else {"gravity": gravity}
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
    if case.group in ("outside", "log"):
        near = all(name in named and abs(named[name][0] - value) <= NEAR for name, value in wanted.items())
        verdict = ("right" if near else "wrong") if wanted else "told"
    inside = {name: bool(named[name][1] <= value <= named[name][2]) for name, value in wanted.items() if name in named}
    return {
        **asdict(case),
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


GROUPS = {
    "none": "nothing differs", "single": "one shift", "acting": "delays and noise alone", "pair": "two shifts",
    "noise": "one shift, 1% noise of sensors",
}  # fmt: skip


def counts(found: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    """A row for each robot and group: how often what was found is right, and what it took."""
    rows = [("robot", "what differs", "cases", "right", "another of the same effect", "wrong", "refused", "CPU s")]
    for robot in ROBOTS:
        for group, words in GROUPS.items():
            if own := [c for c in found if c["robot"] == robot and c["group"] == group]:
                number = [sum(c["verdict"] == v for c in own) for v in ("right", "alike", "wrong", "refused")]
                spent = [c["cpu_seconds"] for c in own if "cpu_seconds" in c]
                took = f"{median(spent):.1f}, at most {max(spent):.1f}"
                rows.append((robot, words, str(len(own)), *map(str, number), took))
    return rows


def others(found: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    """A row for each case in which what was found is not what differs."""
    rows = [("robot", "what differs", "what is said")]
    for c in found:
        if c["group"] in GROUPS and c["verdict"] != "right":
            told = [line for line in c["words"] if not line.startswith(("error ten", "id:", "these steps"))]
            seed = f", seed {c['seed']}" if c["seed"] else ""
            rows.append((c["robot"], f"`{c['shifts']}`{seed}", "; ".join(told)))
    return rows


def told(found: list[dict[str, Any]], group: str) -> list[tuple[str, ...]]:
    """A row for each case that no parameter describes, or of a log."""
    rows = [("robot", "log" if group == "log" else "target", "what is said", "explained", "error ten steps ahead")]
    for c in found:
        if c["group"] == group:
            said = c["words"][0].partition("; this explains")[0]
            ahead = [f"{x:.3g}" for x in c.get("ten_step_error", ())]
            share = f"{c['explained']:.3f}" if "explained" in c else "-"
            rows.append((c["robot"], f"`{c['shifts']}`", said, share, " to ".join(ahead)))
    return rows


def summary(found: list[dict[str, Any]]) -> str:
    """The figures in words."""
    exact = [c for c in found if c["group"] == "single" or (c["group"] == "acting" and "delay" in c["shifts"])]
    same = sum(c["verdict"] in ("right", "alike") for c in exact)
    worst = max((x for c in exact if c["verdict"] == "right" for x in c["off"].values()), default=0.0)
    noisy = [c for c in found if c["group"] == "noise"]
    physical = [{k: v for k, v in c.get(key, {}).items() if k not in NOISES} for c in noisy for key in ("inside",)]
    held = sum(bool(one) and all(one.values()) for one in physical)
    close = sum(all(x <= NOISY for k, x in c.get("off", {"": 1}).items() if k not in NOISES) for c in noisy)
    return (
        f"Single deterministic shifts: {same} of {len(exact)} found, values within {100 * worst:.2g}%. With 1% noise "
        f"of sensors the value is within 10% in {close} of {len(noisy)} cases, and its interval holds it in {held}."
    )


def words(found: list[dict[str, Any]], markdown: bool) -> str:
    """All tables."""
    titled = {
        "": counts(found),
        "Not what differs:": others(found),
        "Outside the family, by the factories of `benchmarks/outside.py`:": told(found, "outside"),
        "Logs of another simulator's generation (OTDF, ICLR 2025), the first 2,000 steps of each:": told(found, "log"),
    }
    parts = [part for title, rows in titled.items() if len(rows) > 1 for part in (title, table(rows, markdown)) if part]
    return "\n\n".join([summary(found), *parts])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=["*"], metavar="PATTERN", help="of names or groups of cases")
    parser.add_argument("--again", action="store_true", help="also cases that are there")
    parser.add_argument("--logs", type=Path, help="a directory with the logs of OTDF (ICLR 2025)")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--markdown", action="store_true")
    parser.add_argument("--out", type=Path, default=RESULT)
    args = parser.parse_args()
    chosen = [c for c in cases(args.logs) if any(fnmatchcase(x, p) for x in (c.name, c.group) for p in args.only)]
    result = read(args.out) or {"cases": {}}
    for case in chosen if not args.markdown else ():
        if args.list:
            print(case.name)
        elif args.again or case.name not in result["cases"]:
            one = run(case, args.logs)
            result = {**provenance(), "cases": {**(read(args.out) or result)["cases"], case.name: one}}
            write(args.out, result)
            print(
                f"{case.name:44} {one['verdict']:7} {one.get('cpu_seconds', 0):6.1f} s  {one['words'][0]}", flush=True
            )
    if args.list or not result["cases"]:
        return
    text = words(list(result["cases"].values()), args.markdown)
    if args.markdown:
        page = PAGE.read_text()
        before, _, rest = page.partition(BEGIN)
        PAGE.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.partition(END)[2]}")
    print(text)


if __name__ == "__main__":
    main()
