"""What a run's end says to do next."""

from __future__ import annotations

import shlex

import pytest

from transreward.evaluation.verdict import Verdict
from transreward.reports.repeat import after, anew, folded, repeat, typed_again
from transreward.reports.subject import Subject
from transreward.runs.record import Record

CONFIG = {
    "source": "hopper", "target": "hopper:gravity=0.5", "method": "darc", "seeds": 3, "seed": 0, "source_steps": 1000,
    "target_steps": 10_000, "learner": {"name": "sac"}, "controls": ["zero_shot"], "loop": {"symmetry": "auto"},
}  # fmt: skip


class Judged(Subject):
    """A run of which the verdict is known."""

    def __init__(self, kind, comparison=False, result=None, more=(), command=""):
        object.__setattr__(self, "kind", kind)
        object.__setattr__(self, "comparison", comparison)
        object.__setattr__(self, "records", [])
        origin = {"command": command} if command else None
        object.__setattr__(self, "focus", Record({**CONFIG, **dict(more)}, [], result, provenance=origin))

    def verdicts(self):
        return [Verdict(self.kind, "")]


def unfolded(text):
    """In one line."""
    return text.replace(" \\\n   ", "").replace("\n    (", "   (")


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("helped", "transreward export 'runs/a b'   ("),
        ("hurt", "transreward check hopper hopper:gravity=0.5   ("),
        (
            "unknown",
            "transreward transfer hopper hopper:gravity=0.5 --method darc --controls zero_shot --learner sac "
            "--source-steps 1000 --seeds 6   (",
        ),
        ("unfinished", "transreward resume 'runs/a b'   ("),
        ("ceiling", ""),
    ],
)
def test_the_next_command_follows_the_verdict(kind, said):
    found = after(Judged(kind), "runs/a b")
    assert all(len(line) <= 80 for line in f"next: {found}".split("\n"))
    found = unfolded(found)
    assert found.startswith(said) and bool(found) == bool(said)
    assert after(Judged(kind, comparison=True), "x") == ""


@pytest.mark.parametrize(
    ("more", "command", "said"),
    [
        ({}, "transreward transfer hopper x --seeds 2",
         "transreward transfer hopper x --seeds 2 --source-steps 300000   (more source steps"),
        ({}, "", "transreward transfer hopper hopper:gravity=0.5 --method darc --controls zero_shot --learner sac "
         "--source-steps 300000   (more source steps"),
        ({"source_run": "runs/x"}, "", "transreward play 'runs/a b' --before-after   (what the source policy does"),
    ],
)  # fmt: skip
def test_a_source_agent_that_has_not_learned_is_seen_to_first(more, command, said):
    """More seeds of a policy that does nothing would tell nothing."""
    nothing = {"source_success": {"reached": [0.0, 0.0, 0.0]}}
    found = unfolded(after(Judged("unknown", result=nothing, more=more, command=command), "runs/a b"))
    assert found.startswith(said)
    more = {"source_steps": 200_000}
    poor = after(Judged("helped", result={"source_agent_return": [150.0, 160.0, 155.0]}, more=more), "x")
    assert "--source-steps 400000 " in unfolded(poor), "twice as many, and no less than the preset's"
    assert "--seeds 6" in after(Judged("unknown", result={"source_success": {"reached": [0, 0, 0.2]}}), "x")


@pytest.mark.parametrize(
    ("typed", "again"),
    [
        ("hopper data:a.csv --source-policy 'p q.pt' --target-steps 2000 --evaluate hopper:mass=2",
         "hopper data:a.csv --source-policy 'p q.pt' --target-steps 2000 --evaluate hopper:mass=2 --seeds 6"),
        ("--seeds 3 --set use.strength=2 --out=runs/a hopper ant", "--seeds 6 --set use.strength=2 hopper ant"),
        ("--set use.strength=2 --out runs/a hopper ant", "--set use.strength=2 --seeds 6 hopper ant"),
        ("hopper ant --seeds=3 --source-run runs/x --method darc", "hopper ant --seeds 6 --method darc"),
    ],
)  # fmt: skip
def test_more_seeds_of_the_same_command(typed, again):
    """Every option that was given is given again, but for seeds, directory, and agents of other seeds."""
    origin = {"command": f"transreward transfer {typed}"}
    assert typed_again(origin, "--seeds", 6) == shlex.split(f"transreward transfer {again}")


