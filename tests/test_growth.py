"""Growth touches one file: a capability of each kind comes from outside, in a module of its own, by --import alone."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import transreward

ROOT = Path(transreward.__file__).parents[1]
PAGE = (ROOT / "docs" / "extend.md").read_text()
PENDULUM = "inverted_pendulum inverted_pendulum:gravity=2"
TINY = "--source-steps 2000 --target-steps 200 --seeds 1 --controls none --no-video --set loop.final_episodes=1"
SMALL = "learner.hidden=16 learner.batch=32"
# The section of extend.md whose first block is the module, those of others that it stands on, what is run with it, and
# where its name is in config.json.
KINDS = {
    "robot": ("A robot, from a MuJoCo model", (), "slider slider:mass=3 --method fine_tune --learner sac", "source"),
    "bridge": (
        "A bridge",
        ("A robot, from a MuJoCo model",),
        "slider@behind slider:mass=3 --method fine_tune --learner sac",
        "source",
    ),
    "gap": ("A gap", (), f"{PENDULUM} --method penalty(linear) --learner sac", "method"),
    "use": ("A use", ("A gap",), f"{PENDULUM} --method bonus(linear) --learner sac", "method"),
    "method": ("A method", ("A gap",), f"{PENDULUM} --method linear --learner sac", "method"),
    "learner": ("A learner", ("A gap",), f"{PENDULUM} --method fine_tune --learner calm", "learner"),
    "stream": (
        "A stream",
        (),
        "brought:Benched inverted_pendulum:gravity=2 --method fine_tune --learner sac",
        "source",
    ),
}


def block(heading: str) -> str:
    """The first example of a section."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    found = re.search(r"^```python\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found.group(1)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_one_file_brings_a_capability(kind, tmp_path):
    heading, others, words, where = KINDS[kind]
    (tmp_path / "brought.py").write_text("\n".join(["import transreward as tr", *map(block, others), block(heading)]))
    command = [*words.split(), "--import", "brought", "--out", "run", *TINY.split(), *SMALL.split()]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(tmp_path)])}
    done = subprocess.run(
        [sys.executable, "-m", "transreward", "transfer", *command],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    name = config[where] if isinstance(config[where], str) else config[where]["name"]
    assert name in words and config["imports"] == ["brought"]
    assert json.loads((tmp_path / "run" / "result.json").read_text())["target_steps"] == 200
    assert {path.name for path in tmp_path.iterdir()} <= {"brought.py", "run", "__pycache__"}
