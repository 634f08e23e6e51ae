"""Learning from logs: of the target, of the source, of both."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent / "golden"))
import bits
from test_transfer import same

import transreward as tr
from transreward.cli import main
from transreward.compare import planned_comparison
from transreward.engine.taken import target_steps
from transreward.evaluation.verdict import number
from transreward.methods import METHODS
from transreward.plan.compile import compile
from transreward.replay import in_order
from transreward.reports.page import write_report
from transreward.request.resolve import resolve

pytestmark = pytest.mark.usefixtures("hurry")

SMALL = {"offline.hidden": (4,), "offline.batch": 16, "offline.updates": 20, "offline.burst": 4}
SETTINGS = {f"loop.{name}": value for name, value in bits.LOOP.items()} | SMALL
LEARNER = tr.learner("sac", **bits.LEARNERS["sac"])
JUDGE = "hopper:gravity=0.5"
OFFLINE = [name for name, row in METHODS.items() if row.offline is not None]
REQUEST = {"seeds": 2, "seed": 4}


def recorded(file, robot, steps, seed=0):
    simulation, random = tr.domain(robot).simulate(1, 3, 1), np.random.default_rng(seed)
    taken = [simulation.step(random.uniform(-1, 1, (1, 3))) for _ in range(steps)]
    columns = {name: np.stack([getattr(t, name)[0] for t in taken]) for name in taken[0]._fields}
    np.savez(file, **columns)
    return f"data:{file}"


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    """300 random steps of a hopper, and 200 of one with half its gravity."""
    place = tmp_path_factory.mktemp("logs")
    return recorded(place / "source.npz", "hopper", 300), recorded(place / "target.npz", JUDGE, 200, 1)


@pytest.mark.slow
def test_a_study_of_a_log_names_who_evaluates(logs, tmp_path, capsys):
    plan = {
        "pairs": [["hopper", logs[1]]], "methods": ["iql", "zero_shot"], "evaluate": JUDGE, "seeds": 2,
        "source_steps": 640, "learner": {"name": "sac", **bits.LEARNERS["sac"], "hidden": [4]},
        "settings": {path: x for path, x in SETTINGS.items() if path not in SMALL},
    }  # fmt: skip
    plan["methods"][0] = {
        "method": "iql",
        "settings": {k: list(x) if k.endswith("hidden") else x for k, x in SMALL.items()},
    }
    (tmp_path / "plan.json").write_text(json.dumps(plan))  # which is YAML, too
    main(["study", str(tmp_path / "plan.json"), "--out", str(tmp_path / "study")])
    told = capsys.readouterr().out
    assert "iql" in told and "zero_shot" in told
    for run in (tmp_path / "study" / "runs").iterdir():
        config = json.loads((run / "config.json").read_text())
        assert config["evaluate"] == JUDGE
        assert json.loads((run / "result.json").read_text())["target_return"]["per_seed"]


def gap_of(name):
    kept = METHODS[name].gap
    return {f"gap.{k}": v for k, v in bits.GAP.items() if k in getattr(kept, "__dataclass_fields__", {})}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name not in ("bc", "td3_bc"))) for name in OFFLINE]
)
def test_every_row_learns_from_two_logs(name, logs, tmp_path):
    out = tmp_path / "run"
    result = tr.transfer(*logs, name, evaluate=JUDGE, settings=SETTINGS | gap_of(name), out=out, **REQUEST)
    taken = 0 if name == "bc" else 300
    assert tuple(result.steps) == (taken, 200) and result.updates == 20 and result.zero_shot is None
    assert result.target_return.shape == (2, 2) and result.source_return.size == 0
    assert result.evaluation_steps.source == 0 and result.evaluation_steps.target > 0
    read = tr.load(out)
    assert read.config["offline"]["name"] == result.learner.name == read.learner.name
    obs = np.zeros((3, 11))
    np.testing.assert_array_equal(read.policy(0)(obs), result.policy(0)(obs))
    assert json.loads((out / "config.json").read_text())["evaluate"] == JUDGE
    assert JUDGE in write_report([out]).read_text()


def test_steps_of_a_log_are_those_that_are_learned_from(logs):
    from transreward.engine.state import begin

    config = resolve(
        *logs, "iql", learner=None, source_steps=250, target_steps=None, settings=SETTINGS, controls=(),
        source_run=None, evaluate=JUDGE, **REQUEST,
    )  # fmt: skip
    (track,) = compile(config).tracks
    run = begin(config, track.stages[0], None, None, lambda p: None, lambda r, rows: None)
    steps = in_order(run.state.buffers["source"])
    assert steps.transition.obs.shape == (2, 250, 1, 11)
    file = np.load(logs[0].removeprefix("data:"))
    np.testing.assert_array_equal(steps.transition.obs[1, :, 0], file["obs"][:250].astype(np.float32))
    np.testing.assert_array_equal(steps.transition.reward[0, :, 0], file["reward"][:250].astype(np.float32))
    assert in_order(run.state.buffers["target"]).domain.min() == 1


@pytest.mark.parametrize("method", ["mix", *(pytest.param(m, marks=pytest.mark.slow) for m in ("igdf", "darc"))])
def test_a_simulated_source_and_a_log_of_the_target(method, logs, tmp_path):
    result = tr.transfer(
        "hopper", logs[1], method, evaluate=JUDGE, learner=LEARNER, source_steps=640, controls=("target_only",),
        settings={name: x for name, x in SETTINGS.items() if method == "igdf" or name not in SMALL} | gap_of(method)
        | {f"target_only.{name}": x for name, x in SMALL.items() if method != "igdf"},
        out=tmp_path / "run", **REQUEST,
    )  # fmt: skip
    alone = result.controls["target_only"]
    assert result.steps.target == alone.steps.target == 200 and result.zero_shot.shape == (2, 2)
    assert alone.learner.name == "iql" and alone.updates == 20 and alone.steps.source == 0
    told = json.loads((tmp_path / "run/config.json").read_text())
    assert told["learner"]["name"] == "sac" and ("offline" in told) == (method == "igdf")
    returns = np.array([x.sum() for x in np.split(*own_returns(logs[1]))])
    assert result.recorded == {
        "episodes": len(returns), "mean": pytest.approx(returns.mean()), "least": pytest.approx(returns.min()),
        "most": pytest.approx(returns.max()),
    }  # fmt: skip
    assert tr.load(tmp_path / "run").recorded == alone.recorded == result.recorded
    words = f"its {len(returns)} episodes returned {number(float(returns.mean()))} on average"
    assert words in write_report([tmp_path / "run"]).read_text()


def own_returns(log):
    """Rewards of a log, and where its episodes after the first begin."""
    file = np.load(log.removeprefix("data:"))
    return file["reward"].astype(float), np.flatnonzero((file["terminated"] | file["truncated"])[:-1]) + 1


def test_a_log_of_the_source_and_a_simulated_target(logs):
    result = tr.transfer(logs[0], JUDGE, "iql", target_steps=40, settings=SETTINGS, **REQUEST)
    assert tuple(result.steps) == (300, 40) and result.updates == 20


@pytest.mark.slow
def test_without_a_simulator_nothing_is_evaluated_and_columns_are_numbered(logs, tmp_path):
    result = tr.transfer(*logs, "iql", settings=SETTINGS, out=tmp_path / "run", **REQUEST)
    assert result.target_return.size == 0 and result.evaluation_steps == (0, 0)
    assert len(result.estimated["per_seed"]) == 2 and np.isfinite(result.estimated["log"])
    assert tr.load(tmp_path / "run").estimated == result.estimated
    spaces = result.config["spaces"]
    assert spaces["obs_names"][0] == "obs[0]" and spaces["low"] == [-1.0] * 3 and spaces["high"] == [1.0] * 3
    assert "estimates by fitted Q, discounted by 0.99" in write_report([tmp_path / "run"]).read_text()


@pytest.mark.slow
def test_the_same_again_from_its_own_config_and_after_an_interruption(logs, tmp_path):
    class Enough(Exception):
        pass

    seen = []

    def watch(progress):
        seen.append(progress)
        if len(seen) == 4:
            raise Enough

    asked = {"evaluate": JUDGE, "settings": SETTINGS | gap_of("dara"), **REQUEST}
    whole = tr.transfer(*logs, "dara", out=tmp_path / "whole", **asked)
    with pytest.raises(Enough):
        tr.transfer(*logs, "dara", out=tmp_path / "cut", watch=watch, **asked)
    resumed = tr.resume(tmp_path / "cut")
    same(whole.agents, resumed.agents)
    assert tuple(resumed.steps) == (300, 200) and resumed.evaluation_steps == whole.evaluation_steps
    main(["transfer", "--config", str(tmp_path / "whole/config.json"), "--out", str(tmp_path / "again"), "--no-video"])
    same(whole.agents, tr.load(tmp_path / "again").agents)


@pytest.mark.parametrize(
    ("pair", "method", "more", "said"),
    [
        ("log sim", "darc", {}, "is a log, which takes no step for 'darc': .*use .*iql"),
        ("log sim", "auto", {}, "takes no step for 'auto': .* swap source and target; otherwise use relabel"),
        ("sim log", "fine_tune", {"learner": "ppo"}, "is a log, which takes no step for 'fine_tune'"),
        ("sim log", "paired", {}, "takes no step for 'paired'"),
        ("sim log", "mix", {"settings": {"loop.fallback": True}}, "is a log, in which nobody acts"),
        ("sim log", "jsrl", {}, "takes no step for 'jsrl'"),
        ("sim sim", "iql", {"evaluate": JUDGE}, "`evaluate` is for a target that is not simulated"),
        ("sim sim", "iql", {"settings": {"feed.source": "logs"}}, "feed.source=logs is of a source of which there is"),
        ("sim sim", "darc", {"learner": "iql"}, "trains no source agent: leave `learner` out"),
        ("sim log", "iql", {"evaluate": "halfcheetah"}, "11|17"),
        ("log log", "iql", {"source_steps": 400}, "has 300 steps: lower `source_steps` from 400"),
        ("log log", "iql", {"target_steps": 400}, "has 200 steps: lower `target_steps` from 400"),
        ("log log", "iql", {"cotrain": True}, "cannot be trained from both sides"),
        ("log log", "iql", {"bridge": "named"}, "is a log of a robot like the other: leave `bridge` out"),
        ("sim log", "iql", {"settings": {"offline.batches": 4}}, "did you mean offline.batch"),
        ("sim sim", "darc", {"settings": {"offline.batch": 4}}, "method 'darc' has no offline"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_in_one_line(pair, method, more, said, logs, tmp_path):
    sides = {"log": logs, "sim": ("hopper", JUDGE)}
    source, target = (sides[word][i] for i, word in enumerate(pair.split()))
    with pytest.raises(tr.RequestError, match=said) as error:
        tr.transfer(source, target, method, out=tmp_path / "run", **more)
    assert "\n" not in str(error.value) and not (tmp_path / "run").exists()


def test_logs_of_unlike_robots_are_refused(logs, tmp_path):
    other = tmp_path / "other.npz"
    np.savez(other, obs=np.zeros((80, 3)), action=np.zeros((80, 1)), reward=np.zeros(80), next_obs=np.zeros((80, 3)))
    with pytest.raises(tr.RequestError, match=r"has 11 observations and 3 actions a step, and log .* 3 and 1"):
        tr.transfer(logs[0], f"data:{other}", "iql")


def test_the_target_steps_of_a_run_are_read_as_far_as_its_checkpoint_says(tmp_path):
    run = tmp_path / "run"
    tr.transfer("hopper", JUDGE, "iql", learner=LEARNER, source_steps=640, target_steps=40, settings=SETTINGS, out=run,
                **REQUEST)  # fmt: skip
    whole = target_steps(run, 1)
    assert len(whole) == 40 and whole.obs.shape == (40, 11) and np.isfinite(whole.reward).all()
    config = run / "config.json"
    told = config.read_text()
    spaces = json.loads(told)["spaces"] | {"low": [-0.1] * 3, "high": [0.2] * 3}
    config.write_text(json.dumps(json.loads(told) | {"spaces": spaces}))  # as of a learner whose draws leave the box
    clipped = target_steps(run, 1).action
    assert np.abs(whole.action).max() > 0.2 and np.array_equal(clipped, np.clip(whole.action, -0.1, 0.2))
    config.write_text(told)
    (file,) = run.glob("state/**/0-target-*.rows")
    content = file.read_bytes()
    file.write_bytes(content + bytes(400))  # of a process that was killed before the next checkpoint
    np.testing.assert_array_equal(target_steps(run, 1).obs, whole.obs)
    file.write_bytes(content[:-4])
    with pytest.raises(tr.RequestError, match="is damaged"):
        target_steps(run)
    file.unlink()
    with pytest.raises(tr.RequestError, match="cannot be read: No such file"):
        target_steps(run)


def test_cloning_needs_no_rewards_and_the_others_say_that_they_do(logs, tmp_path):
    columns = dict(np.load(logs[1].removeprefix("data:")))
    del columns["reward"]
    np.savez(tmp_path / "unpaid.npz", **columns)
    target = f"data:{tmp_path / 'unpaid.npz'}"
    found = tr.transfer("hopper", target, "bc", evaluate=JUDGE, settings=SETTINGS, **REQUEST)
    assert found.updates == 20 and found.target_return.shape == (2, 2) and not found.estimated and not found.recorded
    with pytest.raises(tr.RequestError, match=r"'iql' learns from the target's rewards, and .* has none: use .*bc"):
        tr.transfer("hopper", target, "iql")


def test_a_log_of_the_source_without_rewards_is_refused_where_they_are_learned_from(logs, tmp_path):
    """Its steps all counted as paid with 0."""
    columns = dict(np.load(logs[0].removeprefix("data:")))
    del columns["reward"]
    np.savez(tmp_path / "unpaid.npz", **columns)
    source = f"data:{tmp_path / 'unpaid.npz'}"
    able = "use relabel, bc, target_only$"  # and no row that a log cannot serve
    for method in ("iql", "rlpd", "otdf"):
        with pytest.raises(tr.RequestError, match=f"'{method}' learns from the source's rewards, and .* none: {able}"):
            tr.transfer(source, logs[1], method)
    asked = {"learner": None, "source_steps": None, "target_steps": None, "settings": {}, "controls": ()}
    for method in ("bc", "relabel"):
        assert resolve(source, logs[1], method, source_run=None, **asked, **REQUEST).method.name == method


def test_a_run_of_a_log_cannot_go_on_with_more_of_it(logs, tmp_path):
    """It was told that it takes 0 target steps a round, more than those asked for."""
    more = {"settings": SETTINGS | {"loop.horizon": 100}, "target_steps": 150, **REQUEST}
    with pytest.raises(tr.RequestError, match="has all of its log's steps from the start: begin another run with more"):
        tr.transfer(*logs, "iql", out=tmp_path / "run", **more)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("method", ["iql", "dara"])
def test_an_actor_whose_rate_is_annealed_does_not_go_on(method, tmp_path):
    """More steps were taken in the target, and its weights stayed the same to the bit."""
    asked = {"settings": SETTINGS | {"loop.horizon": 40}, "learner": LEARNER, "source_steps": 640, **REQUEST}
    with pytest.raises(tr.RequestError, match="has annealed its actor's rate to 0, so that more steps would change no"):
        tr.transfer("hopper", JUDGE, method, target_steps=80, out=tmp_path / "run", **asked)
    assert not (tmp_path / "run").exists()


def test_a_setting_of_a_learner_that_nobody_has_is_warned_of(logs):
    """Who learns offline has a learner of its own: this one changed nothing, without a word."""
    asked = {"learner": None, "source_steps": None, "target_steps": None, "controls": (), "source_run": None}
    with pytest.warns(UserWarning, match=r"learner\.discount has no effect on 'iql', .* own is offline\.discount$"):
        resolve(*logs, "iql", settings={"learner.discount": 0.9}, **asked, **REQUEST)
    for source, method in (
        ("hopper", "iql"),
        (logs[0], "rlpd"),
    ):  # an agent is trained before it; and it is its learner
        resolve(source, logs[1], method, settings={"learner.discount": 0.9}, **asked, **REQUEST)


def test_a_comparison_on_logs_has_the_controls_that_take_no_step_there(logs):
    """It had zero_shot among them, and was refused for it."""
    asked = {"source_steps": None, "target_steps": None, "learner": None}
    for pair, beside in ((logs, []), ((logs[0], JUDGE), ["target_only"])):
        _, names = planned_comparison(*pair, ["iql", "td3_bc"], **asked, **REQUEST)
        assert names == ["iql", "td3_bc", *beside]
