"""Uses turn scores into rewards and weights as they say; those that claim to change no optimal policy change none."""

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from transreward.bridges import between
from transreward.bridges.bridge import require_sound
from transreward.bridges.given import Given
from transreward.bridges.linear import Linear
from transreward.domains.across import Described
from transreward.domains.ids import domain
from transreward.gaps.gap import Gap
from transreward.gaps.neighbours import Neighbours
from transreward.gaps.reward import Reward
from transreward.gaps.state import State
from transreward.gates.chain import NATS, Chain, Gate
from transreward.gates.transforms import Ramp, Strength
from transreward.methods import METHODS
from transreward.types import Pair, RequestError, Spaces, Transition
from transreward.uses.blend import Blend
from transreward.uses.compensation import Compensation
from transreward.uses.filter import Filter
from transreward.uses.imitation import Imitation
from transreward.uses.penalty import Penalty
from transreward.uses.potential import Potential
from transreward.uses.robust import Robust
from transreward.uses.weight import Weight

pytestmark = pytest.mark.usefixtures("hurry")

SPACES = Spaces(1, 1, -np.ones(1), np.ones(1))
GAMMA = 0.9


@dataclass(frozen=True)
class FirstObs(Gap):
    """A gap whose score is the observation."""

    batch: int = 8
    name = "first"

    def init(self, key, spaces):
        return ()

    def update(self, state, batches, key):
        return state, {}

    def score(self, state, batch):
        return batch.obs[:, 0]

    def evaluate(self, state, batches):
        return {}


@dataclass(frozen=True)
class Valued(FirstObs):
    """A gap whose score is the learner's value of the successor."""

    needs = ("value",)

    def score(self, state, batch, *, value):
        return value(batch.next_obs)

    def update(self, state, batches, key, *, value):
        return state, {"gap_loss": value(batches.target.obs).mean()}

    def evaluate(self, state, batches, *, value):
        return {"gap_held_out_loss": value(batches.target.obs).mean()}


@pytest.mark.parametrize("missing", ["init", "update", "evaluate", "score"])
def test_a_gap_without_a_method_of_the_contract_is_refused(missing):
    """Before a step is taken, not after the source agent is trained."""
    methods = {name: vars(FirstObs)[name] for name in ("init", "update", "evaluate", "score") if name != missing}
    gap = type("Half", (Gap,), {"name": "half", "batch": 8, **methods})()
    with pytest.raises(RequestError, match=f"the gap 'half' has no {missing}: write it"):
        Penalty().require(gap)


def steps(obs, next_obs=None, terminated=None, truncated=None):
    x = jnp.asarray(obs, jnp.float32)[:, None]
    zero = jnp.zeros(len(x))
    y = x if next_obs is None else jnp.asarray(next_obs, jnp.float32)[:, None]
    ends = (zero if e is None else jnp.asarray(e, jnp.float32) for e in (terminated, truncated))
    return Transition(x, x * 0, zero + 1.0, y, *ends)


EXTRA = {"value": lambda obs: 10 * obs[:, 0], "source_value": lambda obs: obs[:, 0] ** 2, "discount": GAMMA}


def over(gap, use, gate=None):
    """A compensation: the use over the gap, through the gate's transforms."""
    return Compensation(gap, use, Chain(use.transforms(gate)))


def bare(gap, use, *transforms):
    """The same, through these transforms alone."""
    return Compensation(gap, use, Chain(transforms))


def adjust(compensation, source, target=None, **extra):
    state = compensation.init(jax.random.key(0), SPACES)
    return compensation.adjust(state, Pair(source, source if target is None else target), **(extra or EXTRA))


# -- weights -------------------------------------------------------------------------------------------------------


def test_weights_are_the_ratio_held_within_bounds_with_mean_one():
    scores = np.array([-5.0, -1.0, 0.0, 1.0, 5.0])
    expected = np.clip(np.exp(scores), 0.1, 4.0)
    found = adjust(over(FirstObs(), Weight(0.1, 4.0)), steps(scores))
    np.testing.assert_allclose(found.source.weight, expected / expected.mean(), rtol=1e-5)
    assert np.array_equal(found.source.reward, np.ones(5))
    assert np.array_equal(found.target.weight, np.ones(5)) and np.array_equal(found.target.reward, np.ones(5))


