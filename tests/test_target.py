"""The target's accounts: what a run takes there, by the word of an environment that counts."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass

import gymnasium
import numpy as np
import pytest
from test_grid import LEARNERS, OFFLINE, SMALL
from test_transfer import SETTINGS, SOURCE_STEPS, TARGET_STEPS

import transreward as tr
from transreward import interruption
from transreward.live import View
from transreward.methods import METHODS, method
from transreward.reports.films import play
from transreward.reports.page import write_report
from transreward.runs.account import account_of_all

pytestmark = pytest.mark.usefixtures("hurry")
BOX = gymnasium.spaces.Box(-1.0, 1.0, (3,)), gymnasium.spaces.Box(-1.0, 1.0, (1,))
LENGTH = TARGET_STEPS // 12  # steps of an episode, which divide the budget: its last step is the last of an episode


class Point(gymnasium.Env):
    """A point that is pushed, and slips on the target's floor; it ends beyond 0.9."""

    observation_space, action_space = BOX
    grip, made = 1.0, None  # a list of all that were made, where they are counted

    def __init__(self):
        self.steps, self.episodes, self.resets, self.closed, self.clock = 0, 0, 0, 0, 0
        if self.made is not None:
            self.made.append(self)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.resets, self.clock = self.resets + 1, 0
        self.state = self.np_random.uniform(-0.1, 0.1, 3)
        return self.state.astype(np.float32), {}

    def step(self, action):
        assert not self.closed, "a closed robot is stepped"
        self.episodes += self.clock == 0
        self.steps, self.clock = self.steps + 1, self.clock + 1
        self.state = np.clip(self.state * 0.9 + self.grip * 0.2 * float(action[0]) * np.array([1, 0.5, 0.2]), -1, 1)
        over = bool(abs(self.state[0]) > 0.9)
        return self.state.astype(np.float32), float(self.state[0]), over, self.clock >= LENGTH, {}

    def close(self):
        self.closed += 1


class Robot(Point):
    grip, made = 0.5, []


def source():
    return gymnasium.wrappers.TimeLimit(Point(), LENGTH)


def target():
    return gymnasium.wrappers.TimeLimit(Robot(), LENGTH)


@dataclass
class Counted:
    instances: int
    steps: int
    idle: int  # resets after which no step was taken
    open: int


def count():
    """What was asked of all robots since the last count."""
    robots, Robot.made[:] = list(Robot.made), []
    idle = sum(r.resets - r.episodes for r in robots)
    return Counted(len(robots), sum(r.steps for r in robots), idle, sum(not r.closed for r in robots))


@pytest.fixture
def untaught(monkeypatch):
    """Steps are counted the same whatever is learned from them, and the compiler has less to do."""
    module = sys.modules["transreward.engine.loop"]
    monkeypatch.setattr(module, "improve", lambda run, fresh: None)
    monkeypatch.setattr(module, "compensate", lambda run: None)
    monkeypatch.setattr("transreward.streams.twin.MODEL_UPDATES", 1)
    count()


def move(name, how, **request):
    own = getattr(method(name).gap, "__dataclass_fields__", {})
    settings = {f"gap.{field}": value for field, value in SMALL.items() if field in own}
    settings |= {"feed.branches": 1} if method(name).branched else {}
    settings |= OFFLINE if method(name).offline is not None else {}
    settings |= {**SETTINGS, "loop.eval_target": how, "loop.evaluations": 1, "loop.source_evaluations": 1}
    settings |= request.pop("settings", {})
    kind = request.pop("kind", "sac")
    return tr.transfer(
        "test_target:source", "test_target:target", name, learner=LEARNERS[kind], settings=settings,
        **{"source_steps": SOURCE_STEPS, "target_steps": TARGET_STEPS, "seeds": 1, **request},
    )  # fmt: skip


# Without those that need a robot of the table as their source.
ABLE = [
    name for name, row in METHODS.items() if not (row.ceiling or row.randomise or row.ground) and name != "successor"
]
FAST = ("mix", "jsrl", "zero_shot", "target_only")  # a way of taking target steps each


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *(pytest.param(name, "sac", marks=() if name in FAST else pytest.mark.slow) for name in ABLE),
        ("darc", "ppo"), ("fine_tune", "ppo"),
    ],
)  # fmt: skip
def test_a_robot_is_asked_for_nothing_beyond_the_budget(untaught, name, kind):
    """One environment, from the one that tells its spaces to the one that is closed; no step and no reset too many."""
    result = move(name, "training", kind=kind)
    found = count()
    assert found == Counted(instances=1, steps=result.steps.target, idle=0, open=0)
    assert found.steps <= TARGET_STEPS and result.evaluation_steps == (result.evaluation_steps.source, 0)
    assert (found.steps == 0) == (name == "zero_shot") == (result.target_return.size == 0)
    assert result.config["shift"] is None