@pytest.mark.parametrize(("typed", "again"), [("", ""), (" --target-steps 5000 --out a", " --target-steps 20000")])
def test_more_seeds_of_a_run_that_went_on_with_more_target_steps(typed, again):
    """The command is of the first budget, and `resume --target-steps` made that the horizon."""
    more = {"target_steps": 20_000, "loop": {"horizon": 5_000}}
    found = unfolded(after(Judged("unknown", more=more, command=f"transreward transfer hopper x{typed}"), "y"))
    assert "--target-steps 20000" in found and "--seeds 6" in found and "--set loop.horizon=5000" in found
    assert found.startswith(f"transreward transfer hopper x{again}")
    asked = " --target-steps 20000 --set loop.horizon=5000"
    found = unfolded(after(Judged("unknown", more=more, command=f"transreward transfer hopper x{asked}"), "y"))
    assert found.startswith(f"transreward transfer hopper x{asked} --seeds 6   (")


def test_more_seeds_of_a_policy_that_was_adopted_before():
    origin = {"command": "transreward transfer a b --source-run runs/x", "source_policy": {"file": "ppo.pt"}}
    assert typed_again(origin, "--seeds", 6)[4:] == ["--seeds", "6", "--source-policy", "ppo.pt"]


@pytest.mark.parametrize("command", ["python robot.py", "transreward resume runs/x", "it was 'cut", ""])
def test_what_was_not_typed_as_a_transfer_is_not_repeated(command):
    assert typed_again({"command": command}, "--seeds", 6) == []


def test_a_long_command_is_set_in_lines_that_a_shell_takes():
    words = ["transreward", "transfer", "hopper", "a b", *(f"--option-{i}" for i in range(20))]
    lines = folded(words).split("\n")
    assert len(lines) > 2 and max(map(len, lines)) <= 80 and all(line.endswith(" \\") for line in lines[:-1])
    assert shlex.split(folded(words).replace("\\\n", "")) == words
    assert folded(words[:4]) == "transreward transfer hopper 'a b'"


@pytest.mark.parametrize(("interval", "said"), [((1.0, 9.0), "export"), ((-2.0, 9.0), "transfer")])
def test_what_is_not_surely_better_than_the_source_policy_is_not_exported(interval, said):
    over = {"mean": 5.0, "interval": list(interval), "level": 0.95, "paired": True}
    subject = Judged("partly")
    subject.verdicts = lambda: [Verdict("partly", "", {"zero_shot": over})]
    assert after(subject, "x").startswith(f"transreward {said}")


def test_a_repeated_command_says_what_is_not_the_default():
    usual = Record({**CONFIG, "method": "auto", "controls": ["zero_shot", "fine_tune", "target_only"]}, [], None)
    assert "--method" not in repeat(usual, [usual]) and "--controls" not in repeat(usual, [usual])
    assert "--method darc --controls zero_shot" in repeat(Record(CONFIG, [], None), [])


def test_a_repeated_command_names_an_offline_learner_by_its_method_alone():
    """`offline.name` is in config.json, and `--set` refuses it."""
    run = Record({**CONFIG, "method": "iql", "offline": {"name": "iql", "expectile": 0.9}}, [], None)
    assert repeat(run, [run]).endswith("--set offline.expectile=0.9")


@pytest.mark.parametrize(
    ("stopped", "command", "said"),
    [
        ("decided", "transreward transfer hopper x --seed 2 --out a", "hopper x --seed 2 --target-steps 20000"),
        ("decided", "python a.py", "--source-steps 1000 --target-steps 20000"),
        ("aligned", "transreward transfer hopper x", "--target-steps 20000 --set loop.aligned=0"),
    ],
)
def test_a_run_that_cannot_go_on_says_the_command_that_begins_it_anew(stopped, command, said):
    run = Record(CONFIG, [], None, provenance={"command": command})
    assert anew([run], 20_000, stopped).endswith(said)
    asked = Record({**CONFIG, "target": "asked:hopper"}, [], None)
    assert anew([asked], 20_000, stopped) == ""
