"""Each tutorial runs from top to bottom, its commands with few steps."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import yaml

from transreward import cli

PAGES = sorted((Path(__file__).parents[1] / "docs" / "tutorials").glob("*.md"))
BLOCK = re.compile(r"^```(python|sh|yaml)(?: slow)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FEW = ["--source-steps", "24000", "--seeds", "1", "--no-video"]
FEW += ["--set", "loop.eval_episodes=1", "loop.final_episodes=1", "loop.evaluations=1", "loop.source_evaluations=1"]
SMALL = {"seeds": 2, "source_steps": 6_000, "target_steps": 300, "methods": ["zero_shot", "fine_tune"]}
SMALL |= {"settings": {"loop.eval_episodes": 1, "loop.final_episodes": 1, "learner.hidden": "16,16"}}


def run_command(line: str) -> None:
    """A line of a shell, with a small budget where it would train."""
    words = shlex.split(line)[1:]
    if words[0] == "transfer" and "--dry-run" not in words:
        steps = [] if "data:" in line else ["--target-steps", "1100"]  # a log has as many as it has
        words += [*steps, *FEW]
    cli.main(words)


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_tutorial(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "example"}
    for language, text in BLOCK.findall(page.read_text()):
        if language == "yaml":  # a plan
            Path("plan.yaml").write_text(yaml.safe_dump(yaml.safe_load(text) | SMALL))
        elif language == "python":
            exec(compile(text, str(page), "exec", dont_inherit=True), names)
        else:
            for line in text.splitlines():
                run_command(line)
