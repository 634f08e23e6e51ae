"""The table: every method is a row of choices (gap, use, feed, gate, start), not a file of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from transreward.cells import cell
from transreward.feed import DEMONSTRATIONS, LOOKED_AT, STORED, Feed
from transreward.gaps.classifier import Classifier
from transreward.gaps.contrastive import Contrastive
from transreward.gaps.ensemble import Ensemble
from transreward.gaps.latent import Latent
from transreward.gaps.paired import Paired
from transreward.gaps.reward import MeanReward, Reward
from transreward.gaps.state import State
from transreward.gaps.successor import Successor
from transreward.gaps.transport import Transport
from transreward.gates.chain import NATS, Gate
from transreward.ground import Ground
from transreward.learners.bc import BC
from transreward.learners.iql import IQL
from transreward.learners.td3_bc import TD3BC
from transreward.randomise import Informed, Randomise
from transreward.row import Method
from transreward.types import (
    CEILING,
    DEFAULT_METHOD,
    FINE_TUNE,
    OWN_MODULE,
    TARGET_ONLY,
    ZERO_SHOT,
    nearest,
)
from transreward.uses.advice import Advice
from transreward.uses.avatar import Avatar
from transreward.uses.bellman import Bellman
from transreward.uses.blend import Blend
from transreward.uses.conservative import Conservative
from transreward.uses.cup import Cup
from transreward.uses.dpba import Dpba
from transreward.uses.filter import Filter
from transreward.uses.gpi import Gpi
from transreward.uses.imitation import Imitation
from transreward.uses.kickstart import Kickstart
from transreward.uses.penalty import Penalty
from transreward.uses.potential import Potential
from transreward.uses.relabel import Relabel
from transreward.uses.robust import Robust
from transreward.uses.select import Select
from transreward.uses.trust import Trust
from transreward.uses.weight import Weight

METHODS: dict[str, Method] = {
    row.name: row
    for row in (
        Method(
            "darc",
            "train on source steps that are paid for looking like target steps",
            "Eysenbach et al. 2021, arXiv:2006.13916",
            start="source",
            feed=Feed(0.0),
            gap=Classifier(),
            use=Penalty(),
            gate=Gate(),
        ),
        Method(
            "sac_iw",
            "train on source steps, each weighted by how much likelier it is in the target",
            "Eysenbach et al. 2021, arXiv:2006.13916, section 5",
            start="source",
            feed=Feed(0.0),
            gap=Classifier(),
            use=Weight(),
        ),
        Method(
            "par",
            "train on both domains' steps, the source's penalised where the target's latent model errs",
            "Lyu et al. 2024, arXiv:2405.15369",
            start="source",
            feed=Feed(0.5),
            gap=Latent(),
            use=Penalty(),
            gate=Gate(scale_floor=Latent.noise_floor),
        ),
        Method(
            "vgdf",
            "train on both domains' steps, of the source's only those whose successor is worth what the target's is",
            "Xu et al. 2023, arXiv:2305.17625",
            start="source",
            feed=Feed(0.5),
            gap=Ensemble(form="value"),
            use=Filter(keep=0.25),
        ),
        Method(
            "srpo",
            "train on both domains' steps, paid for leading to states of high value in either",
            "Xue et al. 2023, arXiv:2306.03552",
            start="source",
            feed=Feed(0.5),
            gap=State(top=0.5),
            use=Penalty(),
            gate=Gate(),
        ),
        Method(
            "food",
            "train on source steps that are paid for looking like the target's visits, dynamics or not",
            "Daoudi et al. 2024, arXiv:2312.15474",
            start="source",
            feed=Feed(0.0),
            gap=State(inputs="step"),
            use=Penalty(),
            gate=Gate(),
        ),
        Method(
            "gaifo",
            "train on target steps that are paid for looking like the source agent's, and not by the target",
            "Torabi et al. 2018, arXiv:1807.06158",
            start="source",
            feed=DEMONSTRATIONS,
            gap=State(inputs="state_next"),
            use=Imitation(),
            gate=NATS,
        ),
        Method(
            "darail",
            "first darc; then train on source steps, paid for the target's and for looking like darc's last",
            "Guo et al. 2024, arXiv:2411.09891",
            start="source",
            feed=Feed(0.0),
            gap=Classifier(),
            use=Robust(),
            teacher="darc",
        ),
        Method(
            "paired",
            "train on both domains' steps, the source's corrected by what it does differently from the same states",
            "here first; see docs/methods/paired.md",
            start="source",
            feed=Feed(0.5),
            gap=Paired(),
            use=Bellman(),
        ),
        Method(
            "paired_branched",
            "train on target steps and on short corrected source steps from the states that the target visits",
            "here first; see docs/methods/paired.md",
            start="source",
            feed=Feed(0.5, "branched", branches=20),
            gap=Paired(),
            use=Trust(),
        ),
        Method(
            "reward_gap",
            "train on target steps, their rewards moved towards what the source would have paid",
            "the formula this project began with; see docs/methods/reward_gap.md",
            start="source",
            feed=LOOKED_AT,
            gap=Reward(),
            use=Blend(),
        ),
        Method(
            "dpba",
            "reward_gap, turned into a potential over state and action that is learned beside it, annealed",
            "Harutyunyan et al. 2015; see docs/methods/dpba.md",
            start="source",
            feed=LOOKED_AT,
            gap=Reward(),
            use=Dpba(),
        ),
        Method(
            "relabel",
            "from scratch, on target steps and as many of the source agent's old ones, paid as the target would",
            "Yu et al. 2021, arXiv:2109.08128; see docs/methods/relabel.md",
            start="nothing",
            feed=Feed(0.5, "replay"),
            gap=Reward(of="target"),
            use=Relabel(),
        ),
        Method(
            "mean_gap",
            "train on target steps, their rewards moved by the difference of the domains' mean rewards",
            "baseline; see docs/methods/reward_gap.md",
            start="source",
            feed=LOOKED_AT,
            gap=MeanReward(),
            use=Blend(strength=1.0),
        ),
        Method(
            "value_potential",
            "from scratch, on target steps that are shaped by the source agent's value, annealed",
            "Ng et al. 1999; Devlin and Kudenko 2012; see docs/methods/value_potential.md",
            start="nothing",
            feed=Feed(1.0),
            use=Potential(fade=0.5),
        ),
        Method(
            "policy_advice",
            "from scratch, on target steps, advised by a potential of the source policy's actions, annealed",
            "Wiewiora et al. 2003; Brys et al. 2015; see docs/methods/policy_advice.md",
            start="nothing",
            feed=Feed(1.0),
            use=Advice(),
        ),
        Method(
            "successor",
            "from scratch, on target steps; an action is worth at least what the source policy would earn after it",
            "Barreto et al. 2017, arXiv:1606.05312; see docs/methods/successor.md",
            start="nothing",
            feed=LOOKED_AT,
            gap=Successor(),
            use=Gpi(),
        ),
        Method(
            "mix",
            "train on source and target steps, half and half, as if they were one domain's",
            "control",
            start="source",
            feed=Feed(0.5),
        ),
        Method(
            "rlpd",
            "from scratch, on target steps and as many of the source agent's old ones, with many careful updates",
            "Ball et al. 2023, arXiv:2302.02948",
            start="nothing",
            feed=Feed(0.5, "replay"),
            learner=(("critics", 10), ("subset", 2), ("layer_norm", True), ("target_updates_per_step", 10.0)),
        ),
        Method(
            "jsrl",
            "from scratch, on target episodes that the source policy begins, ever shorter",
            "Uchendu et al. 2023, arXiv:2204.02372",
            start="nothing",
            feed=Feed(1.0, guide=0.5),
        ),
        Method(
            "kickstart",
            "from scratch, on target steps, with an actor that is drawn to the source policy, annealed",
            "Schmitt et al. 2018, arXiv:1803.03835",
            start="nothing",
            feed=Feed(1.0),
            use=Kickstart(),
        ),
        Method(
            "qavatar",
            "from scratch, on target steps; the actor follows the source's critic, too, the more the less that errs",
            "Chen et al. 2026, arXiv:2603.12087; see docs/methods/qavatar.md",
            start="nothing",
            feed=Feed(1.0),
            use=Avatar(),
        ),
        Method(
            "cup",
            "train on target steps; the actor is drawn to the source policy that its critics like best, where they do",
            "Zhang et al. 2022, arXiv:2210.08153; see docs/methods/cup.md",
            start="source",
            feed=Feed(1.0),
            use=Cup(),
        ),
        Method(
            "iql",
            "from scratch, offline, on stored source steps and target steps as if they were one domain's",
            "Kostrikov et al. 2022, arXiv:2110.06169; see docs/methods/offline.md",
            start="nothing",
            feed=STORED,
            offline=IQL(),
        ),
        Method(
            "td3_bc",
            "iql's steps, learned from by TD3 that is held to the actions taken",
            "Fujimoto and Gu 2021, arXiv:2106.06860; see docs/methods/offline.md",
            start="nothing",
            feed=STORED,
            offline=TD3BC(),
        ),
        Method(
            "bc",
            "imitates the target's steps: what a log shows without its rewards (behaviour cloning)",
            "control; see docs/methods/offline.md",
            start="nothing",
            feed=Feed(1.0),
            offline=BC(),
        ),
        Method(
            "dara",
            "iql, its source steps penalised where the target would hardly take them",
            "Liu et al. 2022, arXiv:2203.06662; see docs/methods/offline.md",
            start="nothing",
            feed=STORED,
            gap=Classifier(),
            use=Penalty(strength=0.1),
            gate=Gate(centre=False, scale=False, ramp=0.0),
            offline=IQL(),
        ),
        Method(
            "igdf",
            "iql, of its source steps only those whose successor goes best with the target, by how well",
            "Wen et al. 2024, arXiv:2405.06192; see docs/methods/offline.md",
            start="nothing",
            feed=STORED,
            gap=Contrastive(),
            use=Select(),
            offline=IQL(),
        ),
        Method(
            "otdf",
            "iql, of its source steps only those near the target's, and an actor held to what the target's steps did",
            "Lyu et al. 2025, ICLR; see docs/methods/offline.md",
            start="nothing",
            feed=STORED,
            gap=Transport(memory=4096),
            use=Select(keep=0.8, support=0.5),
            offline=IQL(),
        ),
        Method(
            "h2o",
            "mix, its source steps weighted, and the critics pressed down where the target would hardly take them",
            "Niu et al. 2022, arXiv:2206.13464; see docs/methods/h2o.md",
            start="source",
            feed=Feed(0.5),
            gap=Classifier(),
            use=Conservative(),
        ),
        Method(ZERO_SHOT, "the source policy, unchanged", "control", start="source", feed=None),
        Method(
            "randomised",
            "a policy trained over a family of robots around the source, unchanged (domain randomisation)",
            "Peng et al. 2018, arXiv:1710.06537",
            start="source",
            feed=None,
            randomise=Randomise(),
        ),
        Method(
            "universal",
            "a policy that is told which robot of a family it is in; the target's first steps show what to tell it",
            "Yu et al. 2017, arXiv:1702.02453; see docs/methods/universal.md",
            start="source",
            feed=None,
            randomise=Informed(),
            ground=Ground(),
            fallback=True,
        ),
        Method(
            "universal_identified",
            "universal, then trained on in the simulator with the physics that it was told",
            "Yu et al. 2017, arXiv:1702.02453; see docs/methods/universal.md",
            start="source",
            feed=Feed(0.0),
            randomise=Informed(),
            ground=Ground(),
            fallback=True,
        ),
        Method(
            "identified",
            "train in the simulator with the physics that the first target steps show",
            "kin: PACE (arXiv:2509.06342), mujoco.sysid; see docs/identify.md",
            start="source",
            feed=Feed(0.0),
            ground=Ground(),
        ),
        Method(
            "grounded",
            "identified, then paired_branched on what remains: branches and differences of the identified simulator",
            "here first; kin: ASAP (arXiv:2502.01143); see docs/methods/grounded.md",
            start="source",
            feed=Feed(0.5, "branched", branches=20),
            gap=Paired(),
            use=Trust(),
            ground=Ground(walk=0.5),
        ),
        Method(
            "auto",
            "first the source policy, then what is learned in the simulator that its steps show; the better is kept",
            "here first; see docs/methods/auto.md",
            start="source",
            feed=Feed(0.5),
            gap=Paired(),
            use=Bellman(),
            ground=Ground(walk=0.5),
            fallback=True,
            in_simulator=(("feed", Feed(0.0)), ("gap", None), ("use", None), ("ground", Ground())),
            unlike=FINE_TUNE,
            no_simulator=("mix", "darc"),
        ),
        Method(FINE_TUNE, "the source agent, trained on with target steps", "control", start="source", feed=Feed(1.0)),
        Method(TARGET_ONLY, "from scratch, on the target budget alone", "control", start="nothing", feed=Feed(1.0)),
        Method(
            CEILING,
            "trained on the target with the source's budget: BREAKS the target budget, a ceiling and not a method",
            "control",
            start="ceiling",
            feed=None,
        ),
    )
}


# What answers to a verdict on a pair, and may be a cell: the first of them that the pair can have (preflight/check.py)
ANSWERS = {
    "transfer": (ZERO_SHOT,),
    "relabel": ("relabel",),
    "known": (FINE_TUNE,),  # the source agent knows the target's task already
    "compensate": (DEFAULT_METHOD, "paired_branched", "paired", "darc"),
    "shape": ("value_potential", "potential(value)"),
    "no help": (TARGET_ONLY,),
}


def names(suits: Callable[[Method], bool]) -> str:
    """The rows that suit, as an error lists them."""
    return ", ".join(row.name for row in METHODS.values() if suits(row))


def method(name: str) -> Method:
    """The row of that name, or the cell that an expression such as `filter(classifier)` says.

    Raises RequestError with the nearest names.
    """
    if name in METHODS:
        return METHODS[name]
    if "(" in name or ")" in name:
        return cell(name)
    raise nearest(name, METHODS, "method", otherwise=OWN_MODULE)


def variant(row: Method, name: str) -> Method:
    """The row with other choices: `in_simulator`, or those of the row of that name; "" = as it is."""
    if not name or name == "in_simulator":
        return row.simulated if name else row
    kept = {part: getattr(row, part) for part in ("name", "summary", "paper", "fallback")}
    return replace(method(name), **kept, variant=name)


def methods() -> tuple[Method, ...]:
    """The whole table."""
    return tuple(METHODS.values())