def test_weights_make_the_sources_mean_the_targets():
    # x ~ N(0, 1) in the source, N(0.5, 1) in the target: log-ratio 0.5 x - 0.125
    x = np.random.default_rng(0).standard_normal(200_000)
    weight = adjust(over(FirstObs(), Weight(1e-3, 1e3)), steps(0.5 * x - 0.125)).source.weight
    assert np.mean(weight * x) == pytest.approx(0.5, abs=0.02)
    assert np.mean(x) == pytest.approx(0.0, abs=0.01)


# -- filter --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keep", [0.25, 0.5, 1.0])
def test_a_filter_keeps_the_best(keep):
    scores = np.random.default_rng(0).permutation(100).astype(float)
    weight = np.asarray(adjust(over(FirstObs(), Filter(keep, 0.0)), steps(scores)).source.weight)
    assert set(np.unique(weight)) <= {0.0, 1.0}
    assert weight.sum() == pytest.approx(100 * keep, abs=1)
    assert scores[weight == 1].min() > np.max(scores[weight == 0], initial=-1.0)


@pytest.mark.parametrize("floor", [0.1, 0.3])
def test_a_filters_floor_keeps_some_of_everything(floor):
    """The same share of the first steps of windows, and of each robot's, however many steps or robots there are."""
    scores = np.arange(12_000.0)
    weight = np.asarray(adjust(over(FirstObs(), Filter(0.5, floor)), steps(scores)).source.weight)
    assert weight[6_000:].all()
    for apart in (1, 2, 3, 5, 10, 32):
        for first in {0, apart - 1}:
            assert weight[first:6_000:apart].mean() == pytest.approx(floor, abs=0.02), "windows, robots"


@pytest.mark.parametrize("floor", [0.02, 0.1, 0.25])
@pytest.mark.parametrize(("windows", "length"), [(64, 1), (128, 3), (256, 5)])
def test_a_filters_floor_is_its_share_of_a_batch(floor, windows, length):
    """To a few windows, of the first steps of windows, whose weight is that of the window."""
    scores = np.arange(2.0 * windows * length)
    weight = np.asarray(adjust(over(FirstObs(), Filter(0.5, floor)), steps(scores)).source.weight)
    assert 1 <= weight[: windows * length : length].sum() == pytest.approx(floor * windows, abs=3)


@pytest.mark.parametrize(
    ("use", "match"),
    [
        (lambda: Filter(keep=0.0), r"use.keep must be in \(0, 1\], not 0.0"),
        (lambda: Filter(keep=1.5), "use.keep"),
        (lambda: Filter(floor=-0.1), "use.floor"),
        (lambda: Imitation(keep=-0.1), r"use.keep must be in \[0, 1\], not -0.1"),
        (lambda: Imitation(keep=2.0), "use.keep"),
        (lambda: Imitation(form="gail"), "use.form must be logit or softplus, not 'gail'"),  # type: ignore[arg-type]
        (lambda: Imitation(strength=0.0), "both 0, so nothing would pay the learner"),
        (lambda: Imitation(strength=-1.0), "use.strength must not be negative"),
        (lambda: Weight(low=2.0, high=1.0), "use.low must be above 0 and below use.high"),
        (lambda: Potential(strength=-1.0), "use.strength must not be negative"),
        (lambda: Potential(fade=1.5), r"use.fade must be in \[0, 1\], not 1.5"),
        (lambda: Potential(fade=-0.5), "use.fade"),
        (lambda: Robust(teach=1.0), "use.teach must be between 0 and 1, not 1.0"),
        (lambda: Robust(newest=0.0), r"use.newest must be in \(0, 1\], not 0.0"),
        (lambda: Blend(strength=1.5), r"use.strength of a blend must be in \[0, 1\], not 1.5"),
        (lambda: Blend(strength=-0.1), "use.strength of a blend"),
        (lambda: Blend(by="size"), "use.by must be fixed, similarity, variance or both"),  # type: ignore[arg-type]
        (lambda: Robust(low=0.0), "use.low must be above 0 and below use.high"),
        (lambda: Robust(strength=-1.0), "use.strength must not be negative"),
        (lambda: replace(METHODS["darail"], gap=FirstObs()), "'robust' needs a gap whose score is log p_T - log p_S"),
    ],
)
def test_bad_settings(use, match):
    with pytest.raises(RequestError, match=match):
        use()


