"""A reward that another library trains on: what it pays is the compensation's, a reset is no step, raw stays raw."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from events import events
from gymnasium import wrappers
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from quick import compiler
from test_transfer import GAP, LEARNERS, SETTINGS, SOURCE, TARGET, same

import transreward as tr
from tests.domains.made import pendulum, weak_pendulum
from transreward.domains.gym import GymDomain
from transreward.gaps.gap import Gap
from transreward.gaps.reward import Reward
from transreward.gates.chain import Chain, Gate
from transreward.gates.transforms import Clip, Keep, Strength
from transreward.methods import METHODS
from transreward.request.resolve import resolve
from transreward.types import Pair, RequestError, Spaces, Transition
from transreward.uses import USES
from transreward.uses.blend import Blend
from transreward.uses.compensation import Compensation, CompensationState
from transreward.uses.imitation import Imitation
from transreward.uses.penalty import Penalty
from transreward.uses.potential import Potential
from transreward.uses.use import UNCHANGED
from transreward.wrapper import LearnedOn

pytestmark = pytest.mark.usefixtures("hurry")


@dataclass(frozen=True)
class Sum(Gap):
    """A gap whose score is obs + 10 next_obs + 100 action, so that each part shows; it learned to multiply by state."""

    offers = ("score", "log_ratio")

    def init(self, key, spaces):
        return jnp.ones(())

    def score(self, state, batch):
        return state * (batch.obs[:, 0] + 10 * batch.next_obs[:, 0] + 100 * batch.action[:, 0])

    def likeness(self, state, batch, by):
        return jnp.ones_like(batch.reward)

    def differences(self, state, batch, source_model=None):
        return jnp.stack([jnp.concatenate([batch.obs, batch.obs[:, :1]], axis=1)] * 2)

    def trust(self, state, batch, source_model=None):
        return jax.nn.sigmoid(batch.obs[:, 0])

    def effect(self, difference, batch, value, discount):
        return difference[:, -1] + discount * value(batch.next_obs)

    def worth(self, state, obs, action):
        return obs[:, 0]


@dataclass(frozen=True)
class Valued(Sum):
    """One that asks for the learner's value."""

    needs = ("value",)

    def score(self, state, batch, value):
        return value(batch.next_obs)


