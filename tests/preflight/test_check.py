"""The pre-flight on real simulations: the right verdict on constructed pairs, and figures that hold."""

from __future__ import annotations

import json
import shlex

import gymnasium
import numpy as np
import pytest

import transreward as tr
from transreward import cli
from transreward.cli import transfer as transfer_command
from transreward.domains.gym import GymDomain
from transreward.domains.names import entry_names
from transreward.preflight import detect, rewards, steps, support
from transreward.preflight.check import Check, check
from transreward.preflight.verdict import COMPENSATE, NO_HELP, SAME, SHAPE, THRESHOLDS, TRANSFER
from transreward.types import Pair

pytestmark = pytest.mark.usefixtures("hurry", "unasked")

CHEETAH = "halfcheetah"
# Each verdict is reasoned in docs/check.md, and was written down before it was computed.
PAIRS = {
    "identical": (CHEETAH, CHEETAH, SAME),
    "gravity": (CHEETAH, f"{CHEETAH}:gravity=0.5", COMPENSATE),
    "broken target": (CHEETAH, f"{CHEETAH}:broken=bthigh", COMPENSATE),
    "broken source": (f"{CHEETAH}:broken=bthigh", CHEETAH, SHAPE),
    "noise only": (CHEETAH, f"{CHEETAH}:noise=0.1", TRANSFER),
    "noise louder than command": (CHEETAH, f"{CHEETAH}:noise=1", NO_HELP),
    "reward only": (CHEETAH, f"{CHEETAH}+run(speed=3)", COMPENSATE),
    "opposite direction": (CHEETAH, f"{CHEETAH}+backward", COMPENSATE),
    "tiny shift": (CHEETAH, f"{CHEETAH}:mass=1.01", TRANSFER),
    "joint range": (CHEETAH, f"{CHEETAH}:range(*foot)=0.5", COMPENSATE),
    "friction": (CHEETAH, f"{CHEETAH}:friction=0.1", COMPENSATE),
    "weak motors": (CHEETAH, f"{CHEETAH}:gear=0.5", COMPENSATE),
    "much stronger motors": (CHEETAH, f"{CHEETAH}:gear=3", SHAPE),  # run joints into their stops within a step
    "much stronger motors, another robot": ("walker2d", "walker2d:gear=3", SHAPE),
    "much weaker motors": (f"{CHEETAH}:gear=3", CHEETAH, COMPENSATE),
    "delay": (CHEETAH, f"{CHEETAH}:delay=5", NO_HELP),
    "huge shift": (CHEETAH, f"{CHEETAH}:gravity=10", NO_HELP),
    "all motors dead": (CHEETAH, f"{CHEETAH}:broken=*", NO_HELP),
    "task and physics": (CHEETAH, f"{CHEETAH}+run(speed=3):gravity=1.5", COMPENSATE),
    "task, and more than the source can": (f"{CHEETAH}:broken=bthigh", f"{CHEETAH}+backward", SHAPE),
    "only the starts differ": ("reacher", "reacher+goal(x=0.1,y=0)", TRANSFER),
    "broken target, another robot": ("hopper", "hopper:broken=leg_joint", COMPENSATE),
    "broken source, another robot": ("hopper:broken=leg_joint", "hopper", SHAPE),
}


def pendulum(name: str, **settings) -> GymDomain:
    return GymDomain(name, lambda: gymnasium.make("Pendulum-v1", **settings))


def opposed() -> GymDomain:
    def make():
        return gymnasium.wrappers.TransformReward(gymnasium.make("Pendulum-v1"), lambda reward: -reward)

    return GymDomain("opposed", make)


@pytest.fixture(scope="module")
def found(hurry, unasked):
    """Checks by the name of their pair, each done once."""
    done: dict[str, Check] = {}

    def get(name: str) -> Check:
        if name not in done:
            done[name] = check(*PAIRS[name][:2])
        return done[name]

    return get


@pytest.mark.parametrize("name", PAIRS)
def test_the_verdict_is_right(found, name):
    one = found(name)
    assert one.verdict.verdict == PAIRS[name][2], one.figures
    assert one.target_steps <= (0 if name == "identical" else 2000)


