"""Gymnasium environments as their users write them: what they return is copied and checked, never broadcast."""

from __future__ import annotations

import sys
from typing import ClassVar

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.spaces import Box
from gymnasium.wrappers import MaxAndSkipObservation, RepeatAction, TimeLimit, TransformReward

from transreward.domains.gym import EPISODE_STEPS, GymDomain
from transreward.domains.ids import domain
from transreward.types import BrokenRun, RequestError


class Point(gymnasium.Env):
    """A point on a line that observes its place, its speed and 1. `begin` and `answer` change what its methods return;
    it asserts that actions lie in its box."""

    def __init__(self, begin=None, answer=None, low=-1.0, high=1.0, dtype=np.float32):
        self.observation_space, self.action_space = Box(-np.inf, np.inf, (3,)), Box(low, high, (1,), dtype)
        self.begin, self.answer, self.open = begin, answer, True

    def see(self):
        return np.array([self.x, self.v, 1.0])

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.x, self.v = self.np_random.uniform(-1, 1), 0.0
        return (self.see(), {}) if self.begin is None else self.begin(self.see(), {})

    def step(self, action):
        assert self.action_space.contains(action), f"{action} is outside"
        self.v += 0.1 * float(action[0])
        self.x += self.v
        found = self.see(), -abs(self.x), False, False, {}
        return found if self.answer is None else self.answer(*found)

    def close(self):
        self.open = False


def place(limit=50, make=Point, **given):
    return GymDomain("lab:point", lambda: TimeLimit(make(**given), limit))


def walk(where, n=2, steps=6):
    """A few steps, and copies of them that nothing can change."""
    simulation, taken = where.simulate(n, 0), []
    for action in np.random.default_rng(0).uniform(-1, 1, (steps, n, 1)):
        taken.append(simulation.step(action))
    return taken, [[np.array(x) for x in t] for t in taken]


FIVE = r"step\(\) must return \(observation, reward, terminated, truncated, info\)"
WRONG_RESETS = {
    r"'lab:point': reset\(\) must return \(observation, info\), not a ndarray of shape \(3,\)": lambda o, i: o,
    r"observation of reset\(\) must be numbers of shape \(3,\), not of shape \(1,\)": lambda o, i: (o[:1], i),
    r"observation of reset\(\) must be numbers of shape \(3,\), not of shape \(\)": lambda o, i: (o[0], i),
    r"observation of reset\(\) must be numbers of shape \(3,\), not of shape \(1, 3\)": lambda o, i: (o[None], i),
    r"observation of reset\(\) must be numbers of shape \(3,\), not None": lambda o, i: (None, i),
    r"observation of reset\(\) must be .*, not masked: 1 are hidden": lambda o, i: (np.ma.masked_equal(o, 1.0), i),
    r"observation of reset\(\) must be numbers .*, not a ndarray of object": lambda o, i: (o.astype(object), i),
    r"'lab:point': reset\(\) failed: ZeroDivisionError: division by zero": lambda o, i: 1 / 0,
    r"'lab:point': reset\(\) failed: SystemExit: no robot": lambda o, i: sys.exit("no robot"),
}
WRONG_STEPS = {
    f"{FIVE}, not 4 values": lambda o, r, d, t, i: (o, r, d or t, i),
    f"{FIVE}, not a NoneType": lambda *_: None,
    r"observation of step\(\) must be numbers of shape \(3,\), not of shape \(4,\)": lambda o, *rest: (
        np.append(o, 0),
        *rest,
    ),
    r"reward of step\(\) must be one number, not None": lambda o, r, *rest: (o, None, *rest),
    r"reward of step\(\) must be one number, not of shape \(2,\)": lambda o, r, *rest: (o, [r, r], *rest),
    r"reward of step\(\) must be one number, not far": lambda o, r, *rest: (o, "far", *rest),
    r"terminated of step\(\) must be true or false, or 0 or 1, not 2": lambda o, r, d, *rest: (o, r, 2, *rest),
    r"truncated of step\(\) must be true or false, or 0 or 1, not None": lambda o, r, d, t, i: (o, r, d, None, i),
}