class Counter(gymnasium.Env):
    """The observation counts the steps from `start`, which no reset repeats; the episode ends after `length`."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float32)
    action_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)

    def __init__(self, length=3, ends="terminated", reuses=False):
        self.length, self.ends, self.start, self.reuses = length, ends, 0.0, reuses
        self.seen = np.zeros(2, np.float32)

    def reset(self, *, seed=None, options=None):
        self.start += 100.0
        self.clock = 0
        self.seen[:] = self.start
        return self.seen if self.reuses else self.seen.copy(), {}

    def step(self, action):
        self.clock += 1
        self.seen[0] = self.start + self.clock
        over, obs = self.clock == self.length, self.seen if self.reuses else self.seen.copy()
        return obs, 0.5, over and self.ends == "terminated", over and self.ends == "truncated", {"own": 1}


def over(gap, use, *transforms):
    """A use over a gap, through these transforms alone."""
    return Compensation(gap, use, Chain(transforms))


def holds(x):
    """The state of a compensation without a gate."""
    return CompensationState(x, ())


PENALTY = over(Sum(), Penalty())
LOG = ("tensorboard",) if find_spec("tensorboardX") else ()
SPACES = Spaces(2, 1, -np.ones(1), np.ones(1))


def episode(env, actions):
    """[obs, reward, terminated, truncated, info] of one episode, arrays copied."""
    env.reset(seed=0)
    rows = []
    for action in actions:
        obs, *rest = env.step(np.array([action], np.float32))
        rows.append((obs.copy(), *rest))
    return rows


# -- one environment -----------------------------------------------------------------------------------------------


def test_a_step_is_paid_raw_plus_compensation_and_told_apart():
    env = Counter(reuses=True)  # writes each observation into the same array, as some environments do
    rows = episode(tr.CompensatedReward(env, PENALTY, holds(jnp.asarray(2.0))), [0.25, -0.5, 1.0])
    for i, (action, (_, reward, *_, info)) in enumerate(zip([0.25, -0.5, 1.0], rows, strict=True)):
        added = 2.0 * (100 + i + 10 * (101 + i) + 100 * action)
        assert reward == pytest.approx(0.5 + added)
        assert info == {"own": 1, "raw_reward": 0.5, "compensation": pytest.approx(added), "weight": 1.0}
    assert [row[2:4] for row in rows] == [(False, False)] * 2 + [(True, False)]


def test_no_strength_pays_the_raw_reward_itself():
    for compensation in (over(None, UNCHANGED), over(Sum(), Penalty(), Strength(0.0))):
        state = compensation.init(None, None)
        rows = episode(tr.CompensatedReward(Counter(), compensation, state), [0.1, 0.2, 0.3])
        assert [row[1] for row in rows] == [0.5] * 3


@pytest.mark.parametrize("ends", ["terminated", "truncated"])
def test_a_potential_ends_at_zero_where_the_task_did_and_not_where_the_clock_did(ends):
    def value(obs):
        return 3.0 * obs[:, 0] + 1.0

    env = tr.CompensatedReward(Counter(ends=ends), over(None, Potential()), holds(()), source_value=value, discount=0.9)
    rewards = [row[1] for row in episode(env, [0, 0, 0])]
    phi = [3.0 * (100 + i) + 1.0 for i in range(4)]
    last = 0.0 if ends == "terminated" else phi[3]
    assert rewards == pytest.approx([0.5 + 0.9 * b - a for a, b in zip(phi[:3], [*phi[1:3], last], strict=True)], 1e-5)


def test_the_targets_steps_are_paid_where_the_compensation_pays_the_target():
    imitation = over(Sum(), Imitation(keep=0.25), Clip(1e6), Keep(0.25))
    blend = over(Sum(), Blend(), Strength(0.5))
    state = imitation.init(jax.random.key(0), SPACES)
    [(_, reward, *_, info)] = episode(tr.CompensatedReward(Counter(), imitation, state), [0.0])
    assert reward == pytest.approx(0.25 * 0.5 - 1110) and info["raw_reward"] == 0.5
    [(_, reward, *_)] = episode(tr.CompensatedReward(Counter(), blend, blend.init(None, None)), [0.0])
    assert reward == pytest.approx(0.5 + 0.5 * 1110)


def test_extras_reach_the_compensation_and_a_missing_one_is_named():
    valued = over(Valued(), Penalty(), Clip(1e6))
    state = valued.init(jax.random.key(0), SPACES)
    env = tr.CompensatedReward(Counter(), valued, state, value=lambda obs: obs[:, 0])
    assert episode(env, [0.0])[0][1] == pytest.approx(0.5 + 101)
    with pytest.raises(RequestError, match=r"'penalty' asks for value, the learner's .*: pass value=\.\.\., or \*\*"):
        tr.CompensatedReward(Counter(), valued, state, discount=0.9)
    with pytest.raises(RequestError, match="asks for source_value"):
        tr.CompensatedReward(Counter(), over(None, Potential()), holds(()), value=lambda obs: obs[:, 0], discount=0.9)
    with pytest.raises(RequestError, match="unknown extra of a compensation 'sourc_value': did you mean source_value"):
        tr.CompensatedReward(
            Counter(), over(None, Potential()), holds(()), sourc_value=lambda obs: obs[:, 0], discount=0.9
        )


@pytest.mark.parametrize("name", USES)
def test_each_use_either_has_single_steps_or_is_refused(name):
    """Those that are let through say the same of a step alone as of the same among others, and change its reward."""
    gap = Reward(of="target", hidden=(4,)) if name == "relabel" else Sum()
    use = USES[name]()
    compensation = over(gap if use.wants else None, use, *use.transforms(Gate(clip=1e6, scale=False, ramp=0.0)))
    state = compensation.init(jax.random.key(0), SPACES)
    if use.relative:
        with pytest.raises(RequestError, match="wrap a method that pays, such as penalty"):
            tr.CompensatedReward(Counter(), compensation, state)
        return
    if name == "relabel":  # its answers lie within the rewards seen
        state = holds(state.use._replace(least=jnp.full((), -9.0), most=jnp.full((), 9.0)))
    state = jax.tree.map(lambda x: x + 2.0, state)
    extra = {
        "value": lambda o: o[:, 1], "source_value": lambda o: o[:, 0] - o[:, 1], "discount": 0.9, "done": jnp.zeros(()),
        "act": lambda o: o[:, :1], "source_act": lambda o: -o[:, :1],
    }  # fmt: skip
    draw = np.random.default_rng(0).normal
    obs, action, next_obs = (draw(size=(6, n)).astype(np.float32) for n in (2, 1, 2))
    steps = jax.tree.map(jnp.asarray, Transition(obs, action, obs[:, 0], next_obs, np.zeros(6), np.zeros(6)))
    whole = getattr(compensation.adjust(state, Pair(steps, steps), **extra), compensation.side)
    wrapped = tr.CompensatedReward(Counter(), compensation, state, **extra)
    for i in range(6):
        delta, weight = wrapped._adjusting(*(x[i] for x in steps))
        assert float(steps.reward[i] + delta[0]) == pytest.approx(float(whole.reward[i]), rel=1e-4, abs=1e-4)
        assert weight[0] == pytest.approx(float(whole.weight[i]))
    assert np.abs(whole.reward - steps.reward).max() > 0.01


def test_what_does_not_fit_is_refused_in_one_line():
    learned = tr.gap("classifier", hidden=(4,))
    state = learned.init(jax.random.key(0), Spaces(4, 1, -np.ones(1), np.ones(1)))
    with pytest.raises(RequestError, match="does not take 2 observations and 1 actions"):
        tr.CompensatedReward(Counter(), over(learned, Penalty()), holds(state))
    for compensation, state in ((PENALTY, holds(jnp.ones((3, 1)))), (over(Sum(), Penalty(), Clip()), jnp.ones(()))):
        with pytest.raises(RequestError, match="its state of one seed"):
            tr.CompensatedReward(Counter(), compensation, state)
    env = Counter()
    env.observation_space = gymnasium.spaces.Discrete(3)
    with pytest.raises(RequestError, match="only Box observations"):
        tr.CompensatedReward(env, PENALTY, holds(jnp.ones(())))
    with pytest.raises(RequestError, match="use CompensatedVectorReward"):
        tr.CompensatedReward(SyncVectorEnv([Counter]), PENALTY, holds(jnp.ones(())))  # type: ignore[arg-type]
    with pytest.raises(RequestError, match="use CompensatedReward"):
        tr.CompensatedVectorReward(Counter(), PENALTY, holds(jnp.ones(())))  # type: ignore[arg-type]


def test_a_compensation_that_is_not_finite_breaks_the_run():
    with pytest.raises(tr.BrokenRun, match="row 0 is not finite at step 1"):
        episode(tr.CompensatedReward(Counter(), PENALTY, holds(jnp.asarray(np.nan))), [0.0])


# -- the environment that it was learned on ------------------------------------------------------------------------


PAIRS = {
    "own": ("tests.domains.made:pendulum", "tests.domains.made:weak_pendulum"),
    "table": ("inverted_pendulum", "inverted_pendulum:gravity=2"),
}


@pytest.fixture(scope="module")
def learned():
    """A compensation, Penalty(Sum()) by default, as if it came from a run of that pair."""
    about = {name: resolved(pair).as_json(METHODS["darc"]) for name, pair in PAIRS.items()}
    return lambda pair, compensation=PENALTY: learned_on(compensation, about[pair])


def learned_on(compensation, config):
    return LearnedOn(compensation.gap, compensation.use, compensation.gate, config)


def resolved(pair):
    return resolve(
        *pair, "darc", learner="sac", source_steps=600, target_steps=120, seeds=1, seed=0, settings={}, controls=(),
        source_run=None,
    )  # fmt: skip


class Statistics:
    """Running moments, as many libraries have them."""

    mean, var, count = 0.0, 1.0, 0

    def update(self, x):
        self.count += 1

    def scaled(self, x):
        self.update(x)
        return x / self.count


def by_closure(env):
    seen = Statistics()
    return wrappers.TransformReward(env, lambda reward: reward / (seen.count + 1))


def frozen(env):
    env = wrappers.NormalizeObservation(env)
    env.update_running_mean = False
    return env


RUNNING = {
    "obs": wrappers.NormalizeObservation,
    "reward": lambda env: wrappers.TimeLimit(wrappers.NormalizeReward(env), 9),
    "method": lambda env: wrappers.TransformObservation(env, Statistics().scaled, env.observation_space),
    "closure": by_closure,
}


@pytest.mark.parametrize("name", RUNNING)
def test_running_statistics_are_refused_where_they_come_in(name):
    """Each copy has its own: what is trained on, what is evaluated on and what is paid would be in three units."""
    with pytest.raises(RequestError, match=r"'lab:mine' normalises by running statistics \(\w+\), which each copy"):
        GymDomain("lab:mine", lambda: RUNNING[name](pendulum()))
    with pytest.raises(RequestError, match="this environment normalises by running statistics"):
        tr.CompensatedReward(RUNNING[name](pendulum()), PENALTY, holds(jnp.ones(())))
    GymDomain("lab:mine", lambda: frozen(pendulum()))  # the same numbers in every copy


ONES = np.float32(-1), np.float32(1)
OTHERS = {
    "actions": (
        lambda: wrappers.RescaleAction(pendulum(), *ONES),
        r"actions lie in \[-1, 1\], .* in \[-2, 2\]",
    ),
    "observations": (
        lambda: wrappers.RescaleObservation(pendulum(), np.float32(-2), np.float32(2)),
        r"observations lie in \[-2, 2\], .* in \[-1, 1\]",
    ),
    "unbounded": (lambda: wrappers.ClipAction(pendulum()), r"actions lie in \[-inf, inf\]"),
    "target": (
        weak_pendulum,
        "pays the steps of the source, '.*:pendulum', and this environment is '.*:weak_pendulum'",
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_another_environment_than_that_it_was_learned_on_is_refused(name, learned):
    make, why = OTHERS[name]
    with pytest.raises(RequestError, match=why):
        tr.CompensatedReward(make(), learned("own"), holds(jnp.ones(())))
    with pytest.raises(RequestError, match=why):
        tr.CompensatedVectorReward(SyncVectorEnv([make]), learned("own"), holds(jnp.ones(())))


def in_other_processes(make):
    """As AsyncVectorEnv: it has the functions that make environments, and none of these."""
    env = SyncVectorEnv([make])
    env.envs = []
    return env


@pytest.mark.parametrize("make", [lambda: RUNNING["obs"](pendulum()), *(OTHERS[n][0] for n in ("actions", "target"))])
def test_what_environments_in_other_processes_are_is_known_too(make, learned):
    tr.CompensatedVectorReward(in_other_processes(pendulum), learned("own"), holds(jnp.ones(())))
    with pytest.raises(RequestError, match="this environment"):
        tr.CompensatedVectorReward(in_other_processes(make), learned("own"), holds(jnp.ones(())))


def test_the_side_that_is_paid_is_told_by_what_differs(learned):
    """By a setting of a user's environment, and by the physics of a MuJoCo model."""
    for env in (pendulum(), wrappers.FlattenObservation(pendulum())):
        tr.CompensatedReward(env, learned("own"), holds(jnp.ones(())))
    blend = learned("own", over(Sum(), Blend(), Strength(0.5)))
    tr.CompensatedReward(weak_pendulum(), blend, CompensationState(jnp.ones(()), ((),)))
    with pytest.raises(RequestError, match=r"pays the steps of the target, .*: PendulumEnv\.g differ"):
        tr.CompensatedReward(pendulum(), blend, CompensationState(jnp.ones(()), ((),)))
    for make in (pendulum, weak_pendulum):  # a potential pays both
        potential = learned("own", over(None, Potential()))
        tr.CompensatedReward(make(), potential, holds(()), source_value=lambda o: o[:, 0], discount=0.9)
    env = gymnasium.make("InvertedPendulum-v5")
    tr.CompensatedReward(env, learned("table"), holds(jnp.ones(())))
    env.unwrapped.model.opt.gravity[:] *= 2  # type: ignore[attr-defined]
    with pytest.raises(RequestError, match=r"and this environment is 'inverted_pendulum:gravity=2': model\.gravity"):
        tr.CompensatedReward(env, learned("table"), holds(jnp.ones(())))