# -- Gymnasium pairs -----------------------------------------------------------------------------------------------


class Late(gymnasium.ActionWrapper):
    """Each action acts one step late."""

    def reset(self, **options):
        self.last = np.zeros(self.action_space.shape, np.float32)
        return self.env.reset(**options)

    def action(self, action):
        acts, self.last = self.last, np.array(action)
        return acts


class Weak(gymnasium.ActionWrapper):
    """Motors at 60%."""

    def action(self, action):
        return np.float32(0.6) * action


class Seen(gymnasium.ObservationWrapper):
    """A noisy sensor."""

    def observation(self, observation):
        return observation + 0.02 * self.unwrapped.np_random.standard_normal(observation.shape)


class Shaky(gymnasium.ActionWrapper):
    """Noise on actions."""

    def action(self, action):
        noise = 0.2 * self.unwrapped.np_random.standard_normal(action.shape)
        return np.clip(action + noise, self.action_space.low, self.action_space.high).astype(np.float32)


class Point(gymnasium.Env):
    """A point on a line, paid for being near a place."""

    action_space = gymnasium.spaces.Box(-1, 1, (1,))
    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (3,), np.float64)

    def __init__(self, strength=1.0, place=0.0, sign=-1.0):
        self.strength, self.place, self.sign = strength, place, sign

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.x, self.v, self.clock = self.np_random.uniform(-1, 1), 0.0, 0
        return np.array([self.x, self.v, 1.0]), {}

    def step(self, action):
        self.v = 0.8 * self.v + 0.1 * self.strength * float(action[0])
        self.x, self.clock = self.x + self.v, self.clock + 1
        return np.array([self.x, self.v, 1.0]), self.sign * abs(self.x - self.place), False, self.clock >= 50, {}


def environment(make):
    return GymDomain("environment", lambda: gymnasium.wrappers.TimeLimit(make(), 50))


def gym(id, wrapper=lambda env: env):
    return GymDomain(wrapper.__name__, lambda: wrapper(gymnasium.make(id)))


def weak():
    return Point(strength=0.5)


@pytest.fixture(scope="module")
def apart():
    """The share of rewards that a model of each domain explains and one of both does not; each walks once."""
    walks = {}

    def walked(name, domain, n):
        if name not in walks:
            walks[name] = steps._walk(domain, n, None, 0, n)
        return walks[name]

    def get(id, source, target):
        both = [environment(make) if id == "Point" else gym(id, make) for make in (source, target)]
        pair = Pair(
            *(walked((id, make, n), d, n) for make, d, n in zip((source, target), both, (240, 120), strict=True))
        )
        return steps.reward_models(pair, both[0].spaces)[1]

    return get


def plain(env):
    return env


@pytest.mark.parametrize(
    ("id", "source", "target"),
    [
        *(("InvertedPendulum-v5", plain, wrapper) for wrapper in (plain, Late, Weak, Seen, Shaky)),
        ("HalfCheetah-v5", plain, Weak),
        ("Point", Point, weak),
        ("Point", weak, lambda: Late(Point())),
    ],
)
def test_one_reward_function_is_no_other_task(apart, id, source, target):
    """Whatever the dynamics: one model of both domains' rewards, from (s, a, s'), says what a model of each says."""
    assert apart(id, source, target) < THRESHOLDS.apart


@pytest.mark.parametrize(
    "target", [lambda: Point(place=0.7), lambda: Point(0.5, place=0.7), lambda: Point(0.5, sign=1)]
)
def test_another_reward_function_is_another_task(apart, target):
    assert apart("Point", Point, target) > THRESHOLDS.apart


@pytest.mark.slow
def test_what_is_said_of_one_reward_function_does_not_contradict_itself():
    one = check(environment(Point), environment(weak))
    assert one.verdict.verdict == COMPENSATE and one.figures.reward_distance == 0.0
    said = " ".join([one.verdict.reason, one.relabelling, *one.verdict.limits])
    assert "tasks differ" not in said and "nothing to relabel" in said