# -- imitation -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ratio(FirstObs):
    """The same, said to be a log-ratio."""

    offers = ("score", "log_ratio")


SCORES = np.array([-20.0, -1.0, 0.0, 2.0, 30.0])  # of target steps; below 0 is like the source


@pytest.mark.parametrize(
    ("form", "paid"), [("logit", -SCORES), ("softplus", np.logaddexp(0, -SCORES))], ids=["logit", "softplus"]
)
def test_imitation_pays_target_steps_for_being_like_the_sources(form, paid):
    found = adjust(bare(Ratio(), Imitation(keep=1.0, form=form)), steps([5.0, 6.0]), steps(SCORES))
    np.testing.assert_allclose(found.target.reward, 1 + paid, rtol=1e-6)
    assert np.array_equal(found.source.reward, np.ones(2)) and np.array_equal(found.source.weight, np.ones(2))
    assert np.array_equal(found.target.weight, np.ones(5))


def test_the_robust_reward_by_hand():
    """w r + (1 - w) g, from the two networks' scores, in NumPy."""
    use = Robust(strength=0.7, low=0.5, high=2.0)
    compensation = over(Ratio(), use)
    key = jax.random.key(0)
    source, target = steps([-3.0, -0.2, 0.1, 2.0]), steps([0.5] * 4)
    source = source._replace(reward=jnp.asarray([1.0, -2.0, 3.0, 0.5]))
    shown = steps([1.0, 2.0, 3.0, 4.0])
    state, metrics = jax.jit(
        lambda: compensation.update(compensation.init(key, SPACES), Pair(source, target), key, demonstrations=shown)
    )()
    adjusted = compensation.adjust(state, Pair(source, target))
    w = np.clip(np.exp([-3.0, -0.2, 0.1, 2.0]), 0.5, 2.0)
    w /= w.mean()
    g = 0.7 * np.logaddexp(0.0, np.asarray(State(inputs="state_next").score(state.use.discriminator, source)))
    np.testing.assert_allclose(adjusted.source.reward, w * np.asarray(source.reward) + (1 - w) * g, rtol=1e-5)
    np.testing.assert_array_equal(adjusted.source.weight, np.ones(4))
    np.testing.assert_array_equal(adjusted.target.reward, target.reward)
    assert "demonstration_loss" in metrics


def test_the_discriminator_sees_the_sources_steps_by_weight():
    """Steps that count a thousandth are hardly ever shown to it."""
    seen = []

    @dataclass(frozen=True)
    class Spy(FirstObs):
        def update(self, state, batches, key):
            seen.append(np.asarray(batches.source.obs[:, 0]))
            return state, {"gap_loss": 0.0}

    @dataclass(frozen=True)
    class Shown(Robust):
        discriminator = Spy()

    compensation = over(Ratio(), Shown(low=1e-3, high=1.0))
    own, key = steps([-9.0] * 32 + [0.0] * 32), jax.random.key(0)
    compensation.update(compensation.init(key, SPACES), Pair(own, own), key, demonstrations=own)
    assert seen[0].shape == (64,) and (seen[0] == 0.0).mean() > 0.9


def test_the_robust_reward_likes_what_looks_like_a_demonstration():
    compensation = over(Ratio(), Robust(low=0.999, high=1.001))
    key = jax.random.key(1)
    own, shown = steps(np.linspace(-2, 0, 64)), steps(np.linspace(0, 2, 64))

    @jax.jit
    def trained(keys):
        update = lambda s, k: (compensation.update(s, Pair(own, own), k, demonstrations=shown)[0], None)  # noqa: E731
        return jax.lax.scan(update, compensation.init(key, SPACES), keys)[0]

    state = trained(jax.random.split(key, 200))
    score = Robust.discriminator.score(state.use.discriminator, steps([-1.5, 1.5]))
    assert score[1] > 1.0 > -1.0 > score[0]
    found = compensation.evaluate(state, Pair(own, own), demonstrations=shown)
    assert found["demonstration_accuracy"] > 0.9


