"""Potentials over state and action: what they keep of a task, shown on tables, and what a learner makes of them."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_uses import GAMMA, SPACES, Other, Valued, best_actions, over, random_mdp, steps

from transreward import replay as rp
from transreward.gaps.reward import MeanReward, Reward
from transreward.learners.batch import Batch
from transreward.learners.sac import SAC
from transreward.methods import METHODS, method
from transreward.types import Adjusted, Pair, RequestError, Shaping, Steps, Transition
from transreward.uses.advice import Advice
from transreward.uses.blend import Blend
from transreward.uses.compensation import Compensation
from transreward.uses.dpba import Dpba, learned_shaping
from transreward.uses.kickstart import Kickstart
from transreward.uses.relabel import Relabel

pytestmark = pytest.mark.usefixtures("hurry")

STATES, ACTIONS = 6, 3  # of random_mdp
PLACES = np.linspace(-1, 1, ACTIONS)  # its actions, in a box


def every_step(reward, ends):
    """A batch of all (s, a, s') of a table: obs is the state's number, the action its place in the box."""
    s, a, n = (x.ravel() for x in np.indices(reward.shape))
    column = lambda x: jnp.asarray(x.reshape(-1, 1), jnp.float32)  # noqa: E731
    zero = jnp.zeros(reward.size)
    return Transition(column(s), column(PLACES[a]), jnp.asarray(reward.ravel(), jnp.float32), column(n),
                      jnp.asarray(ends[n], jnp.float32), zero)  # fmt: skip


def policy(actions):
    """A table's policy as a learner's, [n, 1] -> [n, 1]."""
    return lambda obs: jnp.asarray(PLACES[actions], jnp.float32)[obs[:, 0].astype(int)][:, None]


def values(p, reward, ends, actions):
    """Q of a policy, [s, a]."""
    rows = np.arange(len(p))
    v = np.linalg.solve(np.eye(len(p)) - GAMMA * p[rows, actions] * ~ends, (p * reward).sum(axis=2)[rows, actions])
    return (p * (reward + GAMMA * np.where(ends, 0.0, v))).sum(axis=2)


# -- advice of the source policy -----------------------------------------------------------------------------------


def told(use, **extra):
    """All that reaches a learner beside rewards."""
    compensation = over(None, use)
    return compensation.shape(compensation.init(jax.random.key(0), SPACES), **extra)


def advice(actions, strength, width=0.5, fade=0.0, done=0.0):
    """Phi of every state and action of a table, [s, a], for a source policy."""
    s, a = (x.ravel() for x in np.indices((STATES, ACTIONS)))
    advise = told(Advice(strength, width, fade), source_act=policy(actions), done=jnp.float32(done)).advise
    found = advise(jnp.asarray(s[:, None]), jnp.asarray(PLACES[a][:, None]))
    return np.asarray(found).reshape(STATES, ACTIONS)


def test_advice_is_the_likelihood_of_the_source_policys_action():
    actions = np.array([0, 1, 2, 0, 1, 2])
    apart = PLACES[None, :] - PLACES[actions][:, None]
    for left, done in ((1.0, 0.0), (0.5, 0.2), (0.0, 0.7)):
        found = advice(actions, 3.0, width=0.5, fade=0.4, done=done)
        np.testing.assert_allclose(found, 3 * left * np.exp(-((apart / 0.5) ** 2) / 2), rtol=1e-5)


def learned_beside(phi, p, reward, ends):
    """What critics come to that are asked for Q + Phi and learn Q, [s, a]."""
    q = np.zeros((STATES, ACTIONS))
    for _ in range(600):
        q = (p * (reward + GAMMA * np.where(ends, 0.0, (q + phi).max(axis=1)))).sum(axis=2) - phi
    return q


@pytest.mark.parametrize("seed", range(20))
def test_advice_keeps_the_optimal_policies_of_random_mdps(seed):
    p, reward, ends = random_mdp(seed)
    phi = advice(np.random.default_rng(seed).integers(ACTIONS, size=STATES), 5.0)
    q = learned_beside(phi, p, reward, ends)
    assert np.array_equal((q + phi).argmax(axis=1), best_actions(p, reward, ends))


def test_who_acts_by_the_critics_alone_avoids_what_is_advised():
    """Look-ahead advice without the bias in acting: Q - Phi is greedy for what the source policy would not do."""
    changed = 0
    for seed in range(20):
        p, reward, ends = random_mdp(seed)
        phi = advice(np.random.default_rng(seed).integers(ACTIONS, size=STATES), 5.0)
        found = learned_beside(phi, p, reward, ends).argmax(axis=1)
        changed += not np.array_equal(found, best_actions(p, reward, ends))
    assert changed > 10


BANDIT = SAC(hidden=(32,), critics=2, learning_rate=3e-3, discount=0.5, batch=64, polyak=0.05, target_entropy=-3.0)


def bandit(reward, **options):
    """SAC with steps of random actions, each of which ends its episode; its state and its mode."""
    key = jax.random.key(1)
    action = jax.random.uniform(key, (1, 200, 4, 1), minval=-1, maxval=1)
    obs, flags = jnp.zeros((1, 200, 4, 1)), jnp.ones((1, 200, 4))
    t = Transition(obs, action, reward(action)[..., 0], obs, flags, 0 * flags)
    replay = rp.of(Steps(t, jnp.zeros((1, 200, 4, 0)), 0 * flags), SPACES)
    replay = replace(replay, data=replay.data[0])

    def raw(t):
        return Adjusted(t.reward, jnp.ones_like(t.reward))

    def train(updates, shaping=Shaping(), state=None):  # noqa: B008
        sample = rp.windows(Pair(None, replay), 1.0, SPACES)
        run = jax.jit(lambda s: BANDIT.improve(s, sample, lambda b: b.map(raw), shaping, key, updates=updates))
        state = run(BANDIT.init(key, SPACES) if state is None else state)[0]
        return state, float(BANDIT.act(state, jnp.zeros((1, 1)), None)[0, 0])

    return train


@pytest.mark.long
@pytest.mark.slow
def test_a_learner_follows_advice_until_steps_overrule_it():
    use = Advice(strength=4.0, width=0.5, fade=0.0)
    shaping = told(use, source_act=lambda obs: jnp.full((len(obs), 1), -0.5), done=jnp.float32(0))
    train = bandit(lambda a: -4 * (a - 0.5) ** 2)
    early, late, alone = train(25, shaping)[1], train(1500, shaping), train(25)[1]
    assert early < alone - 0.02
    assert late[1] > 0.2  # the best is 0.5, the advice -0.5
    action = jnp.linspace(-0.9, 0.9, 19)[:, None]
    obs = jnp.zeros_like(action)
    whole = BANDIT._q(late[0].critics, obs, action).mean(axis=0) + shaping.advise(obs, action)
    np.testing.assert_allclose(whole, -4 * (action[:, 0] - 0.5) ** 2, atol=0.6)


def test_a_kickstart_draws_the_actor_and_leaves_the_critics_alone():
    use = Kickstart(strength=3.0, fade=0.5)
    obs, action = jnp.zeros((3, 1)), jnp.asarray([[-1.0], [0.0], [1.0]])
    for done, left in ((0.0, 1.0), (0.25, 0.5), (0.5, 0.0)):
        source = {"source_act": lambda obs: jnp.full((len(obs), 1), -0.5), "done": jnp.float32(done)}
        cost = told(use, **source).draw(obs, action)
        np.testing.assert_allclose(cost, 3 * left * np.array([0.25, 0.25, 2.25]), rtol=1e-6)
    shaping = told(use, source_act=lambda obs: jnp.full((len(obs), 1), -0.5), done=jnp.float32(0))
    train = bandit(lambda a: -4 * (a - 0.5) ** 2)
    (drawn, there), (plain, alone) = train(60, shaping), train(60)
    assert there < -0.1 < alone
    for mine, its in zip(jax.tree.leaves(drawn.critics), jax.tree.leaves(plain.critics), strict=True):
        np.testing.assert_allclose(mine, its, rtol=1e-4, atol=1e-5)  # every step ended: nothing follows the actor


def test_a_learner_follows_a_floor_where_it_promises_more():
    """The actor alone: every step ended, so no target of the critics asks what follows."""
    train = bandit(lambda a: -4 * (a - 0.5) ** 2)
    (plain, alone), (high, there), (low, here) = (
        train(60, Shaping(floor=floor))
        for floor in (
            None,
            lambda obs, action: 50.0 - 4 * (action[..., 0] + 0.5) ** 2,
            lambda obs, action: jnp.full(obs.shape[:-1], -50.0),
        )
    )
    assert there < -0.1 < alone and abs(here - alone) < 1e-3
    for mine, its in zip(
        jax.tree.leaves((high.critics, low.critics)), jax.tree.leaves((plain.critics,) * 2), strict=True
    ):
        np.testing.assert_allclose(mine, its, rtol=1e-4, atol=1e-5)


@pytest.mark.long
@pytest.mark.slow
def test_a_floor_stands_in_the_critics_targets():
    """A value of 7 to follow from everywhere, with discount 0.5, beside critics that know nothing."""
    zeros, ones = jnp.zeros((8, 1)), jnp.ones(8)
    step = Transition(zeros, zeros, ones, zeros, 0 * ones, 0 * ones)
    batch = Batch(zeros, zeros, ones, zeros, 0.5 * ones, ones, step, zeros, ones > 0)
    state = BANDIT.init(jax.random.key(1), SPACES)
    losses = [
        float(BANDIT._update(state, batch, jax.random.key(2), Shaping(floor=floor))[1]["critic_loss"])
        for floor in (None, lambda obs, action: jnp.full(obs.shape[:-1], -100.0), lambda obs, action: 7.0)
    ]
    assert losses[0] == losses[1] and losses[2] > 2 * losses[0]


def test_advice_that_is_the_same_everywhere_is_a_shift_of_the_critics():
    """c beside critics that say c less is as no advice, in every place where they are asked."""
    train, c = bandit(lambda a: jnp.sin(3 * a)), 2.0
    start = BANDIT.init(jax.random.key(1), SPACES)

    def shifted(layers, by):
        return [*layers[:-1], {**layers[-1], "b": layers[-1]["b"] + by}]

    lower = start._replace(critics=shifted(start.critics, -c), slow_critics=shifted(start.slow_critics, -c))
    plain, _ = train(20, state=start)
    found, _ = train(20, Shaping(advise=lambda obs, action: jnp.full(obs.shape[:-1], c)), state=lower)
    for mine, its in zip(jax.tree.leaves(found.actor), jax.tree.leaves(plain.actor), strict=True):
        np.testing.assert_allclose(mine, its, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(shifted(found.critics, c)[-1]["b"], plain.critics[-1]["b"], atol=1e-3)


# -- any compensation as a learned potential -----------------------------------------------------------------------


def conflicting(seed):
    """A table's dynamics, its own reward, another task's, and the ends."""
    p, own, ends = random_mdp(seed)
    return p, own, random_mdp(seed + 100)[1], ends


def learned_potential(p, added, ends, actions):
    """Phi of a policy: the value of minus what is added, [s, a]."""
    return values(p, -added, ends, actions)


def paid(phi, own, ends, actions):
    """r + F of every step of a table, by the code, for a policy that acts so."""

    def table(obs, action):
        index = jnp.round((action[:, 0] + 1) * (ACTIONS - 1) / 2).astype(int)
        return jnp.asarray(phi, jnp.float32)[obs[:, 0].astype(int), index]

    batch = every_step(own, ends)
    found = batch.reward + learned_shaping(table, batch, {"act": policy(actions), "discount": GAMMA})
    return np.asarray(found).reshape(own.shape)


@pytest.mark.parametrize("seed", range(5))
def test_a_learned_potential_pays_what_the_compensation_adds_in_expectation(seed):
    p, own, theirs, ends = conflicting(seed)
    actions = np.random.default_rng(seed).integers(ACTIONS, size=STATES)
    phi = learned_potential(p, theirs - own, ends, actions)
    shaping = paid(phi, own, ends, actions) - own
    np.testing.assert_allclose((p * shaping).sum(axis=2), (p * (theirs - own)).sum(axis=2), atol=1e-4)


def iterate(p, own, theirs, ends, beside):
    """Policy iteration on r + F, the potential learned anew for each policy; greedy on Q, or on Q + Phi."""
    actions = np.zeros(STATES, int)
    for _ in range(50):
        phi = learned_potential(p, theirs - own, ends, actions)
        q = values(p, paid(phi, own, ends, actions), ends, actions)
        actions = (q + phi if beside else q).argmax(axis=1)
    return actions


@pytest.mark.parametrize("seed", range(8))
def test_what_dpba_keeps_of_the_targets_task(seed):
    """Its invariance is disputed, and this is what holds. Who acts by Q alone ends at the optimum of r + R: a blend at
    lambda = 1 then loses the target's task, potential or not. Who acts by Q + Phi ends at the target's own optimum, and
    nothing is left of the advice. So what keeps the task in `dpba` is that it fades."""
    p, own, theirs, ends = conflicting(seed)
    live = ~ends
    assert np.array_equal(iterate(p, own, theirs, ends, beside=False)[live], best_actions(p, theirs, ends)[live])
    assert np.array_equal(iterate(p, own, theirs, ends, beside=True)[live], best_actions(p, own, ends)[live])


def test_the_two_optima_differ_mostly():
    differ = 0
    for seed in range(8):
        p, own, theirs, ends = conflicting(seed)
        differ += not np.array_equal(best_actions(p, own, ends)[~ends], best_actions(p, theirs, ends)[~ends])
    assert differ == 8


def test_a_potential_is_learned_from_steps():
    """The network: F comes to be what is added, and nothing at first."""
    use = Dpba(hidden=(32,), learning_rate=3e-3)
    compensation = Compensation(Other(), use)
    obs = jnp.asarray(np.random.default_rng(0).uniform(-1, 1, 512), jnp.float32)
    t = steps(obs, obs * 0.5)
    batches, key, extra = Pair(t, t), jax.random.key(0), {"act": lambda obs: 0 * obs, "discount": GAMMA}
    state = compensation.init(key, SPACES)
    first = compensation.adjust(state, batches, **extra)
    np.testing.assert_array_equal(first.target.reward, t.reward)

    @jax.jit
    def trained(state):
        step = lambda s, k: (compensation.update(s, batches, k, **extra)[0], None)  # noqa: E731
        return jax.lax.scan(step, state, jax.random.split(key, 1500))[0]

    state = trained(state)
    found = compensation.adjust(state, batches, **extra)
    np.testing.assert_array_equal(found.source.reward, t.reward)
    np.testing.assert_allclose(found.target.reward - t.reward, obs, atol=0.15)
    error = compensation.evaluate(state, batches, **extra)["potential_error"]
    expected = np.sqrt(np.mean((found.target.reward - t.reward - obs) ** 2) / np.mean(obs**2))
    assert error == pytest.approx(expected, rel=1e-3) and error < 0.2
    ended = t._replace(terminated=jnp.ones(512))
    paid_at_the_end = compensation.adjust(state, Pair(t, ended), **extra).target.reward - 1
    np.testing.assert_allclose(
        paid_at_the_end, -use.potential.phi(state.use.potential, obs[:, None], 0 * obs[:, None]), atol=1e-5
    )


def test_dpba_without_strength_is_raw_to_the_bit():
    t = steps([0.3, -0.7])
    chain = over(Reward(members=2, hidden=(4,)), Dpba(strength=0.0))
    state = chain.init(jax.random.key(0), SPACES)
    found = chain.adjust(state, Pair(t, t), act=lambda obs: obs, discount=GAMMA, done=jnp.float32(0))
    np.testing.assert_array_equal(found.target.reward, t.reward)


# -- wrong requests ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda: Advice(strength=-1.0), "use.strength must not be negative"),
        (lambda: Advice(width=0.0), "use.width must be above 0"),
        (lambda: Advice(fade=2.0), r"use.fade must be in \[0, 1\]"),
        (lambda: Kickstart(strength=-1.0), "use.strength must not be negative"),
        (lambda: Kickstart(fade=1.5), r"use.fade must be in \[0, 1\]"),
        (lambda: method("kickstart(classifier)"), "write kickstart\\(policy\\)"),
        (lambda: Dpba(strength=1.5), r"use.strength of dpba must be in \[0, 1\], not 1.5"),
        (lambda: Dpba(fade=-0.1), r"use.fade must be in \[0, 1\]"),
        (lambda: Dpba(hidden=()), "use.hidden must name the layers' widths"),
        (lambda: Dpba(learning_rate=0.0), "use.learning_rate must be above 0"),
        (lambda: Dpba(by="size"), "use.by must be fixed"),  # type: ignore[arg-type]
        (lambda: replace(METHODS["dpba"], gap=Valued()), "needs a gap that says what the source would have paid"),
        (lambda: Dpba(by="both").require(method("gaifo").gap), "use.by is of a blend"),  # type: ignore[arg-type]
        (lambda: Dpba(by="both").require(MeanReward()), "use.by tells steps apart, and 'mean_reward'"),
        (lambda: Blend(by="variance").require(MeanReward()), "use.by tells steps apart, and 'mean_reward'"),
        (lambda: Relabel(pessimism=-1.0), "use.pessimism must not be negative"),
        (lambda: replace(METHODS["relabel"], gap=Reward(of="source")), "needs a gap that says what the target pays"),
        (lambda: method("advice(classifier)"), "write advice\\(policy\\)"),
    ],
)
def test_bad_settings(use, message):
    with pytest.raises(RequestError, match=message):
        use()


def test_cells_of_the_new_uses():
    assert isinstance(method("advice(policy)").compensation().use, Advice)
    assert method("dpba(reward)").feed == method("dpba").feed
    assert Blend().side == method("dpba(reward)").side == "target"