@pytest.mark.parametrize("wrap", [frozen, lambda env: wrappers.TransformReward(env, lambda r: 2 * r)])
def test_other_wrappers_than_those_of_the_domain_are_warned_of(wrap, learned):
    with pytest.warns(UserWarning, match=r"went through other wrappers \(\w+\) than those .* learned on \(none\)"):
        tr.CompensatedReward(wrap(pendulum()), learned("own"), holds(jnp.ones(())))


def test_a_run_that_knows_less_of_its_spaces_still_has_the_box(learned):
    config = dict(learned("own").config)
    config["spaces"] = {key: config["spaces"][key] for key in ("obs", "action", "low", "high")}
    tr.CompensatedReward(weak_pendulum(), learned_on(PENALTY, config), holds(jnp.ones(())))
    with pytest.raises(RequestError, match="actions lie in"):
        tr.CompensatedReward(OTHERS["actions"][0](), learned_on(PENALTY, config), holds(jnp.ones(())))


# -- several environments ------------------------------------------------------------------------------------------


def vector(mode, lengths=(2, 3), ends=("terminated", "truncated")):
    made = [lambda n=n, e=e: Counter(n, e) for n, e in zip(lengths, ends, strict=True)]
    return SyncVectorEnv(made, autoreset_mode=mode)


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_each_row_is_paid_as_if_it_were_alone_and_a_reset_is_no_step(mode):
    env = tr.CompensatedVectorReward(vector(mode), PENALTY, holds(jnp.asarray(1.0)))
    env.reset(seed=0)
    paid: list[list[float]] = [[], []]
    ended = np.zeros(2, bool)
    for _ in range(8):
        if mode == AutoresetMode.DISABLED and ended.any():
            env.reset(options={"reset_mask": ended})
        _, reward, terminated, truncated, info = env.step(np.zeros((2, 1), np.float32))
        assert np.allclose(reward, info["raw_reward"] + info["compensation"])
        resets = ended if mode == AutoresetMode.NEXT_STEP else np.zeros(2, bool)
        assert (info["weight"] == ~resets).all()
        assert (reward[resets] == 0).all() and (info["compensation"][resets] == 0).all()
        for i in np.flatnonzero(~resets):
            paid[i].append(reward[i])
        ended = terminated | truncated
    for i, length in enumerate((2, 3)):
        alone = tr.CompensatedReward(Counter(length), PENALTY, holds(jnp.asarray(1.0)))
        expected = [row[1] for _ in range(4) for row in episode(alone, [0.0] * length)]
        assert paid[i] == pytest.approx(expected[: len(paid[i])]) and len(paid[i]) >= 5