def imitate(use, target, scale=False, updates=3):
    """What the target's steps are paid once a whole chain has seen them."""
    source = steps(np.zeros(4))._replace(reward=jnp.asarray([0.0, 2.0, 4.0, 6.0]))
    chain, batches = over(Ratio(), use, Gate(clip=10.0, ramp=0.0, scale=scale)), Pair(source, target)
    state = chain.init(jax.random.key(0), SPACES)
    for _ in range(updates):
        state, _ = chain.update(state, batches, jax.random.key(0))
    found = chain.adjust(state, batches)
    assert np.array_equal(found.source.reward, source.reward)
    return np.asarray(found.target.reward)


@pytest.mark.parametrize("scale", [False, True])
@pytest.mark.parametrize("keep", [0.0, 0.25, 1.0])
def test_imitation_is_clipped_and_centred_and_may_be_as_wide_as_the_sources_reward(keep, scale):
    target = steps(SCORES)._replace(reward=jnp.asarray([1.0, 2.0, 3.0, 4.0, 5.0]))
    bounded = np.clip(-SCORES, -10, 10)
    width = np.std([0.0, 2.0, 4.0, 6.0]) / bounded.std() if scale else 1.0
    expected = 1.5 * (bounded - bounded.mean()) * width
    found = imitate(Imitation(strength=1.5, keep=keep), target, scale)
    np.testing.assert_allclose(found, keep * np.asarray(target.reward) + expected, rtol=1e-5, atol=1e-5)


def test_pure_imitation_never_looks_at_the_targets_reward():
    known, unknown = steps(SCORES), steps(SCORES)._replace(reward=jnp.full(5, jnp.nan))
    assert np.array_equal(imitate(Imitation(), known), imitate(Imitation(), unknown))
    assert not METHODS["gaifo"].needs_target_reward


def test_a_step_like_the_demonstrations_earns_more():
    random = np.random.default_rng(0)
    state = jnp.asarray(random.standard_normal(128), jnp.float32)
    source, target = steps(state, state + 1), steps(state, state - 1)  # the source moves up, the target down
    gap = State(inputs="state_next", hidden=(8,), learning_rate=1e-2, batch=128)
    chain = over(gap, Imitation(), replace(NATS, ramp=0.0))

    @jax.jit
    def trained(key):
        update = lambda s, k: (chain.update(s, Pair(source, target), k)[0], None)  # noqa: E731
        return jax.lax.scan(update, chain.init(key, SPACES), jax.random.split(key, 100))[0]

    found = chain.adjust(trained(jax.random.key(0)), Pair(source, steps([0.0, 0.0], [1.0, -1.0]))).target.reward
    assert found[0] > found[1] + 0.1  # of rewards that do not differ at all in the source


@pytest.mark.parametrize("gap", [FirstObs(), Neighbours(), State(top=0.5)], ids=lambda gap: gap.name)
def test_a_gap_without_a_ratio_of_the_domains_shows_nobody_how_to_imitate(gap):
    with pytest.raises(RequestError, match="'imitation' needs a gap whose score is log p_T - log p_S"):
        replace(METHODS["gaifo"], gap=gap)


# -- blends: the formula this project began with -------------------------------------------------------------------


@dataclass(frozen=True)
class Other(FirstObs):
    """What the source would have paid beyond this is the observation; half believed where the successor is 1."""

    def likeness(self, state, batch, by):
        return jnp.ones_like(batch.reward) if by == "fixed" else 1.0 - 0.5 * batch.next_obs[:, 0]


def test_a_blend_moves_the_targets_reward_towards_the_sources():
    source, target = steps([5.0, 5.0]), steps([2.0, -4.0], next_obs=[0.0, 1.0])
    for by, paid in (("fixed", [1 + 0.25 * 2, 1 - 0.25 * 4]), ("similarity", [1 + 0.25 * 2, 1 - 0.25 * 0.5 * 4])):
        compensation = over(Other(), Blend(strength=0.25, by=by))
        found = adjust(compensation, source, target)
        np.testing.assert_allclose(found.target.reward, paid)
        np.testing.assert_array_equal(found.source.reward, source.reward)
        assert compensation.side == Blend.side == "target"
    nothing = adjust(over(Other(), Blend(strength=0.0)), source, target)
    assert np.array_equal(nothing.target.reward, target.reward)