def test_a_reward_of_another_scale_is_said():
    """It asks for the same, and is not the same."""
    one = check(environment(Point), environment(lambda: Point(sign=-3.0)))
    assert one.verdict.verdict == TRANSFER and not one.figures.tasks_differ
    assert "up to scale and shaping" in one.relabelling
    assert any("not the same function" in limit for limit in one.verdict.limits)


@pytest.mark.slow
def test_no_target_step_is_spent_on_what_is_known():
    """One domain takes none; two that turn out to be the same those of the measure, and no model's error shows."""
    made = []

    def make():
        made.append(Point())
        return made[-1]

    point = environment(make)
    one = check(point, point)
    assert (one.verdict.verdict, one.target_steps) == (SAME, 0) and one.source_steps > 1000
    assert check("gym:Pendulum-v1", "gym:Pendulum-v1", target_steps=300).target_steps == 0
    made.clear()
    twin = check(environment(Point), point)
    assert (twin.verdict.verdict, twin.target_steps) == (SAME, 248)
    assert len(made) == 4 + 16  # of the measure, and of where episodes start
    assert twin.detection.auc == 0.5 and not twin.entries and twin.figures.gap == 0.0
    assert "no difference in" in str(twin.shift)


def test_gym_pairs():
    plain = pendulum("plain")
    turned = check(plain, opposed(), target_steps=1000)
    assert turned.verdict.verdict == NO_HELP and "learned" in turned.relabelling
    lighter = check(plain, pendulum("moon", g=5.0))
    assert lighter.verdict.verdict == COMPENSATE
    assert lighter.figures.explained > 0.95 and not lighter.figures.tasks_differ


# -- each figure ---------------------------------------------------------------------------------------------------


def test_steps_are_counted(monkeypatch):
    """As many as the target's simulations really take."""
    taken = 0
    target = tr.domain("hopper:gravity=0.5")
    real = type(target).simulate

    def simulate(self, n, *arguments, **options):
        simulation = real(self, n, *arguments, **options)
        if self is not target:
            return simulation
        step = simulation.step

        def counted(action):
            nonlocal taken
            taken += n
            return step(action)

        simulation.step = counted
        return simulation

    monkeypatch.setattr(type(target), "simulate", simulate)
    one = check("hopper", target, target_steps=300)
    assert taken == one.target_steps <= 300


def test_who_can_do_what_the_other_does(found):
    """A dead actuator takes away, and what it takes away is named."""
    there, back = found("broken target"), found("broken source")
    assert there.figures.random.source_covers_target > 0.9 > 0.5 > there.figures.random.target_covers_source
    assert back.figures.random.target_covers_source > 0.9 > 0.5 > back.figures.random.source_covers_target
    assert there.parts[0].name == "bthigh" and there.entries[0].name.startswith("bthigh")
    assert [change.element for change in there.changes] == ["bthigh"]


def test_the_best_action_is_found():
    """Against a solver, with the box in the way."""
    from scipy.optimize import lsq_linear

    rng = np.random.default_rng(0)
    slopes, apart = rng.standard_normal((3, 4, 7)), 2 * rng.standard_normal((3, 5, 7))
    action = rng.uniform(-1, 1, (3, 5, 4))
    moved = support.moves(apart, slopes, action)
    for i in range(3):
        for j in range(5):
            exact = lsq_linear(slopes[i].T, apart[i, j], (-1 - action[i, j], 1 - action[i, j])).x
            assert np.allclose(moved[i, j], exact, atol=1e-3)


def test_noise_is_told_from_shift(found):
    quiet, noisy = found("tiny shift").figures, found("noise only").figures
    assert quiet.noise == 0.0 and noisy.noise > 0.05
    assert noisy.gap < noisy.noise / 3


def test_detection(found):
    """Nothing to see, little, much; and probabilities that mean what they say."""
    nothing, gravity, dead = (found(name).detection for name in ("identical", "gravity", "broken target"))
    assert nothing.auc == 0.5
    assert 0.6 < gravity.interval[0] < gravity.interval[1] < 0.9 < dead.auc
    assert max(d.calibration for d in (nothing, gravity, dead)) < 0.15
    assert gravity.calibration < gravity.uncalibrated