def test_a_row_that_is_renewed_by_hand_is_stepped_again():
    """Under NEXT_STEP, too, a mask resets rows at once: their next step is one."""
    env = tr.CompensatedVectorReward(vector(AutoresetMode.NEXT_STEP, (1, 5)), PENALTY, holds(jnp.asarray(1.0)))
    env.reset(seed=0)
    env.step(np.zeros((2, 1), np.float32))  # ends the first row
    env.reset(options={"reset_mask": np.array([True, False])})
    info = env.step(np.zeros((2, 1), np.float32))[4]
    assert info["weight"].tolist() == [1, 1] and info["compensation"].tolist() == [200 + 2010, 101 + 1020]


def test_resets_that_cannot_be_told_are_refused():
    env = vector(AutoresetMode.NEXT_STEP)
    env.metadata = {}
    with pytest.raises(RequestError, match="no autoreset_mode"):
        tr.CompensatedVectorReward(env, PENALTY, holds(jnp.ones(())))


# -- of a run ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """darc with a potential and a control that pays nothing beside it, and its directory."""
    out = tmp_path_factory.mktemp("runs") / "run"
    with compiler(hurried=True):
        result = tr.transfer(
            SOURCE, TARGET, "darc", learner=LEARNERS["sac"], source_steps=512, target_steps=100, seeds=2, seed=4,
            settings={**SETTINGS, **GAP}, controls=("potential(value)", "zero_shot"), out=out,
            log=LOG,
        )  # fmt: skip
    return result, out