@pytest.mark.parametrize(("message", "begin"), WRONG_RESETS.items())
def test_a_wrong_reset_is_one_line(message, begin):
    with pytest.raises(RequestError, match=message) as caught:
        place(begin=begin).simulate(1)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("message", "answer"), WRONG_STEPS.items())
def test_a_wrong_step_is_one_line(message, answer):
    # inside of the limit's wrapper, which takes five values apart itself
    made = GymDomain("lab:point", lambda: Limited(answer=answer))
    with pytest.raises(RequestError, match=message) as caught:
        walk(made)
    assert "\n" not in str(caught.value)


class Limited(Point):
    _max_episode_steps = 50


def test_a_reset_without_a_seed_is_one_line():
    class NoSeed(Limited):
        def reset(self):
            return super().reset()

    with pytest.raises(RequestError, match=r"'lab:point': reset\(\) takes no seed: write def reset\(self, \*, seed"):
        GymDomain("lab:point", NoSeed).simulate(1)


def test_what_breaks_later_is_a_broken_run():
    def answer(obs, *rest):
        return (obs if obs[1] < 0.25 else obs[:2], *rest)

    simulation = place(answer=answer).simulate(1)
    with pytest.raises(BrokenRun, match=r"lab:point, control step 2, row 0: the observation of step.*, not .*\(2,\)"):
        for _ in range(20):
            simulation.step(np.ones((1, 1)))


def test_one_number_is_a_number_however_it_is_wrapped():
    def wrapped(obs, reward, terminated, truncated, info):
        return list(obs), np.array([[reward]]), 0, np.array([0.0]), None

    (found, _), (plain, _) = walk(place(answer=wrapped)), walk(place())
    assert all(np.array_equal(x, y) for a, b in zip(found, plain, strict=True) for x, y in zip(a, b, strict=True))
    ended, _ = walk(place(answer=lambda o, r, *_: (o.astype(int), True, np.array([1]), False, {})), steps=1)
    assert ended[0].terminated.tolist() == [True, True] and ended[0].reward.tolist() == [1.0, 1.0]


def test_an_environment_may_use_its_arrays_again():
    class Reusing(Point):
        buffer = np.zeros(3)

        def see(self):
            self.buffer[:] = self.x, self.v, 1.0
            return self.buffer

        def step(self, action):
            found = super().step(action)
            action[:] = 9.0
            return found

    (taken, copies), (plain, _) = walk(place(make=Reusing), steps=60), walk(place(), steps=60)
    for t, copied, expected in zip(taken, copies, plain, strict=True):
        assert all(np.array_equal(*x) for x in zip(t, copied, strict=True))
        assert all(np.array_equal(*x) for x in zip(t, expected, strict=True))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"begin": lambda o, i: (o * [1, np.nan, 1], i)},
            "lab:point, reset, row 0: an observation is not finite: obs.1",
        ),
        ({"begin": lambda o, i: ([*o[:2], 1e39], i)}, r"reset, row 0: .* not finite in float32: obs\[2\] is 1e\+39"),
        ({"answer": lambda o, r, *rest: (o, 1e39, *rest)}, r"control step 0, row 0: a reward .* the reward is 1e\+39"),
        ({"answer": lambda o, *rest: (o - np.inf, *rest)}, r"control step 0, row 0: .*: obs\[0\] is -inf"),
    ],
)
def test_what_is_not_finite_names_the_domain_and_the_entry(given, message):
    with pytest.raises(BrokenRun, match=message):
        walk(place(**given), n=1)


def test_a_later_reset_is_looked_at_too():
    starts = iter([1.0, np.nan])
    simulation = place(limit=3, begin=lambda o, i: (o * next(starts), i)).simulate(1)
    with pytest.raises(BrokenRun, match="lab:point, reset after control step 2, row 0: an observation is not finite"):
        for _ in range(4):  # it is reset when somebody asks how it stands
            simulation.step(np.zeros((1, 1)))


def test_random_numbers_from_elsewhere_are_noticed():
    def noisy(obs, *rest):
        return (obs + np.random.normal(size=3), *rest)

    class Own(Point):
        def __init__(self):
            super().__init__()
            self.draws = np.random.default_rng()

        def see(self):
            return super().see() + self.draws.normal()

    for name, make in (("noise", lambda: Limited(answer=noisy)), ("own", lambda: TimeLimit(Own(), 50))):
        GymDomain(f"lab:{name}", make).simulate(1)  # one alone may be a robot
        with pytest.warns(UserWarning, match=f"'lab:{name}' behaves differently with the same seed"):
            GymDomain(f"lab:{name}", make).simulate(2)