@pytest.mark.parametrize(("how", "seeds", "robots"), [("training", 1, 1), ("none", 2, 1), ("training", 1, 2)])
def test_all_methods_of_a_run_share_the_robot(untaught, how, seeds, robots):
    more = {"loop.target_robots": robots}
    result = move("darc", how, seeds=seeds, controls=("zero_shot", "fine_tune", "target_only"), settings=more)
    found, rows = count(), [result, *result.controls.values()]
    assert (found.instances, found.open, found.idle) == (seeds * robots, 0, 0)
    assert found.steps == seeds * sum(row.steps.target for row in rows)
    assert [row.target_return.size > 0 for row in rows] == [how == "training" and row.steps.target > 0 for row in rows]


def test_a_robot_is_closed_where_the_run_breaks_and_where_it_is_refused(untaught, monkeypatch):
    def broken(run):
        raise tr.BrokenRun("it broke")

    monkeypatch.setattr(sys.modules["transreward.engine.loop"], "refine", broken)
    with pytest.raises(tr.BrokenRun):
        move("target_only", "training")
    assert count().open == 0


def test_successor_asks_nothing_of_another_task_of_a_simulated_robot(untaught, monkeypatch):
    pair, taken = (tr.domain("inverted_pendulum"), tr.domain("inverted_pendulum+terms(survive=2)")), []
    simulate = pair[1].simulate

    def counting(n, seed=0, threads=0):
        simulation = simulate(n, seed, threads)
        step, steps = simulation.step, [0]
        taken.append(steps)
        simulation.step = lambda action: (steps.__setitem__(0, steps[0] + n), step(action))[1]
        return simulation

    monkeypatch.setattr(pair[1], "simulate", counting)
    gap = {f"gap.{field}": SMALL[field] for field in ("hidden", "batch")}
    settings = {**SETTINGS, "loop.eval_target": "none", **gap}
    result = tr.transfer(*pair, "successor", learner=LEARNERS["sac"], seeds=1, settings=settings,
                         source_steps=SOURCE_STEPS, target_steps=TARGET_STEPS)  # fmt: skip
    assert taken == [[result.steps.target]]


@pytest.mark.parametrize("how", ["training", "none"])
@pytest.mark.parametrize(
    ("more", "why"),
    [({"controls": ("oracle",)}, "'oracle' takes the source's budget"), ({"cotrain": True}, "with `cotrain` both")],
)
def test_what_only_a_simulation_can_pay_is_refused(how, more, why):
    with pytest.raises(tr.RequestError, match=f"^{why}.*only a simulated target has.*loop.eval_target={how}.*$"):
        move("reward_gap", how, **more)


# -- what is said of it --------------------------------------------------------------------------------------------


def test_evaluations_in_the_target_are_counted(untaught):
    """All steps that the environments took are in one account or another."""
    result = move("fine_tune", "simulated", controls=("zero_shot", "target_only"))
    found, agent, alone = count(), result.controls["zero_shot"], result.controls["target_only"]
    learning = result.steps.target + alone.steps.target
    evaluation = result.evaluation_steps.target + alone.evaluation_steps.target  # with their common agent's, once
    measure, repeats = result.config["shift"]["target_steps"], 2 * 8  # does one seed give one episode?
    assert found.steps == learning + evaluation + measure + repeats and found.open == 0
    assert result.as_json()["target_evaluation_steps"] == result.evaluation_steps.target
    assert result.evaluation_steps.target > agent.evaluation_steps.target > 0 and agent.steps.target == 0
    assert result.log[-1]["target_evaluation_steps"] < result.evaluation_steps.target  # but for the final episodes
    assert result.evaluation_steps.source > agent.evaluation_steps.source > 0


