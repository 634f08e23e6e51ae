"""From measurements to a verdict: a pure function, with every threshold in one place. See docs/check.md."""

from __future__ import annotations

from dataclasses import dataclass, field

SAME, TRANSFER, COMPENSATE, SHAPE, NO_HELP = (
    "same",
    "transfer the policy",
    "compensate",
    "shape on the target side",
    "do not expect help",
)
VERDICTS = {  # verdict -> what to do
    SAME: "source and target do not differ",
    TRANSFER: "use the source policy unchanged",
    COMPENSATE: "train on source steps, corrected or paid for the target",
    SHAPE: "train on target steps, guided by the source",
    NO_HELP: "the source says little about the target: train from scratch there",
}


@dataclass(frozen=True)
class Thresholds:
    """Thresholds of the verdict. Sizes are in spreads: root mean square over the entries of an observation, each in
    units of the standard deviation of its one-step change."""

    near: float = 0.1  # a step is within reach if the best action comes this near to it
    small: float = 0.02  # a difference that hardly affects a policy
    chance: float = 1 / 3  # a difference below this share of the noise counts as noise
    detectable: float = 0.6  # AUC: below, a classifier hardly tells the domains apart
    enough: float = 0.8  # share of steps within reach from which one domain can do what the other does
    little: float = 0.2  # and below which it cannot
    even: float = 0.1  # shares that differ by less count as equal
    deaf: float = 0.3  # agreement of the effects of actions below which the source says nothing about the target
    reward: float = 0.1  # reward distance that does not matter
    apart: float = 0.05  # share of the rewards that separate models may explain beyond a joint one if both pay alike
    opposed: float = 0.8  # and from which the rewards are opposed (correlation below -0.28)
    explained: float = 0.8  # share that a model must explain to be believed


THRESHOLDS = Thresholds()


@dataclass(frozen=True)
class Coverage:
    """For one kind of actions: how far the next states differ, and which share of its steps the other can take."""

    gap: float  # difference after the same action, in spreads, noise and model error taken off
    target_covers_source: float  # share of the source's steps that the target can come near to, in [0, 1]
    source_covers_target: float  # the reverse


@dataclass(frozen=True)
class Figures:
    """The measurements that a verdict depends on."""

    null: bool  # no state, reward, end or start differs
    random: Coverage  # in states of random walks, for random actions
    policy: Coverage | None  # in states that the source policy visits, for its own actions
    noise: float  # difference of a repeated step, of both domains together, in spreads
    answer: float  # effect of a random action on a step, in spreads; the smaller of both domains'
    agreement: float  # cosine between the effects of actions in both domains; 1 = equal up to a factor
    auc: float  # of a classifier on held-out steps
    reward_distance: float  # in [0, 1]; see rewards.py
    tasks_differ: bool  # the rewards are known to differ, or measured to
    relabels: bool  # the target's reward for a source step can be computed
    explained: float = 1.0  # share of the changes that a model explains; 1 = simulated
    unshifted: int = 0  # target steps all of which the source's simulator foretells; 0 = not all, or it was not asked

    @property
    def gap(self) -> float:
        """The larger gap, of random actions and of the policy's."""
        return max(c.gap for c in self._both)

    @property
    def target_covers_source(self) -> float:
        """The smaller share, of random actions and of the policy's."""
        return min(c.target_covers_source for c in self._both)

    @property
    def source_covers_target(self) -> float:
        """The smaller share, of random actions and of the policy's."""
        return min(c.source_covers_target for c in self._both)

    @property
    def _both(self) -> tuple[Coverage, ...]:
        return (self.random,) if self.policy is None else (self.random, self.policy)


@dataclass(frozen=True)
class Verdict:
    """One of `VERDICTS`, its reason, and the limits of the check."""

    verdict: str
    reason: str
    relabel: bool = False  # compensate by relabelling source steps with the target's reward
    limits: tuple[str, ...] = field(default_factory=tuple)


def decide(f: Figures, t: Thresholds = THRESHOLDS) -> Verdict:
    """The verdict on a pair, from the strongest evidence to the weakest."""
    verdict = _same(f) or _hopeless(f, t) or _other_task(f, t) or _foretold(f) or _alike(f, t) or _other_dynamics(f, t)
    return Verdict(verdict.verdict, verdict.reason, verdict.relabel, _limits(f, t))


def _same(f: Figures) -> Verdict | None:
    if f.null:
        return Verdict(
            SAME, "no next state, reward, termination or initial state differs: any policy does the same in both"
        )
    return None