def test_episodes_that_no_seed_begins_are_looked_at_too():
    class Again(Point):
        def reset(self, *, seed=None, options=None):
            draws = np.random.default_rng(seed)  # new ones wherever there is no seed
            super().reset(seed=seed)
            self.x = draws.uniform(-1, 1)
            return self.see(), {}

    with pytest.warns(UserWarning, match="'lab:again' behaves differently with the same seed"):
        GymDomain("lab:again", lambda: TimeLimit(Again(), 50)).simulate(2)


def test_each_call_makes_a_new_environment_with_the_same_box():
    shared, widths = Point(), iter([1.0, 1.0, 2.0])
    with pytest.raises(RequestError, match="'lab:shared' returns the same environment again"):
        GymDomain("lab:shared", lambda: TimeLimit(shared, 50)).simulate(2)
    with pytest.raises(RequestError, match=r"'lab:wider' makes environments whose action boxes differ: Box\(-1.* 2.0"):
        GymDomain("lab:wider", lambda: Limited(high=next(widths))).simulate(3)
    answers = iter([Limited(), None])
    with pytest.raises(RequestError, match=r"'lab:none' makes a NoneType, not a Domain or a gymnasium\.Env"):
        GymDomain("lab:none", lambda: next(answers)).simulate(2)


def test_actions_are_not_broadcast():
    class Three(Limited):
        def __init__(self):
            super().__init__()
            self.action_space = Box(-1, 1, (3,))

    for made in (GymDomain("lab:three", Three), domain("hopper")):
        for shape in ((2, 1), (3,), (1, 3)):
            with pytest.raises(RequestError, match=r"takes actions of shape \(2, 3\), not "):
                made.simulate(2).step(np.zeros(shape))


def test_environments_are_closed():
    made = []

    def make():
        made.append(Point())
        return TimeLimit(made[-1], 50)

    simulation = GymDomain("lab:point", make).simulate(2)
    assert [env.open for env in made[-2:]] == [True, True]
    del simulation
    assert not any(env.open for env in made)


# -- bounds --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("low", "high"), [(-0.1, 0.1), (0.1, 0.3), (-0.7, 0.7), (-1 / 3, 1e-3)])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_actions_stay_in_the_environments_own_box(low, high, dtype):
    simulation = place(low=low, high=high, dtype=dtype).simulate(1)
    for action in (simulation.domain.spaces.low, simulation.domain.spaces.high, [1e6], [-1e6]):
        simulation.step(np.reshape(action, (1, 1)))


@pytest.mark.parametrize(
    ("box", "message"),
    [
        (
            Box(np.float32([-1, 0.5]), np.float32([1, 0.5])),
            r"'lab:point': its action action\[1\] goes from 0.5 to 0.5",
        ),
        (Box(1e8, 1e8 + 1, (1,), np.float64), r"its action action\[0\] goes from 1e\+08 to 1e\+08"),
        (Box(np.float32([-1, -1e30]), np.float32([1, 1e30])), r"unbounded action box: action\[1\] goes from -1e\+30"),
        (Box(-1, np.inf, (1,)), r"unbounded action box: action\[0\] goes from -1 to inf"),
        (Box(-2, 2, (1,), np.int64), "'lab:point' has actions of int64: let a wrapper take floats and round them"),
        (Box(-1, 1, (0,)), "'lab:point' takes no action"),
    ],
)
def test_a_box_that_no_policy_can_fill_is_refused_with_its_entry(box, message):
    class Boxed(Limited):
        def __init__(self):
            super().__init__()
            self.action_space = box

    with pytest.raises(RequestError, match=message):
        GymDomain("lab:point", Boxed)


# -- time ----------------------------------------------------------------------------------------------------------


class Brief(Point):
    _max_episode_steps = np.float32(7)


def with_spec():
    env = Point()
    env.spec = EnvSpec("Lab-v0", entry_point=Point, max_episode_steps=2000)
    return TransformReward(env, float)