def test_a_run_keeps_what_its_compensation_learned(run):
    result, out = run
    loaded = tr.load(out)
    for ours, theirs in ((result, loaded), *((c, loaded.controls[name]) for name, c in result.controls.items())):
        assert same(ours.compensation_state, theirs.compensation_state or ())
        assert same(ours.source_agents, theirs.source_agents)
    assert not same(result.compensation(0)[1], result.compensation(1)[1])
    assert loaded.compensation(1)[0] == result.compensation(1)[0]
    assert loaded.compensation(1)[0].gap.hidden == GAP["gap.hidden"]  # its settings are the run's
    assert not (out / "controls" / "zero_shot" / "compensation.safetensors").exists()
    with pytest.raises(RequestError, match="'zero_shot' has no compensation"):
        loaded.controls["zero_shot"].compensation()
    with pytest.raises(RequestError, match="seed 2 of a run with seeds 0 to 1"):
        loaded.compensation(2)


def test_the_wrapper_pays_what_the_learner_was_paid(run):
    """The same steps, as one batch on the side that the run trained on and one by one in the wrapped environment."""
    compensation, state = tr.load(run[1]).compensation(1)
    env = tr.CompensatedReward(gymnasium.make("InvertedPendulum-v5"), compensation, state)
    obs, _ = env.reset(seed=0)
    env.action_space.seed(0)
    rows: list[Any] = []
    for _ in range(8):
        action = env.action_space.sample()
        after, reward, terminated, truncated, info = env.step(action)
        rows.append((Transition(obs, action, info["raw_reward"], after, terminated, truncated), reward))
        obs = after if not terminated else env.reset()[0]
    steps = jax.tree.map(lambda *x: jnp.stack([jnp.asarray(v, jnp.float32) for v in x]), *(t for t, _ in rows))
    whole = compensation.adjust(state, Pair(steps, steps)).source.reward
    assert np.allclose([reward for _, reward in rows], whole, atol=1e-5)
    assert np.std(whole - steps.reward) > 1e-4