def _hopeless(f: Figures, t: Thresholds) -> Verdict | None:
    """The source says nothing about the target."""
    if f.noise > f.answer:
        return Verdict(
            NO_HELP,
            f"noise is larger than the effect of an action: a repeated step differs by {f.noise:.2g} spreads, an "
            f"action changes it by {f.answer:.2g}",
        )
    if f.agreement < t.deaf:
        return Verdict(
            NO_HELP,
            f"the same action does not have the same effect within a control step (agreement {f.agreement:.2f} of 1), "
            f"as with delayed actions or dead actuators, and a compensation looks at single steps only",
        )
    if max(f.target_covers_source, f.source_covers_target) < t.little:
        return Verdict(
            NO_HELP,
            f"neither can do what the other does: {f.target_covers_source:.0%} and {f.source_covers_target:.0%} of the "
            f"steps are within reach",
        )
    return None


def _other_task(f: Figures, t: Thresholds) -> Verdict | None:
    """The rewards differ, whether or not the physics do."""
    if not f.tasks_differ:
        return None
    if f.relabels and f.source_covers_target >= t.enough:
        return Verdict(
            COMPENSATE,
            f"the tasks differ (reward distance {f.reward_distance:.2f} of 1), the target's reward for a source step "
            f"can be computed, and the source covers {f.source_covers_target:.0%} of what the target does: pay the "
            f"source's steps as the target would",
            relabel=True,
        )
    if f.reward_distance >= t.opposed and not f.relabels:
        return Verdict(
            NO_HELP,
            f"the rewards are opposed (distance {f.reward_distance:.2f} of 1), and the target's cannot be computed for "
            f"source steps: the source policy would mislead",
        )
    return Verdict(
        SHAPE,
        f"the tasks differ (reward distance {f.reward_distance:.2f} of 1), and "
        + (
            f"the source covers only {f.source_covers_target:.0%} of what the target does"
            if f.relabels
            else "the target's reward for source steps is not known"
        )
        + ": train on target steps and let the source guide",
    )


def _foretold(f: Figures) -> Verdict | None:
    """The same task, and the source's simulator, put into the target's states, does what the target does. This says
    more than models do."""
    if f.unshifted:
        return Verdict(
            TRANSFER,
            f"put into the states of {f.unshifted:,} target steps, the source's simulator does what the target did: "
            f"nothing differs that they can show",
        )
    return None


def _alike(f: Figures, t: Thresholds) -> Verdict | None:
    """The same task, and dynamics that differ little or by noise alone."""
    if f.noise and f.gap <= max(t.small, t.chance * f.noise):
        return Verdict(
            TRANSFER,
            f"the steps differ by noise alone ({f.noise:.2g} spreads around the source's): no reward removes that, so "
            f"there is nothing to compensate",
        )
    if f.gap <= t.small and f.auc <= t.detectable:
        return Verdict(
            TRANSFER,
            f"after the same action the states differ by {f.gap:.2g} spreads, and a classifier hardly tells the "
            f"domains apart (AUC {f.auc:.2f}, 0.5 = cannot)",
        )
    return None


def _other_dynamics(f: Figures, t: Thresholds) -> Verdict:
    """The same task, other dynamics: who can do what the other does?"""
    forth, back = f.target_covers_source, f.source_covers_target
    shares = f"the source can do {back:.0%} of what the target does, the target {forth:.0%} of what the source does"
    if back >= t.enough:
        return Verdict(COMPENSATE, f"{shares}: pay the source for steps that the target can take, too")
    if forth >= t.enough or forth > back + t.even:
        return Verdict(
            SHAPE,
            f"{shares}: no reward teaches the source what it cannot do, so train on target steps and let it guide",
        )
    return Verdict(COMPENSATE, f"{shares}: each covers the other only in part, so expect limited help")


def _limits(f: Figures, t: Thresholds) -> tuple[str, ...]:
    found = []
    if f.policy is None and not f.null:
        found.append(
            "Only random actions were tried: states and speeds that a trained policy reaches were not seen, nor what "
            "differs there (slipping at speed, stops of joints, rewards of a goal). Name an earlier run of the source "
            "to see them."
        )
    if f.explained < t.explained:
        found.append(
            f"The simulators cannot be reset to a given state, and the models used instead explain {f.explained:.0%} "
            f"of the changes: treat these figures as a guess."
        )
    if (f.tasks_differ or f.reward_distance) and f.reward_distance <= t.reward:
        differ = "The tasks differ, and yet" if f.tasks_differ else "The rewards are not the same function, but"
        found.append(
            f"{differ} pay alike (up to scale and shaping) for all steps seen: none came to where they differ."
        )
    return tuple(found)