@pytest.mark.parametrize(
    ("make", "steps"),
    [
        (lambda: TimeLimit(Point(), 2000), 2000),
        (lambda: TransformReward(TimeLimit(TransformReward(Point(), float), 30), float), 30),
        (lambda: TimeLimit(TimeLimit(Point(), 20), 30), 20),
        (lambda: TimeLimit(Limited(), 2000), 50),
        (lambda: TimeLimit(Limited(), 10**9), 50),
        (with_spec, 2000),
        (Brief, 7),
        (lambda: RepeatAction(TimeLimit(Point(), 30), 4), 8),
        (lambda: TimeLimit(MaxAndSkipObservation(RepeatAction(TimeLimit(Point(), 30), 2), 3), 20), 5),
    ],
)
def test_episodes_are_as_long_as_the_environment_says(make, steps):
    assert GymDomain("lab:point", make).episode_steps == steps


def test_a_limit_that_nobody_names_is_no_secret():
    for name, make in (("endless", Point), ("longer", lambda: TimeLimit(Point(), 10**9))):
        with pytest.warns(UserWarning, match=f"'lab:{name}' names no limit of its episodes, so they are cut at 1,000"):
            made = GymDomain(f"lab:{name}", make)
        assert made.episode_steps == EPISODE_STEPS


class Substeps(Limited):
    dt, frame_skip, metadata = 0.002, 10, {"render_fps": 30}


class Timeless(Limited):
    dt, metadata = None, None


class Method(Limited):
    def dt(self):
        return 0.05


@pytest.mark.parametrize("make", [Substeps, Timeless, Method, lambda: RepeatAction(gymnasium.make("Hopper-v5"), 4)])
def test_a_control_rate_that_is_not_known_is_none(make):
    assert GymDomain("lab:point", make).control_rate is None


def test_mujoco_environments_say_how_long_a_control_step_is():
    assert domain("gym:Hopper-v5").control_rate == 125
    assert GymDomain("lab", lambda: TransformReward(gymnasium.make("Ant-v5", frame_skip=2), float)).control_rate == 50


# -- pictures ------------------------------------------------------------------------------------------------------


class Drawing(Limited):
    metadata: ClassVar = {"render_modes": ["rgb_array"]}
    picture = np.zeros((64, 64, 3), np.uint8)

    def __init__(self, render_mode="rgb_array"):
        super().__init__()
        self.render_mode = render_mode

    def render(self):
        return self.picture


class Nothing(Drawing):
    picture = None


def test_pictures_are_pictures():
    assert GymDomain("lab:point", Drawing).drawn().simulate(2).pictures()[1].shape == (64, 64, 3)
    with pytest.raises(RequestError, match=r"no video: render\(\) of 'lab:point' must return uint8 .*, not None"):
        GymDomain("lab:point", Nothing).drawn().simulate(1).pictures()
    for make, message in (
        (lambda: Drawing(None), "was made without a render_mode"),
        (Timeless, "does not draw itself"),
    ):
        with pytest.raises(RequestError, match=f"no video: 'lab:point' {message}"):
            GymDomain("lab:point", make).drawn()


class Pushed(Drawing):
    def __init__(self, render_mode=None):
        super().__init__(render_mode)
        self.push = 1.0


def test_an_environment_that_was_changed_after_it_was_made_is_not_drawn_as_another():
    """It was made anew by its spec, without the change: a film showed, and its returns were of, the plain one."""
    spec = EnvSpec("lab/Pushed-v0", Pushed, max_episode_steps=9, disable_env_checker=True)

    def made(push=None, **more):
        env = gymnasium.make(spec, **more)
        if push:
            env.unwrapped.push = push  # type: ignore[attr-defined]
        return env

    with pytest.raises(RequestError, match=r"^no video: 'lab:hard' was changed after gymnasium\.make \(Pushed\.push\)"):
        GymDomain("lab:hard", lambda: made(2.0)).drawn()
    for make in (made, lambda: made(2.0, render_mode="rgb_array")):
        assert GymDomain("lab:pushed", make).drawn().simulate(1).pictures()[0].shape == (64, 64, 3)