@pytest.mark.parametrize("gap", [FirstObs(), Ratio(), Reward(of="target")], ids=lambda gap: gap.name)
def test_only_a_model_of_the_sources_reward_can_be_blended_in(gap):
    with pytest.raises(RequestError, match="'blend' needs a gap that says what the source would have paid"):
        replace(METHODS["reward_gap"], gap=gap)


@pytest.mark.parametrize("seed", range(10))
def test_a_blend_at_full_strength_loses_the_targets_task(seed):
    """lambda = 1 leaves the source's rewards alone: its optimal policy is the source task's, and earns less in the
    target's than the target's own. On the way there it is the optimal policy of a mean of the two."""
    p, own, ends = random_mdp(seed)
    _, theirs, _ = random_mdp(seed + 100)

    def blended(strength):
        gap = Other()
        flat = steps((theirs - own).ravel())._replace(reward=jnp.asarray(own.ravel(), jnp.float32))
        found = adjust(over(gap, Blend(strength=strength)), flat, flat).target.reward
        return np.asarray(found).reshape(own.shape)

    def worth(policy):
        """Of a policy in the target's own task, [s]."""
        rows = np.arange(len(policy))
        p_pi, r_pi = p[rows, policy], (p * own).sum(axis=2)[rows, policy]
        return np.linalg.solve(np.eye(len(policy)) - GAMMA * p_pi * ~ends, r_pi)

    best, lost = best_actions(p, own, ends), best_actions(p, blended(1.0), ends)
    assert (lost == best_actions(p, theirs, ends)).all()
    assert (worth(lost) <= worth(best) + 1e-6).all() and worth(lost).mean() < worth(best).mean() - 0.01
    assert (best_actions(p, blended(0.0), ends) == best).all()
    half = best_actions(p, 0.5 * own + 0.5 * theirs, ends)
    assert (best_actions(p, blended(0.5), ends) == half).all()


# -- what a gap asks for -------------------------------------------------------------------------------------------


def test_a_gap_gets_what_it_asks_for_and_nothing_else():
    wanting, plain = bare(Valued(), Penalty()), bare(FirstObs(), Penalty())
    found = adjust(wanting, steps([0.0], next_obs=[3.0]))
    assert float(found.source.reward[0]) == 1.0 + 30.0
    batches = Pair(steps([1.0]), steps([2.0]))
    state = wanting.init(None, SPACES)
    assert wanting.update(state, batches, None, **EXTRA)[1]["gap_loss"] == 20.0
    assert wanting.evaluate(state, batches, **EXTRA)["gap_held_out_loss"] == 20.0
    assert float(adjust(plain, steps([4.0])).source.reward[0]) == 5.0


# -- potentials ----------------------------------------------------------------------------------------------------


def test_a_potential_shapes_both_sides_and_ends_at_zero():
    source = steps([1.0, 1.0, 1.0], [2.0, 2.0, 2.0], terminated=[0, 1, 0], truncated=[0, 0, 1])
    found = adjust(over(None, Potential()), source, steps([3.0, 0.0, 0.0]))
    np.testing.assert_allclose(found.source.reward, [1 + GAMMA * 4 - 1, 1 - 1, 1 + GAMMA * 4 - 1], atol=1e-5)
    np.testing.assert_allclose(found.target.reward, [1 + GAMMA * 9 - 9, 1, 1], atol=1e-5)


def test_ramp_and_strength_act_on_both_sides_of_a_potential():
    source = steps([1.0], [2.0])
    found = adjust(bare(None, Potential(), Ramp(0.4), Strength(0.5)), source, source, **EXTRA, done=jnp.float32(0.2))
    expected = 1 + 0.5 * 0.5 * (GAMMA * 4 - 1)
    assert found.source.reward[0] == found.target.reward[0] == pytest.approx(expected)
    nothing = adjust(bare(None, Potential(), Strength(0.0)), source)
    assert np.array_equal(nothing.source.reward, source.reward) and np.array_equal(nothing.target.reward, source.reward)


