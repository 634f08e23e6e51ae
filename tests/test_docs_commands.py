"""Every command of README and docs is given as it stands there: what would train stops where the first step would be
taken (--dry-run), and what reads a run, a log or a policy has a small one. Tutorials run whole, in a file of their own.
"""

from __future__ import annotations

import gc
import re
import shlex
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest
import yaml
from drawing import WHY_NOT

import transreward as tr
from tests.domains import robots_in_files as files
from tests.golden import bits
from tests.test_docs import DOCS, PAGES, blocks
from transreward import cli, rehearsal
from transreward.domains.logs import read
from transreward.domains.logs.write import write
from transreward.domains.several import apart
from transreward.engine.programs import programs

pytestmark = [
    pytest.mark.slow, pytest.mark.usefixtures("hurry"), pytest.mark.filterwarnings("ignore:.*:UserWarning"),
]  # fmt: skip

ROOT = DOCS.parent
POLICIES = ROOT / "tests" / "data" / "policies"
ELSEWHERE = {  # commands that are given as they stand by the tests that are named
    "serve": "tests/session",
    "make": "tests/test_packaging.py",
    "pip": "tests/test_packaging.py",
    "ffmpeg": "no command of ours",
    "python3": "tests/test_examples.py",
    "peers/bin/pip": "tests/test_examples.py",
    "peers/bin/python": "tests/test_examples.py",
}
WORDS: dict[str, dict[str, str]] = {  # what makes a command short
    "check": {"--target-steps": "400"},
    "identify": {"--target-steps": "400"},
    "play": {"--seconds": "0.2", "--size": "64x64"},
    "adopt": {"--source-steps": "400", "--seeds": "1"},
}
LAB = """\
from dataclasses import replace
from transreward.methods import METHODS
METHODS["my_way"] = replace(METHODS["darc"], name="my_way")
"""
STUDY = {
    "pairs": [["hopper", "hopper:gravity=0.5"], ["hopper", "hopper:mass=1.5"]],
    "methods": ["zero_shot", "fine_tune"],
    "learner": {"name": "sac", **bits.LEARNERS["sac"], "hidden": [4]},
    "seeds": 2, "source_steps": 400, "target_steps": 80, "settings": {f"loop.{k}": v for k, v in bits.LOOP.items()
    if k not in ("gap_updates", "threads")},
}  # fmt: skip


def given(page: Path) -> list[list[str]]:
    """The commands of a page, as words."""
    lines = "\n".join(block for _, block in blocks(page, "sh")).replace("\\\n", " ").splitlines()
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def small(source: str, target: str, method: str, out: Path, learner: str = "sac", **more) -> None:
    """A run of three seeds with few steps."""
    settings = {f"loop.{name}": value for name, value in bits.LOOP.items() if name != "gap_updates"}
    settings |= more.pop("settings", {})
    sizes = bits.LEARNERS[learner] | {name: more.pop(name) for name in set(more) & {"rollout_steps", "target_rollout"}}
    request = {"source_steps": 400, "target_steps": 80, "seeds": 3, "controls": (), **more}
    tr.transfer(source, target, method, learner=tr.learner(learner, **sizes), settings=settings, out=out, **request)


def study(out: Path) -> None:
    """A study of two pairs."""
    out.with_suffix(".yaml").write_text(yaml.safe_dump(STUDY))
    cli.main(["study", str(out.with_suffix(".yaml")), "--out", str(out)])


def random_steps(robot: str, steps: int, seed: int) -> dict[str, np.ndarray]:
    """Columns of a log."""
    domain, rng = tr.domain(robot), np.random.default_rng(seed)
    simulation, (low, high) = domain.simulate(1, seed, 1), (domain.spaces.low, domain.spaces.high)
    taken = [simulation.step(rng.uniform(low, high, (1, len(low)))) for _ in range(steps)]
    return {name: np.stack([getattr(t, name)[0] for t in taken]) for name in taken[0]._fields}