def test_auc_and_calibration_of_known_scores():
    rng = np.random.default_rng(0)
    label = (rng.uniform(size=20_000) < 0.5).astype(float)
    score = rng.standard_normal(20_000) + label  # the exact log-ratio is score - 1/2; AUC = Phi(1 / sqrt 2)
    assert detect.auc(score, label) == pytest.approx(0.7602, abs=0.01)
    assert detect.platt(score, label) == pytest.approx((1.0, -0.5), abs=0.05)
    assert detect.calibration_error(score - 0.5, label) < 0.02
    assert detect.calibration_error(5 * score, label) > 0.1


def test_shaping_does_not_count_as_a_difference():
    """r + gamma Phi(s') - Phi(s), scaled and moved by a constant, is at distance 0; its opposite at 1."""
    probes = steps.probe(tr.domain(CHEETAH), tr.domain(f"{CHEETAH}+backward"), steps.Budget(500), None, 0)
    obs = probes.obs[:, None]
    after = obs + probes.change.source
    shaping = 0.99 * (after[..., 3] ** 2 + after[..., 9]) - (obs[..., 3] ** 2 + obs[..., 9])

    def to(paid):
        return rewards.distance(probes.__class__(**{**vars(probes), "paid": paid}))

    own = probes.reward.source
    assert to(2 * own + 3 + 5 * shaping) < 1e-6
    assert to(-own + 5 * shaping) == pytest.approx(1.0)
    assert 0.5 < to(np.random.default_rng(0).standard_normal(own.shape)) < 0.9


def test_terms_and_relabelling_in_words(found):
    assert [(t.term, t.how) for t in found("opposite direction").terms] == [
        ("forward", "the target pays -1 times as much")
    ]
    assert {t.term: t.how for t in found("reward only").terms} == {
        "forward": "only the source pays it",
        "speed": "only the target pays it",
    }
    assert found("opposite direction").figures.reward_distance > 0.9
    assert found("reward only").relabelling.startswith("exact")
    assert found("gravity").relabelling.startswith("nothing to relabel")
    assert not found("gravity").terms


# -- the source policy ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def source_run(tmp_path_factory):
    """A run directory with a source agent of little training."""
    place = tmp_path_factory.mktemp("runs") / "run"
    settings = {
        "learner.hidden": (8,), "learner.robots": 8, "learner.rollout_steps": 16, "learner.minibatches": 2,
        "learner.epochs": 1, "loop.final_episodes": 1, "loop.eval_episodes": 1, "loop.source_evaluations": 1,
    }  # fmt: skip
    tr.transfer(
        "hopper", "hopper:gravity=0.5", "zero_shot", learner="ppo", source_steps=256, target_steps=64, seeds=2, seed=4,
        settings=settings, out=place,
    )  # fmt: skip
    return place


def test_a_source_policy_is_looked_at_too(source_run):
    one = check("hopper", "hopper:gravity=0.5", source_run=source_run, target_steps=600)
    assert one.figures.policy is not None and one.figures.policy.gap > 0
    assert not any("Only random" in limit for limit in one.verdict.limits)
    assert one.figures.gap == max(one.figures.policy.gap, one.figures.random.gap)
    words = one.command.split()
    assert words[words.index("--source-run") + 1] == str(source_run)
    assert words[words.index("--seed") + 1] == "4"


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        ({"source_run": "nowhere"}, "is not a run directory"),
        ({"target_steps": 2001}, "from 1 to 2,000"),
        ({"target_steps": 0}, "from 1 to 2,000"),
        ({"target_steps": 20}, "too few"),
        ({"target_steps": 40}, "too few"),
        ({"seed": -1}, "seed must be"),
    ],
)
def test_wrong_requests(request_, why):
    with pytest.raises(tr.RequestError, match=why):
        check("hopper", "hopper:gravity=0.5", **request_)


