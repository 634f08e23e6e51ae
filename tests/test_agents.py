"""A source agent that was trained before is taken up by the next transfer that asks for the same, to the same bits."""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent / "golden"))
import bits

import transreward as tr
from transreward.cli import main
from transreward.domains.shifts import SHIFTS
from transreward.domains.shifts.rules import Rule
from transreward.engine import cache, stages
from transreward.engine.stages import before, chain
from transreward.plan.compile import compile
from transreward.request.resolve import resolve

pytestmark = pytest.mark.usefixtures("hurry")


def test_the_seconds_of_a_method_are_its_own_and_its_agents(monkeypatch):
    """And not those of a control that came before it, since its agent needs less training."""
    clock, own, other = [0.0], SimpleNamespace(name="own"), SimpleNamespace(name="other")

    def trained(*_):
        clock[0] += 10

    def follow(*_):
        clock[0] += 100
        return SimpleNamespace(wall_seconds=100.0)

    for name, stub in {
        "time": SimpleNamespace(perf_counter=lambda: clock[0]), "trained": trained, "follow": follow,
        "for_method": lambda config, row: config, "of_sources": lambda config, plan, row: [plan],
    }.items():  # fmt: skip
        monkeypatch.setattr(stages, name, stub)
    tracks = [SimpleNamespace(method=row, agent="source") for row in (other, own)]
    plan: Any = SimpleNamespace(tracks=tracks, others=())
    config: Any = SimpleNamespace(method=own)
    found = stages.execute(config, plan, {}, None, lambda progress: None, {})
    assert (found.wall_seconds, found.controls["other"].wall_seconds) == (120, 100)


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """Where agents are kept, however short their training."""
    monkeypatch.setenv("TRANSREWARD_AGENTS", str(tmp_path / "agents"))
    monkeypatch.setattr(cache, "WORTH", 0.0)
    return tmp_path / "agents"


@pytest.mark.slow
def test_the_next_transfer_takes_it_up(kept, tmp_path, capsys):
    """Both of them: the method's, and that which its controls train on."""
    case = bits.cases()["controls-ppo"]
    first = bits.run(case, out=tmp_path / "first")
    assert len(list(kept.iterdir())) == 2
    with pytest.warns(UserWarning, match="trained before.*`fresh=True` trains it anew") as said:
        second = bits.run(case, out=tmp_path / "second")
    assert len(said) == 2
    assert bits.hashed(second) == bits.hashed(first)
    assert os.listdir(tmp_path / "first") == os.listdir(tmp_path / "second")
    for name in ("agent.safetensors", "agent.json"):
        assert (tmp_path / "first/source" / name).read_bytes() == (tmp_path / "second/source" / name).read_bytes()
    main(["doctor", "--empty"])
    assert capsys.readouterr().out.startswith("removed: 2 source agents kept, ") and not kept.exists()


REQUEST = {
    "learner": "ppo", "source_steps": 200_000, "target_steps": 20_000, "seeds": 2, "seed": 0, "settings": {},
    "controls": (), "source_run": None,
}  # fmt: skip


def entry(source="hopper", target="hopper:gravity=0.5", **changed):
    config = resolve(source, target, "fine_tune", **{**REQUEST, **changed})
    plan = compile(config)
    return cache.entry(config, chain(plan, before(plan.tracks[0], plan, {})[-1]))


@pytest.mark.slow
def test_what_is_the_same(kept, monkeypatch):
    one = entry()
    assert one is not None and one.parent == kept
    assert one == entry(target_steps=30_000) == entry(settings={"loop.evaluations": 3})
    others = [
        entry(seed=1), entry(source_steps=210_000), entry(target="hopper:gravity=0.6"), entry(learner="sac"),
        entry(settings={"learner.epochs": 3}), entry(settings={"loop.source_evaluations": 3}),
    ]  # fmt: skip
    monkeypatch.setattr(cache, "code", lambda: "another version")
    others.append(entry())
    assert len({one, *others}) == 8 and None not in others