def test_a_run_gives_what_its_potential_asks_for(run):
    potential = tr.load(run[1]).controls["potential(value)"]
    extras = potential.extras(1)
    env = tr.CompensatedReward(gymnasium.make("InvertedPendulum-v5"), *potential.compensation(1), **extras)
    obs, _ = env.reset(seed=0)
    after, _, terminated, _, info = env.step(np.zeros(1, np.float32))
    before, then = (float(extras["source_value"](jnp.asarray(o, jnp.float32)[None])[0]) for o in (obs, after))
    assert not terminated and info["compensation"] == pytest.approx(extras["discount"] * then - before, abs=1e-5)
    assert set(run[0].extras(0)) == {"value", "act", "discount", "done"}  # darc asks no source agent
    assert not np.allclose(before, extras["value"](jnp.asarray(obs, jnp.float32)[None])[0])


def test_what_was_learned_in_an_identified_simulator_pays_no_other(run):
    """As by `auto`: its difference is the target's from that simulator, and from the source where nothing was found."""
    found = tr.load(run[1])
    rows = [row | {"grounded_explained": 0.0} for row in found.log]
    replace(found, log=rows).compensation(1)
    with pytest.raises(
        RequestError, match=r"'darc' learned .* unlike the simulator that it identified, not unlike inv"
    ):
        replace(found, log=[*rows, rows[-1] | {"grounded_explained": 0.4}]).compensation(1)


def test_a_run_without_a_saved_compensation_is_still_read(run, tmp_path):
    tr.load(run[1]).save(tmp_path / "copy")
    (tmp_path / "copy" / "compensation.safetensors").unlink()
    old = tr.load(tmp_path / "copy")
    assert same(old.agents, run[0].agents)
    with pytest.raises(RequestError, match="holds no compensation"):
        old.compensation()


@pytest.mark.skipif(not LOG, reason="tensorboardX is not installed")
def test_a_run_is_logged_as_its_metrics_are(run):
    """All methods and seeds, the source agent's training with them."""
    result, out = run
    rows = [*result.log, *(row for control in result.controls.values() for row in control.log)]
    assert {row["method"] for row in rows} == {"plain", "darc", "potential(value)"}
    for row in rows:
        found = events(out / "tensorboard" / row["method"] / f"seed{row['seed']}")
        for name in ("target_return", "gap_mean", "target_steps"):
            assert found[name, row["step"]] == pytest.approx(row[name], rel=1e-6)
    assert {path.name for path in (out / "tensorboard").iterdir()} == {"plain", "darc", "potential(value)"}
