"""From measured figures to a verdict: a pure function, with every threshold in one place. See docs/check.md."""

from __future__ import annotations

from dataclasses import dataclass, field

SAME, TRANSFER, COMPENSATE, SHAPE, NO_HELP = (
    "same",
    "transfer the policy",
    "compensate",
    "shape on the target side",
    "do not expect help",
)
VERDICTS = {  # in plain words
    SAME: "source and target do not differ",
    TRANSFER: "use the source policy unchanged",
    COMPENSATE: "train on source steps, corrected or paid for the target",
    SHAPE: "train on target steps, guided by the source",
    NO_HELP: "the source says little about the target: train from scratch there",
}


@dataclass(frozen=True)
class Thresholds:
    """What counts as little and as much. Sizes are in spreads: root mean square over the entries of an observation,
    each in units of the standard deviation of its one-step change."""

    near: float = 0.1  # a step is within reach if the best action comes this near to it
    small: float = 0.02  # a difference that no policy is likely to feel
    chance: float = 1 / 3  # a difference below this share of the noise is taken for noise
    detectable: float = 0.6  # AUC: below, a classifier hardly tells the domains apart
    enough: float = 0.8  # share of steps within reach from which the one can do what the other does
    little: float = 0.2  # and below which it cannot
    even: float = 0.1  # shares that differ by less count as equal
    deaf: float = 0.3  # agreement of the answers to a command below which the one says nothing about the other
    reward: float = 0.1  # reward distance that makes no difference
    apart: float = 0.05  # share of the rewards that one model of both may miss beside models of each: they pay alike
    opposed: float = 0.8  # and from which the rewards ask for the contrary (correlation below -0.28)
    explained: float = 0.8  # share that a model must explain to be believed


THRESHOLDS = Thresholds()


@dataclass(frozen=True)
class Coverage:
    """One kind of actions: how far apart the domains' answers are, and what each can do of the other's."""

    gap: float  # difference after the same action, in spreads, noise and model error taken off
    target_covers_source: float  # share of the source's steps that the target can come near to, in [0, 1]
    source_covers_target: float  # the reverse


@dataclass(frozen=True)
class Figures:
    """All that a verdict depends on."""

    null: bool  # no state, reward, end or start differs
    random: Coverage  # at states and for actions that chance chose
    policy: Coverage | None  # where the source policy goes, for what it does there
    noise: float  # of both domains' steps when they are taken again, in spreads
    answer: float  # size of a step's answer to a random action, in spreads; the smaller of both domains'
    agreement: float  # cosine between how both domains' changes answer to actions; 1 = alike but for strength
    auc: float  # of a classifier on held-out steps
    reward_distance: float  # in [0, 1]; see rewards.py
    tasks_differ: bool  # the rewards are known to be others, or measured to be
    relabels: bool  # what the target pays for a source step can be computed
    explained: float = 1.0  # share of the changes that a model explains; 1 = simulated

    @property
    def gap(self) -> float:
        """The larger one, of random actions and of the policy's."""
        return max(c.gap for c in self._both)

    @property
    def target_covers_source(self) -> float:
        """The smaller one."""
        return min(c.target_covers_source for c in self._both)

    @property
    def source_covers_target(self) -> float:
        """The smaller one."""
        return min(c.source_covers_target for c in self._both)

    @property
    def _both(self) -> tuple[Coverage, ...]:
        return (self.random,) if self.policy is None else (self.random, self.policy)


@dataclass(frozen=True)
class Verdict:
    """One of `VERDICTS`, why, and what it does not know."""

    verdict: str
    reason: str
    relabel: bool = False  # compensate by paying source steps what the target pays
    limits: tuple[str, ...] = field(default_factory=tuple)


def decide(f: Figures, t: Thresholds = THRESHOLDS) -> Verdict:
    """The verdict on a pair, from the strongest evidence to the weakest."""
    verdict = _same(f) or _hopeless(f, t) or _other_task(f, t) or _alike(f, t) or _other_dynamics(f, t)
    return Verdict(verdict.verdict, verdict.reason, verdict.relabel, _limits(f, t))


def _same(f: Figures) -> Verdict | None:
    if f.null:
        return Verdict(SAME, "no next state, reward, end or start differs: any policy does the same in both")
    return None


def _hopeless(f: Figures, t: Thresholds) -> Verdict | None:
    """What the source does says nothing about what the target will do."""
    if f.noise > f.answer:
        return Verdict(
            NO_HELP,
            f"chance moves a step more than an action does: repeated, it differs by {f.noise:.2g} spreads, and an "
            f"action moves it by {f.answer:.2g}",
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
            f"the tasks differ (reward distance {f.reward_distance:.2f} of 1), what the target pays for a source step "
            f"can be computed, and the source covers {f.source_covers_target:.0%} of what the target does: pay the "
            f"source's steps as the target would",
            relabel=True,
        )
    if f.reward_distance >= t.opposed and not f.relabels:
        return Verdict(
            NO_HELP,
            f"the rewards ask for the contrary (distance {f.reward_distance:.2f} of 1), and the target's cannot be "
            f"computed for the source's steps: the source policy leads the wrong way",
        )
    return Verdict(
        SHAPE,
        f"the tasks differ (reward distance {f.reward_distance:.2f} of 1), and "
        + (
            f"the source covers only {f.source_covers_target:.0%} of what the target does"
            if f.relabels
            else "what the target pays for the source's steps is not known"
        )
        + ": train on target steps and let the source guide",
    )


def _alike(f: Figures, t: Thresholds) -> Verdict | None:
    """The same task, and dynamics that differ by little or by chance alone."""
    if f.noise and f.gap <= max(t.small, t.chance * f.noise):
        return Verdict(
            TRANSFER,
            f"the steps differ by chance alone ({f.noise:.2g} spreads of noise around what the source does): no reward "
            f"takes that away, so nothing is there to be compensated",
        )
    if f.gap <= t.small and f.auc <= t.detectable:
        return Verdict(
            TRANSFER,
            f"the same action leads {f.gap:.2g} spreads apart, and a classifier hardly tells the domains apart "
            f"(AUC {f.auc:.2f}, 0.5 = cannot)",
        )
    return None


def _other_dynamics(f: Figures, t: Thresholds) -> Verdict:
    """The same task, other dynamics: who can do what the other does?"""
    forth, back = f.target_covers_source, f.source_covers_target
    shares = f"the source can do {back:.0%} of what the target does, the target {forth:.0%} of what the source does"
    if back >= t.enough:
        return Verdict(COMPENSATE, f"{shares}: pay the source for what the target can do, too")
    if forth >= t.enough or forth > back + t.even:
        return Verdict(
            SHAPE,
            f"{shares}: no reward teaches the source what it cannot do, so train on target steps and let it guide",
        )
    return Verdict(COMPENSATE, f"{shares}: each covers the other in part, so expect a part of the help")


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
            f"The simulators cannot be put into one state, and the models that answered instead explain "
            f"{f.explained:.0%} of the changes: take these figures for a guess."
        )
    if (f.tasks_differ or f.reward_distance) and f.reward_distance <= t.reward:
        differ = "The tasks differ, and yet" if f.tasks_differ else "The rewards are not the same function, but"
        found.append(
            f"{differ} pay alike (but for scale and shaping) for all steps seen: nothing came where they part."
        )
    return tuple(found)