def test_what_a_name_does_not_say_is_not_kept(kept, monkeypatch):
    assert entry("gym:Pendulum-v1", "tests.domains.made:short_pendulum") is None
    robot_alone = {"loop.eval_target": "training"}
    assert entry(settings=robot_alone) == entry(target="hopper:gravity=0.7", settings=robot_alone)
    assert entry(target="tests.domains.made:light_hopper") is None  # whatever it makes tomorrow
    monkeypatch.setenv("TRANSREWARD_AGENTS", "")
    assert entry() is None


OWN = "tests.domains.made:ahead"  # a reward function, which may be another tomorrow


@pytest.mark.parametrize(
    ("id", "said"),
    [
        ("halfcheetah+run(speed=2):gravity=0.5,broken=bthigh", True),
        ("ant@turned90:gravity=0.5..2@history=2", True),
        ("hopper:gravity=0.5..2@informed=0.2", True),
        (f"halfcheetah+{OWN}", False),
        (f"halfcheetah+{OWN}:gravity=2@history=1", False),
        (f"halfcheetah~halfcheetah+{OWN}@informed=0.2", False),
        ("gym:Pendulum-v1", False),
    ],
)
def test_a_reward_function_is_not_said_by_its_name(id, said):
    assert cache.said_by_name(tr.domain(id)) == said


def test_neither_is_a_rule_in_a_file_nor_a_row_of_the_user_s(kept, tmp_path, monkeypatch):
    rule = Rule(np.zeros((4, 3)), np.ones((4, 3)), np.ones((4, 2)), np.zeros(2), np.full((3, 7), 0.1))
    rule.save(file := tmp_path / "motors.npz")
    assert not cache.said_by_name(tr.domain(f"hopper:motors={file}"))
    alone = {"loop.eval_target": "training"}
    assert entry(settings=alone) is not None
    monkeypatch.setitem(SHIFTS, "rest", SHIFTS["damping"])
    assert entry(settings=alone) is None


def test_the_least_recently_used_make_room(kept, monkeypatch):
    a, b, c = (32 * letter for letter in "abc")
    for i, name in enumerate((a, b, c)):
        (kept / name).mkdir(parents=True)
        (kept / name / "file").write_bytes(bytes(10))
        os.utime(kept / name, (i, i))
    (kept / f"{a}.1.part").mkdir()
    monkeypatch.setattr(cache, "ROOM", 25)
    cache.make_room(kept)
    assert sorted(os.listdir(kept)) == [f"{a}.1.part", b, c]


def test_what_else_lies_there_is_not_removed(kept, monkeypatch):
    """The place is a user's choice: it may be their home."""
    for name in ("letters", "d" * 32):
        (kept / name).mkdir(parents=True)
        (kept / name / "file").write_bytes(bytes(10))
    monkeypatch.setattr(cache, "ROOM", 0)
    assert cache.told().startswith("1 source agents kept")
    cache.make_room(kept)
    cache.empty()
    assert os.listdir(kept) == ["letters"]


@pytest.mark.parametrize("place", ["a" * 300, "/dev/null/agents"])
def test_a_place_that_cannot_be_is_empty(place, monkeypatch):
    monkeypatch.setenv("TRANSREWARD_AGENTS", place)
    assert cache.told().startswith("0 source agents kept")
    cache.empty()


@pytest.mark.slow
def test_where_it_cannot_be_kept_that_is_said(kept, tmp_path):
    kept.write_text("a file")
    with pytest.warns(UserWarning, match="not kept for later transfers"):
        bits.run(bits.cases()["fine_tune-ppo"])


def test_a_command_says_how_to_train_anew():
    with warnings.catch_warnings():
        formatted = warnings.formatwarning
        try:
            with pytest.raises(SystemExit):
                main(["report", "nowhere"])
            said = warnings.formatwarning("(`fresh=True` trains it anew)", UserWarning, "", 0)
        finally:
            warnings.formatwarning = formatted
    assert said == "transreward: (--fresh trains it anew)\n"
    assert tr.transfer.__kwdefaults__["fresh"] is False