@pytest.mark.parametrize(("done", "left"), [(0.0, 1.0), (0.1, 0.75), (0.4, 0.0), (0.9, 0.0)])
def test_a_potential_falls_to_nothing_over_its_share_of_the_transfer(done, left):
    source = steps([1.0, 3.0], [2.0, 0.5], terminated=[0, 1])
    found = adjust(over(None, Potential(strength=0.5, fade=0.4)), source, **EXTRA, done=jnp.float32(done))
    expected = 1 + 0.5 * left * np.array([GAMMA * 4 - 1, -9])
    np.testing.assert_allclose(found.source.reward, expected, rtol=1e-5)
    np.testing.assert_array_equal(found.source.reward, found.target.reward)
    if not left:
        np.testing.assert_array_equal(found.source.reward, source.reward)


def random_mdp(seed, states=6, actions=3):
    """Transition probabilities [s, a, s'], rewards [s, a, s'] and which states end the task."""
    random = np.random.default_rng(seed)
    p = random.dirichlet(np.ones(states) * 0.5, (states, actions))
    return p, random.standard_normal((states, actions, states)), np.arange(states) >= states - 2


def best_actions(p, reward, ends, horizon=None):
    """Optimal action values; `reward` may be a function of the number of the sweep."""
    q, policies = np.zeros(p.shape[:2]), []
    for t in range(horizon or 600):
        r = reward(t) if callable(reward) else reward
        discount = 1.0 if horizon else GAMMA
        q = (p * (r + discount * np.where(ends, 0.0, q.max(axis=1)))).sum(axis=2)
        policies.append(q.argmax(axis=1))
    return np.array(policies) if horizon else policies[-1]


def shaped(reward, ends, phi, use=Potential(), discount=GAMMA):  # noqa: B008 - frozen
    """What a potential makes of a tabular MDP's rewards, asked for every (s, a, s')."""
    s, a, n = np.indices(reward.shape)
    flat = Transition(
        jnp.asarray(s.reshape(-1, 1), jnp.float32),
        jnp.asarray(a.reshape(-1, 1), jnp.float32),
        jnp.asarray(reward.ravel(), jnp.float32),
        jnp.asarray(n.reshape(-1, 1), jnp.float32),
        jnp.asarray(ends[n].ravel(), jnp.float32),
        jnp.zeros(reward.size),
    )
    value = lambda obs: jnp.asarray(phi, jnp.float32)[obs[:, 0].astype(int)]  # noqa: E731
    return np.asarray(adjust(over(None, use), flat, source_value=value, discount=discount).source.reward).reshape(
        reward.shape
    )


@pytest.mark.parametrize("seed", range(20))
def test_a_potential_keeps_the_optimal_policies_of_random_mdps(seed):
    p, reward, ends = random_mdp(seed)
    phi = 5 * np.random.default_rng(seed + 100).standard_normal(len(p))
    live = ~ends
    plain = best_actions(p, reward, ends)
    assert np.array_equal(best_actions(p, shaped(reward, ends, phi), ends)[live], plain[live])
    # had it not known of ends, it would change some of these policies: see the next test
    drifting = [shaped(reward, ends, phi * scale) for scale in (0.2, 1.0, 3.0)]  # frozen within each update's backup
    for one in drifting:
        assert np.array_equal(best_actions(p, one, ends)[live], plain[live])


def permuted(own, other):
    """A map that is told: columns and motors moved on by some places."""
    obs, action = (np.roll(np.eye(len(x)), 3, axis=1) for x in (other.entries, other.action_entries))
    return {"observations": Linear(obs, np.zeros(len(obs))), "actions": Linear(action, np.zeros(len(action)))}


MAPS = {  # how the source's value is seen -> the bridge, and the target whose columns it leads to
    "identity": (between("named"), "halfcheetah"),
    "permuted": (Given("permuted", permuted), "halfcheetah"),
    "shuffled": (between("shuffled(named)"), "halfcheetah:legs=3"),
    "clone": (between("clone(named)"), "halfcheetah:legs=3"),
}


@pytest.fixture(scope="module")
def sides():
    return {name: Described(domain(name)) for name in ("halfcheetah", "halfcheetah:legs=3")}