MADE = {  # small runs, by what a command that reads one needs
    "hopper": lambda to: small("hopper", "hopper:gravity=0.5", "fine_tune", to, controls=("zero_shot",)),
    "controls": lambda to: small("hopper", "hopper:gravity=0.5", "mix", to, controls=("zero_shot", "fine_tune")),
    "grid": lambda to: small("hopper", "hopper:gravity=0.5", "fine_tune", to, seed=300),
    "halfcheetah": lambda to: small("halfcheetah", "halfcheetah:gravity=2", "fine_tune", to),
    "legs": lambda to: small("halfcheetah", "halfcheetah:legs=3", "target_only", to, target_steps=600),
    "universal": lambda to: small("hopper", "hopper:mass=1.2", "universal", to, "ppo", settings={"randomise.ranges":
        "gravity=0.5..2,mass=0.7..1.5"}),
    "tasks": lambda to: small(
        "halfcheetah~halfcheetah+backward~halfcheetah+run(speed=2)~halfcheetah+stand", "halfcheetah+backward",
        "universal", to, "ppo", rollout_steps=256, target_rollout=1024, source_steps=4096, target_steps=1024),
    "identified": lambda to: small("halfcheetah", "halfcheetah:mass=1.3", "identified", to, "ppo", target_steps=500),
    "plan": lambda to: study(to),
}  # fmt: skip
READS = {  # by page and name where it is not a hopper's
    ("bridges", "first"): "legs", ("check", "halfcheetah"): "halfcheetah", ("universal", "first"): "universal",
    ("several-tasks", "tasks"): "tasks", ("targets", "first"): "identified", ("targets", "second"): "identified",
    ("command-line", "x"): "controls", ("see", "x"): "controls", ("studies", "plan"): "plan",
    ("results", "hopper-agent-770ecf20"): "grid",
}  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A copy of a small run at a place; each is made once."""
    folder = tmp_path_factory.mktemp("made")

    def copy(kind: str, to: Path) -> None:
        if not (folder / kind).exists():
            MADE[kind](folder / kind)
        if not to.exists():
            shutil.copytree(folder / kind, to)

    return copy


@pytest.fixture(scope="module")
def files_of_all(tmp_path_factory, made):
    """A folder with the files that commands read."""
    folder = tmp_path_factory.mktemp("files")
    for name, robot, seed in (("monday", "hopper:gravity=0.5", 1), ("tuesday", "hopper:gravity=0.5", 2),
                              ("source", "hopper", 3), ("steps", "halfcheetah:legs=3", 4)):  # fmt: skip
        np.savez(folder / f"{name}.npz", **random_steps(robot, 600, seed), rate=tr.domain(robot).control_rate)
    for name in ("monday.csv", "monday.hdf5", "source.hdf5"):
        write(read(folder / f"{Path(name).stem}.npz"), str(folder / name))
    (folder / "menagerie").mkdir()
    files.menagerie(folder / "menagerie")  # links
    files.arm(folder), files.arm(folder, "heavy.xml", 2.0)
    made("hopper", folder / "run")
    cli.main(["export", str(folder / "run"), "--sb3", str(folder / "best_model.zip")])
    (folder / "lab.py").write_text(LAB)
    (folder / "package").mkdir()
    (folder / "package/module.py").write_text(blocks(DOCS / "bridges.md", "python no-run")[0][1])
    (folder / "map.yaml").write_text(blocks(DOCS / "bridges.md", "yaml")[0][1])
    (folder / "plan.yaml").write_text(blocks(DOCS / "studies.md", "yaml")[0][1])
    return folder


def short(words: list[str]) -> list[str]:
    """The arguments of a command, and what makes it short."""
    if words[1] in ("transfer", "compare") or (words[1] == "study" and words[2] != "report"):
        return [*words[1:], *(["--dry-run"] if "--dry-run" not in words else [])]
    more = {option: value for option, value in WORDS.get(words[1], {}).items() if option not in words}
    if words[1] == "check" and len(sources := apart(words[2])) > 1:
        more["--target-steps"] = str(len(sources) * int(more["--target-steps"]))  # which are divided among them
    return [*words[1:], *(word for option in more.items() for word in option)]


def skipped(words: list[str]) -> bool:
    """Whether a command is another test's (of films: tests/reports), or needs what this machine has not."""
    filmed = words[1] == "play" and (bool(WHY_NOT) or {"--live", "--before-after"} & set(words))
    return bool({*words[:2]} & set(ELSEWHERE) or filmed)


@pytest.fixture(autouse=True)
def small_memory():
    """What a page compiled is let go of: no other page wants it, and all of them together take gigabytes."""
    yield
    programs.cache_clear()
    jax.clear_caches()
    gc.collect()


@pytest.mark.parametrize("page", [p for p in PAGES if p.parent.name != "tutorials" and given(p)], ids=lambda p: p.stem)
def test_commands(page, files_of_all, made, tmp_path, monkeypatch):
    shutil.copytree(files_of_all, tmp_path, symlinks=True, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(ROOT)  # for the targets of benchmarks/outside.py
    monkeypatch.setenv("MENAGERIE_ROOT", str(tmp_path / "menagerie"))
    monkeypatch.setattr(rehearsal, "seconds_per_update", lambda config, plan: 0.001)
    if page.stem == "policies":
        shutil.copy(POLICIES / "sb3_sac.zip", "best_model.zip")
    for words in given(page):
        if skipped(words):
            continue
        out = words[words.index("--out") + 1] if "--out" in words else ""
        for folder, name in re.findall(r"(runs/(?:grid/agents/)?([\w-]+))", " ".join(x for x in words if x != out)):
            made(READS.get((page.stem, name), "hopper"), Path(folder))
        to = words[words.index("--to") + 1] if "--to" in words else ""
        Path(to).unlink(missing_ok=True) if to and Path(to).is_file() else None
        try:
            cli.main(short(words))
        except SystemExit as end:
            assert not end.code, shlex.join(words)