@pytest.fixture(scope="module", params=["simulated", "training", pytest.param("none", marks=pytest.mark.slow)])
def told(request, tmp_path_factory):
    """How the target was evaluated, a small comparison's directory, and what was written on the terminal."""
    out, view = tmp_path_factory.mktemp("told") / "run", View({"source": "a", "target": "b"})
    with pytest.MonkeyPatch.context() as patch, view.console.capture() as shown:
        patch.setattr(sys.modules["transreward.engine.loop"], "improve", lambda run, fresh: None)
        patch.setattr(sys.modules["transreward.engine.loop"], "compensate", lambda run: None)
        settings = {**SETTINGS, "loop.eval_target": request.param}
        comparison = tr.compare(
            "test_target:source", "test_target:target", ["darc", "gaifo"], learner=LEARNERS["sac"], watch=view, out=out,
            source_steps=SOURCE_STEPS, target_steps=TARGET_STEPS, seeds=3, settings=settings,
        )  # fmt: skip
        view.conclude_comparison(comparison, str(out))
        view.conclude(tr.load(out), str(out))
    return request.param, out, shown.get()


def test_the_account_is_shown_wherever_target_steps_are(told):
    how, out, shown = told
    count()
    text = write_report([out]).read_text()
    row, run = json.loads((out / "result.json").read_text()), tr.load(out)
    learning, evaluation = row["target_steps"], row["target_evaluation_steps"]
    kind = {"simulated": "simulated", "training": "returns are those of training episodes", "none": "no returns"}[how]
    account = f"{learning:,} learning, {evaluation:,} evaluation ({kind})"
    assert (evaluation > 0) == (how == "simulated")
    assert f"{row['method']}: target steps a seed: {account}" in shown and account in text
    runs = {run.method: run, **run.controls}.values()  # of three seeds each
    sums = [3 * sum(steps) for steps in zip(*((r.steps.target, r.evaluation_steps.target) for r in runs), strict=True)]
    whole = f"= {sums[0]:,} learning, {sums[1]:,} evaluation ({kind})"
    assert whole in shown.split("target steps in all: ")[1].partition("target steps to")[0] and whole in text
    assert ("1,024" in shown) == ("1,024 (simulated)" in text) == (how == "simulated")
    assert ("The shift was not measured" in text) == (how != "simulated")
    assert count() == Counted(0, 0, 0, 0) or how == "simulated"  # whose page names what its models differ in


@pytest.mark.parametrize(
    ("spent", "said"),
    [
        ([(3, 0, 0)], "0 learning, 0 evaluation (simulated)"),
        ([(1, 500, 20)], "1 method x 1 seed x 500 = 500 learning, 20 evaluation (simulated)"),
        ([(3, 7, None), (3, 7, 5)], "2 methods x 3 seeds x 7 = 42 learning, evaluation not counted (simulated)"),
        (
            [(3, 10_000, 30), (3, 0, 10), (3, 10_000, 40), (5, 10_000, 4), (3, 7, 0)],
            "2 methods x 3 seeds x 10,000 + 1 method x 5 seeds x 10,000 + 1 method x 3 seeds x 7 = 110,021 learning, "
            "260 evaluation (simulated); the source agent's evaluations are counted for each method",
        ),
    ],
)  # fmt: skip
def test_target_steps_are_summed_over_methods_and_seeds(spent, said):
    assert account_of_all(spent, "simulated") == said


def test_returns_are_of_training_episodes_or_not_said(told):
    how, out, shown = told
    run = tr.load(out)
    for name, row in {run.method: run, **run.controls}.items():
        trained = how == "training" and name != "zero_shot"
        assert (row.target_return.size > 0) == (trained or how == "simulated")
        if not row.target_return.size:
            assert row.as_json()["target_return"] is None and row.as_json()["controls"].get(name) is None
    last = [row["target_return"] for row in run.log[-3:]]
    if how == "training":
        assert run.target_return.shape[1] == SETTINGS["loop.final_episodes"] and None not in last
        assert "in training in the target" in shown and "last training episodes" in shown
    if how == "none":
        assert last == [None] * 3 and "in the target" not in shown.replace("not evaluated in the target", "")
        assert run.aligned_return is None and "was not evaluated in the target" in write_report([out]).read_text()


def test_no_film_is_made_of_a_robot(told):
    how, out, _ = told
    if how != "simulated":
        with pytest.raises(tr.RequestError, match=f"no video: .*loop.eval_target={how}"):
            play.before_and_after(out)


def test_an_interrupted_run_lets_go_of_its_robot_and_says_what_it_took(untaught):
    """What the command's handler does for it, whose process has no later."""
    said = []

    def at_the_end(progress):
        if progress.phase == "transfer" and progress.steps.target == TARGET_STEPS and not said:
            said.append([text for undo in reversed(interruption._undo) if (text := undo())])
            said.append([robot.closed for robot in Robot.made])

    move("fine_tune", "training", watch=at_the_end)
    assert said == [[f"fine_tune had taken {TARGET_STEPS:,} target steps a seed"], [1]]