@pytest.mark.parametrize("how", MAPS)
def test_a_potential_keeps_the_optimal_policies_whatever_map_it_is_seen_through(sides, how):
    """The states of an MDP are observations of the target. What a right map, a wrong one and a clone make of the
    source's value there is a function of the target's state, and any such function will do."""
    bridge, target = MAPS[how]
    crossing = require_sound(how, bridge.across(sides["halfcheetah"], sides[target]))
    for seed in range(5):
        p, reward, ends = random_mdp(seed)
        random, live = np.random.default_rng(seed), ~ends
        obs = random.standard_normal((len(p), crossing.shown.spaces.obs))
        weights = random.standard_normal((crossing.own.spaces.obs, 8))
        value = lambda x, w=weights: 5 * np.tanh(x @ w).sum(axis=1)  # noqa: E731 - the source's, in its own columns
        phi = value(crossing.back.obs(obs))
        assert np.ptp(phi) > 5 and (how == "identity") == np.allclose(phi, value(obs[:, : len(weights)]))
        changed = shaped(reward, ends, phi)
        assert np.abs(changed - reward).max() > 1
        assert np.array_equal(best_actions(p, changed, ends)[live], best_actions(p, reward, ends)[live])


@pytest.mark.parametrize("horizon", [2, 10])
def test_a_horizon_leaves_the_rest_to_the_potential_from_scratch_and_from_the_source_agent(horizon):
    """The two forms pay differently and want the same: their values differ by the potential, in each state. Where it is
    the value itself, the source's critics are right from the start."""
    p, reward, ends = random_mdp(3)

    def values(reward, discount):
        q = np.zeros(p.shape[:2])
        for _ in range(600):
            q = (p * (reward + discount * np.where(ends, 0.0, q.max(axis=1)))).sum(axis=2)
        return q

    best = values(reward, GAMMA)
    for phi in (best.max(axis=1), 5 * np.random.default_rng(4).standard_normal(len(p))):
        short = GAMMA * (1 - 1 / horizon)
        scratch, source = (
            values(shaped(reward, ends, phi, Potential(horizon=horizon, start=start), short), short)
            for start in ("nothing", "source")
        )
        np.testing.assert_allclose(source - scratch, np.repeat(phi[:, None], p.shape[1], axis=1), atol=1e-4)
        assert np.allclose(source, best, atol=1e-4) == np.array_equal(phi, best.max(axis=1))


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"horizon": 1}, "use.horizon must be at least 2 control steps, or 0"),
        ({"horizon": 10, "fade": 0.5}, "use.fade must be 0"),
        ({"horizon": 10, "strength": 0.0}, "use.strength above 0"),
        ({"start": "ceiling"}, "use.start must be source or nothing"),
        ({"start": "source"}, "use.start=source needs use.horizon"),
    ],
)
def test_a_potential_that_makes_no_sense_is_refused(settings, why):
    with pytest.raises(RequestError, match=why):
        Potential(**settings)


def test_a_potential_that_ignored_ends_would_change_policies():
    changed = 0
    for seed in range(20):
        p, reward, ends = random_mdp(seed)
        phi = 5 * np.random.default_rng(seed + 100).standard_normal(len(p))
        wrong = reward + GAMMA * phi[None, None, :] - phi[:, None, None]
        changed += not np.array_equal(best_actions(p, wrong, ends)[~ends], best_actions(p, reward, ends)[~ends])
    assert changed > 5


@pytest.mark.parametrize("seed", range(5))
def test_a_constant_penalty_changes_no_optimal_policy_of_a_fixed_horizon(seed):
    p, reward, _ = random_mdp(seed)
    never = np.zeros(len(p), bool)
    flat = steps(np.full(reward.size, -3.0))._replace(reward=jnp.asarray(reward.ravel(), jnp.float32))
    penalised = np.asarray(adjust(bare(FirstObs(), Penalty()), flat).source.reward).reshape(reward.shape)
    assert np.allclose(penalised, reward - 3.0, atol=1e-5)
    assert np.array_equal(best_actions(p, penalised, never, horizon=12), best_actions(p, reward, never, horizon=12))


def test_a_constant_penalty_does_change_policies_where_tasks_end():
    changed = 0
    for seed in range(10):
        p, reward, ends = random_mdp(seed)
        before, after = (best_actions(p, r, ends)[~ends] for r in (reward, reward - 3.0))
        changed += not np.array_equal(before, after)
    assert changed > 3  # it pays to end soon: why the gate centres