@pytest.mark.parametrize("most", [20, 100, 220])
def test_a_budget_that_is_too_small_is_refused_before_a_target_moves(most):
    """A small one for the measure, and one for which there would be nothing left after it."""

    def untouchable(**_):
        raise AssertionError("the target was reset")

    robot = environment(lambda: Point(strength=0.5))
    robot.simulate = untouchable  # type: ignore[method-assign]
    with pytest.raises(tr.RequestError, match=rf"`target_steps={most}` is too few: .* takes 228 or more"):
        check(environment(Point), robot, target_steps=most)


def test_another_robots_run_is_refused(source_run):
    with pytest.raises(tr.RequestError, match="was trained in"):
        check(CHEETAH, f"{CHEETAH}:gravity=2", source_run=source_run)


def test_a_target_is_looked_at_as_it_is():
    with pytest.raises(tr.RequestError, match="leave the view out of 'halfcheetah@mirrored'"):
        check(CHEETAH, f"{CHEETAH}@mirrored")


def test_it_tells_how_the_source_would_be_seen(found):
    assert found("opposite direction").seen == f"{CHEETAH}@mirrored"
    assert "--method fine_tune" in found("opposite direction").command
    assert found("opposite direction").as_json()["rewards"]["seen"] == f"{CHEETAH}@mirrored"
    assert found("reward only").seen is None and found("broken source").seen is None


# -- what comes out ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["broken target", "reward only", "opposite direction", "broken source", "delay", "tiny shift"]
)
def test_the_next_command_is_one_that_transfer_takes(found, name):
    from transreward.request.resolve import resolve

    words = shlex.split(found(name).command)
    assert words[0] == "transreward"
    request = transfer_command.request_of(cli.parser().parse_args(words[1:]))
    known = ("source", "target", "learner", "seeds", "seed", "settings", "source_steps", "target_steps", "source_run")
    resolve(
        method_name=request["method"], controls=tuple(request["controls"]),
        **{"seeds": 3, "seed": 0, **{k: request.get(k) for k in known if k in request or k not in ("seeds", "seed")}},
    )  # fmt: skip


def test_json_is_one_object(capsys, monkeypatch):
    monkeypatch.setenv("TRANSREWARD_CACHE", "")
    cli.main(["check", "reacher", "reacher:gear=0.5", "--json", "--target-steps", "300", "--seed", "3"])
    out = capsys.readouterr().out
    one = json.loads(out)
    assert len(out.splitlines()) == 1
    assert one["verdict"] == COMPENSATE and one["seed"] == 3 and one["target_steps"] <= 300
    assert [row["name"] for row in one["spaces"]["target"]["observation"]] == list(entry_names(tr.domain("reacher")))
    assert one["support"]["policy"] is None


def test_people_can_read_it(capsys, monkeypatch):
    """At 80 columns, plain, the verdict last but for its limits and the command."""
    monkeypatch.setenv("TRANSREWARD_CACHE", "")
    cli.main(["check", "hopper", "hopper:broken=leg_joint", "--target-steps", "400"])
    lines = capsys.readouterr().out.splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert "\x1b" not in "".join(lines)
    text = "\n".join(lines)
    for shown in ("leg_joint velocity", "support", "AUC", "distance 0.00", "Only random actions", COMPENSATE):
        assert shown in text
    assert "obs[" not in text
    assert lines[-1].startswith("next    transreward transfer hopper hopper:broken=leg_joint --method")


def test_the_same_seed_gives_the_same_check(found):
    again = check(*PAIRS["tiny shift"][:2])
    assert again.as_json() == found("tiny shift").as_json()


def test_probes_of_both_start_in_the_same_states():
    """Where nothing differs every figure is exactly 0, also with contacts and falls."""
    d = Pair(tr.domain("walker2d"), tr.domain("walker2d"))
    probes = steps.probe(d.source, d.target, steps.Budget(300), None, 0)
    assert np.array_equal(probes.change.source, probes.change.target)
    assert np.array_equal(probes.reward.source, probes.paid)
