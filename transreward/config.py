"""From a request to a run's full settings: presets, `section.field=value`, and every check that costs nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from math import isfinite
from numbers import Integral
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from transreward.domains.difference import (
    ShiftMeasure,
    relabels,
    require_difference,
    require_fit,
    require_other_pay,
    same_task,
)
from transreward.domains.domain import Domain, Traced, invertible, stored_terms
from transreward.domains.ids import domain
from transreward.domains.names import action_entries, entries
from transreward.domains.symmetries import SYMMETRIES, SeenDomain, best_seen, plain
from transreward.feed import Feed
from transreward.learners.learner import Learner
from transreward.methods import METHODS, Method, method
from transreward.presets import DEFAULT_STEPS, make_learner, restore_learner, source_budget
from transreward.runs import store
from transreward.runs.result import SourceAgent, import_all
from transreward.types import CONTROLS, Pair, RequestError, nearest, whole_number

USE_SAC = 'use `learner="sac"`'
WORDS = {  # what other libraries call a setting
    "gamma": "discount", "tau": "polyak", "temperature": "alpha_start", "ent_coef": "entropy_weight",
    "vf_coef": "value_weight", "n_envs": "robots", "num_envs": "robots", "n_steps": "rollout_steps",
    "lambda": "strength", "weight": "strength", "coef": "strength",
}  # fmt: skip
SECTIONS = ("feed", "gap", "use", "gate")  # the parts of a method that have settings
MOST = 10**9  # of steps and seeds: they are counted in 32 bits on the device
PLAIN = Method("plain", "the plain learner in the source", "", start="nothing", feed=Feed(0.0))


@dataclass(frozen=True)
class Loop:
    """How the five steps are run."""

    pretrain: float = (
        0.6  # share of the source budget that trains the source agent, where a method goes on in the source
    )
    target_robots: int = 1  # robots per seed that collect in the target at a time
    updates: Literal["equal", "paced"] = "equal"  # of the learner in a transfer: as many for every method of a request,
    # as the domain asks for that asks for more; or as the steps ask for that feed the method
    gap_updates: float = 1.0  # updates of the gap, times its `pace`, per update of the learner; with PPO per 16 steps
    evaluations: int = 10  # in the transfer phase
    source_evaluations: int = 5  # in the source phase
    eval_episodes: int = 5  # per seed and domain, at each of these
    final_episodes: int = 10  # per seed and domain, for the result
    gap_every: int = 1  # rounds of the loop from one refit of the gap to the next, which makes up for those between
    aligned: float = 0.95  # stop once the target return reaches this share of the source's; 0 = never
    source_returns: tuple[float, ...] = ()  # of a random and a trained policy there; () = only the agent's own is known
    target_returns: tuple[float, ...] = ()  # the same there; () = judged on the source's scale, if the task is the same
    converged: int = 0  # stop once this many finished target episodes per seed brought no improvement; 0 = never
    threads: int = 0  # of the simulation; 0 = all cores
    eval_target: Literal["simulated", "training", "none"] = "simulated"  # what a return in the target is that of
    symmetry: Literal["auto", "none"] = "auto"  # whether a source is seen so that it is paid most like the target

    def __post_init__(self) -> None:
        if not 0 < self.pretrain <= 1:
            raise RequestError(f"loop.pretrain must be in (0, 1], not {self.pretrain}")
        for name in (
            "target_robots",
            "evaluations",
            "source_evaluations",
            "eval_episodes",
            "final_episodes",
            "gap_every",
        ):
            if getattr(self, name) < 1:
                raise RequestError(f"loop.{name} must be at least 1, not {getattr(self, name)}")
        for name in ("source_returns", "target_returns"):
            known = getattr(self, name)
            if known and not (len(known) == 2 and known[0] < known[1]):
                raise RequestError(
                    f"loop.{name} must be two returns, a random policy's and a trained one's that is above it, such as "
                    f"-280,4500, not {','.join(map(str, known))}"
                )
        if self.source_returns and not self.target_returns:
            raise RequestError("loop.source_returns is a scale to compare loop.target_returns with: give both")
        if self.updates not in ("equal", "paced"):
            raise RequestError(f"loop.updates must be equal or paced, not {self.updates!r}")
        if self.eval_target not in ("simulated", "training", "none"):
            raise RequestError(
                f"loop.eval_target must be simulated (evaluation episodes), training (finished training episodes) or "
                f"none, not {self.eval_target!r}"
            )
        if self.eval_target == "none" and self.converged:
            raise RequestError("loop.converged judges by target returns, which loop.eval_target=none leaves out")
        if self.symmetry not in ("auto", "none"):
            raise RequestError(
                f"loop.symmetry must be auto or none, not {self.symmetry!r}: a symmetry is written into the source's "
                f"id, such as halfcheetah@mirrored"
            )
        if not 0 <= self.aligned <= 1 or self.converged < 0 or self.threads < 0 or not self.gap_updates > 0:
            raise RequestError("loop.aligned must be in [0, 1]; converged and threads at least 0; gap_updates above 0")


@dataclass(frozen=True)
class Config:
    """A checked request: all that a run depends on."""

    domains: Pair[Domain]
    method: Method
    controls: tuple[Method, ...]
    learner: Learner
    loop: Loop
    source_steps: int
    target_steps: int
    seeds: int
    seed: int
    source_run: Path | None = None
    cotrain: bool = False  # the source's agent learns beside the target's
    imports: tuple[str, ...] = ()  # a user's modules that the rows of this request come from
    chosen: frozenset[str] = frozenset()  # the settings that the user named
    shift: ShiftMeasure | None = None  # measured before the run; the report reads it
    replaced: tuple[tuple[str, Any], ...] = ()  # settings that were asked of the learner, where `of` has others

    def of(self, row: Method) -> Config:
        """This request with the learner's settings that belong to a method, but for those that the user named.

        An on-policy agent that is trained on in the target gets shorter rollouts there, cut into as many minibatches,
        which are smaller and noisier. At the full rate it unlearns what it came with, so the rate goes with the root of
        their size (Malladi et al. 2022, the square root scaling rule for Adam).
        """
        own = dict(row.learner)
        if self.learner.on_policy and row.start == "source" and row.target_share == 1:
            share = self.rollout(row) / self.learner.round_steps(False)
            own["learning_rate"] = self.learner.learning_rate * min(share, 1.0) ** 0.5
        own = {name: value for name, value in own.items() if f"learner.{name}" not in self.chosen}
        asked = tuple((name, getattr(self.learner, name)) for name in own)
        return replace(self, learner=replace(self.learner, **own), replaced=asked) if own else self

    @property
    def seed_list(self) -> list[int]:
        """The seeds, one after the other."""
        return list(range(self.seed, self.seed + self.seeds))

    @property
    def simulates_target(self) -> bool:
        """Whether the target may take steps that teach nothing: evaluations, and the measure of the shift."""
        return self.loop.eval_target == "simulated"

    @property
    def needs_source_agent(self) -> bool:
        """Whether any method starts from a source agent."""
        return any(row.needs_source_agent for row in (self.method, *self.controls))

    def pretrain_steps(self, row: Method) -> int:
        """Steps per seed that train the source agent which a method starts from."""
        if row.walks:
            return round(self.source_steps * self.loop.pretrain)
        return self.source_steps - row.replayed * self.target_steps

    def walked_steps(self, row: Method, taken: int) -> int:
        """Source steps per seed that a method has to walk when its source agent took `taken`; the others of its budget
        start where the target was."""
        return self.source_steps - taken - row.replayed * self.target_steps

    def rounds(self, row: Method) -> int | None:
        """Rounds of updates in a method's transfer, the same for all that share the learner's settings: as many as the
        domain asks for that asks for more of them. None: as the steps ask for that feed the method."""
        if row.start == "oracle" or self.loop.updates == "paced":
            return None
        walked = self.source_steps - round(self.source_steps * self.loop.pretrain)
        return max(rounds_for(self.learner, walked, False), rounds_for(self.learner, self.target_steps, True))

    @property
    def least_steps(self) -> Pair[int]:
        """Steps per seed below which a budget pays for nothing: a rollout, or a step of every robot."""
        if self.learner.on_policy:
            return Pair(self.learner.round_steps(False), self.learner.round_steps(True))
        return Pair(self.learner.robots, self.loop.target_robots)

    def require_rounds(self) -> None:
        """Raise RequestError where a budget is smaller than one round of what has to be paid from it."""
        learner, rows = self.learner, (self.method, *self.controls)
        least = Pair(learner.round_steps(False), learner.round_steps(True)) if learner.on_policy else None
        oracle = any(row.start == "oracle" for row in rows)
        least = least or Pair(learner.robots, self.loop.target_robots)
        paid = [("source", self.source_steps, least.source)] if self.needs_source_agent or oracle else []
        for row in rows:
            if row.replayed * self.target_steps >= self.source_steps:
                raise RequestError(
                    f"'{row.name}' takes {row.replayed} source steps for each target step, {row.replayed} x "
                    f"{self.target_steps} of a source budget of {self.source_steps}: raise `source_steps`, or lower "
                    f"`target_steps`{' or feed.branches' if row.branched else ''}"
                )
            if row.uses_source:
                before = self.pretrain_steps(row)
                walked, part = self.walked_steps(row, before), min(row.parts)
                paid += [("source", before, least.source)]
                paid += [("source", int(part * walked), least.source)] if row.walks else []
                paid += [("target", int(part * self.target_steps), self.loop.target_robots)] if row.teacher else []
        if any(row.target_share == 1 for row in rows):
            paid += [("target", self.target_steps, least.target)]
        elif any(row.gap is not None or row.off_policy for row in rows):
            paid += [("target", self.target_steps, self.loop.target_robots)]
        widths = {"source": "learner.robots", "target": "loop.target_robots"}
        if learner.on_policy:
            widths["target"] = "learner.target_rollout"
        for side, steps, needed in paid:
            if steps < needed:
                budget = self.source_steps if side == "source" else self.target_steps
                left = "are" if steps == budget else f"leave {steps} for a part of the run (loop.pretrain), which is"
                cure = f"raise `{side}_steps`" + (f" to {needed} or more" if steps == budget else "")
                raise RequestError(
                    f"{budget} {side} steps {left} less than one round of '{learner.name}', {needed}: {cure}, or "
                    f"lower {widths[side]}"
                )
        if learner.on_policy:
            for row in rows:
                self.require_minibatches(row)

    def require_minibatches(self, row: Method, taken: int | None = None) -> None:
        """Raise RequestError where a rollout that trains an on-policy learner has fewer steps than there are
        minibatches. `taken`: source steps of its source agent, where they are not `pretrain_steps`."""
        if row.feed is None:
            return
        rollout, minibatches = self.rollout(row, taken), self.learner.minibatches
        if rollout < minibatches:
            side, steps = "target", f"{self.target_steps} target steps"
            if row.target_share != 1:
                left = self.walked_steps(row, self.pretrain_steps(row) if taken is None else taken)
                side, steps = "source", f"{self.source_steps} source steps leave {left}, which"
            raise RequestError(
                f"{steps} cut into {self.rounds(row) or 1} rollouts, as many as every method of the request gets, give "
                f"{rollout} steps to each, too few for {minibatches} minibatches: raise `{side}_steps`, lower "
                f"learner.minibatches, or use `loop.updates=paced`"
            )

    def rollout(self, row: Method, taken: int | None = None) -> int:
        """Steps per seed of each rollout that trains an on-policy learner with a method; of its parts the least."""
        in_target = row.target_share == 1
        width = self.loop.target_robots if in_target else self.learner.robots
        taken = self.pretrain_steps(row) if taken is None else taken
        steps = self.target_steps if in_target else self.walked_steps(row, taken)
        parts = zip(row.parts, rounds_of_parts(row, self.rounds(row) or 1), strict=True)
        each = min(int(share * steps) // width // rounds for share, rounds in parts)
        return min(self.learner.round_steps(in_target) // width, each) * width

    def require_steps_left(self, taken: int) -> None:
        """Raise RequestError where the source budget is spent before the method's own source steps."""
        for row in (self.method, *self.controls):
            spends = row.walks or row.replayed
            if spends and self.walked_steps(row, taken) < int(row.walks):
                raise RequestError(
                    f"the source run took {taken} steps of a source budget of {self.source_steps}, so nothing is left "
                    f"for '{row.name}' to train on: raise `source_steps` (it counts both)"
                )
            if row.walks and self.learner.on_policy:
                self.require_minibatches(row, taken)

    def as_json(self, row: Method) -> dict[str, Any]:
        """config.json of one method of the run: everything needed to repeat it."""
        spaces = self.domains.source.spaces
        parts = {name: _plain(getattr(row, name)) for name in SECTIONS if getattr(row, name) is not None}
        return {
            "schema": store.SCHEMA,
            "versions": store.versions(),
            "source": self.domains.source.name,
            "target": self.domains.target.name,
            "method": row.name,
            "controls": [control.name for control in self.controls if row is self.method],
            "source_steps": self.source_steps,
            "target_steps": self.target_steps,
            "seeds": self.seeds,
            "seed": self.seed,
            "source_run": str(self.source_run) if self.source_run else None,
            **({"cotrain": True} if self.cotrain and row.name == self.method.name else {}),
            **({"imports": list(self.imports)} if self.imports else {}),
            "learner": {"name": self.learner.name, **_plain(self.learner)},
            **({"replaced": dict(self.replaced)} if self.replaced else {}),
            "loop": _plain(self.loop),
            **parts,
            "shift": self.shift and asdict(self.shift) | {"entries": [list(entry) for entry in self.shift.entries]},
            "spaces": {
                "obs": spaces.obs,
                "action": spaces.action,
                "low": spaces.low.tolist(),
                "high": spaces.high.tolist(),
                **_columns(self.domains),
            },
        }


def rounds_of_parts(row: Method, rounds: int) -> tuple[int, ...]:
    """Rounds of each of a method's `parts`, at least one."""
    first = max(int(row.parts[0] * rounds), 1)
    return (first, max(rounds - first, 1)) if row.teacher else (rounds,)


def rounds_for(learner: Learner, steps: int, in_target: bool) -> int:
    """Rounds of updates that so many steps of one domain ask for: whole rollouts, or with a short last one."""
    whole, rest = divmod(steps, learner.round_steps(in_target))
    return max(whole if learner.on_policy else whole + (rest > 0), 1)


def resolve(
    source: Domain | str,
    target: Domain | str,
    method_name: str,
    *,
    learner: Any,
    source_steps: int | None,
    target_steps: int | None,
    seeds: int,
    seed: int,
    settings: dict[str, Any],
    controls: tuple[str, ...],
    source_run: str | Path | None,
    cotrain: bool = False,
    imports: Sequence[str] | str = (),
) -> Config:
    """Check the whole request. Raises RequestError with one line that says what is wrong."""
    imports = import_all(imports, source_run)
    row = method(str(method_name))
    control_rows = tuple(method(str(name)) for name in dict.fromkeys(controls) if name != row.name)
    pair: Pair[Domain] = Pair(domain(source), domain(target))
    require_fit(pair.source, pair.target)
    shift = None
    if settings.get("loop.eval_target", Loop.eval_target) == Loop.eval_target:
        shift = require_difference(pair.source, pair.target)
    elif pair.source.name == pair.target.name:
        raise RequestError(f"source and target are the same: '{pair.source.name}'")
    pair = seen_alike(pair, settings.get("loop.symmetry", Loop.symmetry))
    row, *control_rows = (without_a_model(r, pair) for r in (row, *control_rows))
    row = together(row, pair, source_run) if cotrain else row
    if learner is None and source_run is None and need_replay([row, *control_rows]):
        learner = "sac"  # the preset may be PPO
    rows = [row, *control_rows]
    learner = _learner(learner, pair.source, source_run, may_leave_out=not any(r.off_policy for r in rows))
    named = {r.name: settings_of(r, settings) for r in (row, *control_rows)}
    shared = {path: value for path, value in settings.items() if not path.startswith(tuple(f"{n}." for n in named))}
    sections = {"learner": learner, "loop": Loop(), **{name: getattr(row, name) for name in SECTIONS}}
    sections = apply_settings(sections, shared, row)
    row = replace(row, **{name: sections[name] for name in SECTIONS})
    row, *control_rows = (with_terms(with_settings(r, named[r.name]), pair) for r in (row, *control_rows))
    config = Config(
        domains=pair,
        method=row,
        controls=tuple(control_rows),
        learner=sections["learner"],
        loop=sections["loop"],
        source_steps=_count("source steps", source_steps, source_budget(sections["learner"], pair.source)),
        target_steps=_count("target steps", target_steps, DEFAULT_STEPS.target),
        seeds=_count("seeds", seeds, seeds),
        seed=_count("seed", seed, seed, least=0),
        source_run=Path(source_run) if source_run else None,
        cotrain=cotrain,
        imports=imports,
        chosen=frozenset(settings),
        shift=shift,
    )
    if cotrain and config.method.feed != Feed(1.0):
        raise RequestError("with `cotrain` each learner is fed by its own steps as they come: leave feed.* out")
    if cotrain and config.learner.on_policy:
        raise RequestError(
            f"`cotrain` needs a learner that keeps its steps, which {config.learner.name} does not: {USE_SAC}"
        )
    require_simulated(config)
    for r in (config.method, *config.controls):
        r.compensation()  # its settings check themselves
        require_effect(r)
        require_rewards(r, pair.target)
        require_learner(r, config.learner, pair.source, source_run)
    config.require_rounds()
    return config


def seen_alike(pair: Pair[Domain], how: str) -> Pair[Domain]:
    """The pair; of another task of one robot, with the source seen so that it is paid most like the target.

    A source that the user wrote with a symmetry stays as it is written, and one with a shift of single parts as it is:
    turned, it would be shifted in others. `how` is `Loop.symmetry`.
    """
    source: Any = pair.source
    if how == "none" or plain(source) is not source or not relabels(source, pair.target):
        return pair
    if same_task(source, pair.target) or source.robot.name not in SYMMETRIES or source.noise.any():
        return pair
    if any(shift.pattern or shift.name == "broken" for shift in source.shifts):
        return pair
    try:
        name, _ = best_seen(source, pair.target)  # type: ignore[arg-type]
    except RequestError:  # a reward of the user's that has no answer to what is seen
        return pair
    return pair if name is None else pair._replace(source=SeenDomain(source, name))


def need_replay(rows: list[Method]) -> bool:
    """Whether a learner that keeps no steps cannot serve one of the rows; or would learn nothing, where all that were
    chosen, and are no mere controls of others, have to learn from nothing on scarce target steps."""
    chosen = [row for row in rows if row.name not in CONTROLS] or rows
    return any(row.off_policy for row in rows) or all(row.start == "nothing" for row in chosen)


def without_a_model(row: Method, pair: Pair[Domain]) -> Method:
    """The row; of one that relabels, without its gap where the target's reward can be computed.

    Raises RequestError where that is the source's own.
    """
    if not row.relabels or not relabels(pair.source, pair.target):
        return row
    if plain(pair.source) is pair.source:  # seen through a symmetry it may be paid alike, and is another source
        require_other_pay(pair.source, pair.target)
    return replace(row, gap=None)


def with_terms(row: Method, pair: Pair[Domain]) -> Method:
    """The row; where its gap looks at the reward's terms, told how many there are.

    Raises RequestError where the two domains' steps do not store the same ones.
    """
    if not row.needs("terms") or not pair.target.reward_terms:  # without rewards it is refused for that
        return row
    source, target = (stored_terms(d) for d in pair)
    if not source or source != target:
        raise RequestError(
            f"'{row.name}' needs two tasks of one robot of the table, whose steps store the same reward terms, which "
            f"{pair.source.name} and {pair.target.name} are not: use value_potential or jsrl"
        )
    gap: Any = row.gap
    if gap.terms not in (0, len(source)):
        raise RequestError(f"gap.terms is the number of terms that {pair.source.name} stores, {len(source)}: leave it")
    return replace(row, gap=replace(gap, terms=len(source)))


def together(row: Method, pair: Pair[Domain], source_run: str | Path | None) -> Method:
    """The row as one of two that are trained together: from nothing, beside the other's steps as they come.

    Raises RequestError for a method of which that makes no sense.
    """
    if not (row.uses_replay and row.target_share == 1 and row.use is not None and row.use.cotrains):
        raise RequestError(
            f"'{row.name}' cannot be trained from both sides: with `cotrain` each learner's own rewards are adjusted "
            f"by the other's steps, as reward_gap, mean_gap and dpba do"
        )
    if source_run is not None:
        raise RequestError("with `cotrain` the source's agent learns from scratch too: leave `source_run` out")
    if not pair.source.reward_terms:
        raise RequestError(f"with `cotrain` an agent learns in {pair.source.name}, which has no rewards")
    return replace(row, start="nothing", feed=Feed(1.0))


def require_simulated(config: Config) -> None:
    """Raise RequestError for what only a simulated target can pay."""
    how = f"only a simulated target has, and loop.eval_target={config.loop.eval_target} says that it is none"
    if config.simulates_target:
        return
    if any(row.start == "oracle" for row in (config.method, *config.controls)):
        raise RequestError(f"'oracle' takes the source's budget in the target, steps that {how}: leave it out")
    if config.cotrain:
        raise RequestError(f"with `cotrain` both agents are evaluated in both domains, in episodes that {how}")


def require_effect(row: Method) -> None:
    """Raise RequestError for a feed with which a part of the method would change nothing."""
    if row.feed is None:
        return
    use = row.use
    if use is not None and use.relabels and row.feed.target_share == 1:
        raise RequestError(f"'{use.name}' pays the source's steps, so feed.target_share must be below 1")
    if use is not None and use.side == "target" and not row.feed.target_share:
        raise RequestError(f"'{use.name}' pays the target's steps, so feed.target_share must be above 0")
    if row.uses_replay and row.feed.target_share == 1 and row.gap is None:
        raise RequestError(
            f"with feed.target_share=1 and no gap '{row.name}' looks at no source step, so feed.source=replay would "
            f"change nothing"
        )


def require_rewards(row: Method, target: Domain) -> None:
    """Raise RequestError for a method that learns from the target's rewards where the target has none."""
    if row.needs_target_reward and not target.reward_terms:
        able = ", ".join(name for name, other in METHODS.items() if not other.needs_target_reward)
        raise RequestError(f"'{row.name}' learns from the target's rewards, and {target.name} has none: use {able}")


def require_learner(row: Method, learner: Learner, source: Domain, source_run: str | Path | None = None) -> None:
    """Raise RequestError for a method that the learner cannot serve on that source."""
    cure = USE_SAC
    if source_run is not None:  # the learner is that run's
        cure = f"leave `source_run` out ({source_run} was trained with {learner.name}), or name one trained with sac"
    if learner.on_policy and row.uses_replay:
        raise RequestError(
            f"'{row.name}' needs the stored steps of the source agent's training, which {learner.name} does not keep: "
            f"{cure}"
        )
    if row.use is not None and row.use.shapes and not learner.takes_advice:
        raise RequestError(f"'{row.name}' asks the source policy while it learns, which {learner.name} cannot: {cure}")
    if learner.on_policy and row.off_policy:
        raise RequestError(
            f"'{row.name}' trains on {row.feed}, steps that another policy took, which {learner.name} cannot: {cure}"
        )
    if row.branched and not (row.use is not None and row.use.corrects):
        raise RequestError(
            f"'{row.name}' with feed.source=branched would have nothing to correct its branches by: "
            f"use paired_branched, or trust(paired)"
        )
    if row.replayed and learner.on_policy and not invertible(source):
        raise RequestError(
            f"'{row.name}' has to put {source.name} into the states that the target was seen in, which its observation "
            f"does not tell in full; a model of it needs stored source steps, which {learner.name} has not: "
            f"{cure}"
        )
    known = {f.name for f in fields(learner)}
    for name, _ in row.learner:
        if name not in known:
            raise RequestError(f"'{row.name}' needs a learner with '{name}', which {learner.name} has not")


def settings_of(row: Method, settings: dict[str, Any]) -> dict[str, Any]:
    """The settings that name a method, as `darc.use.strength` does, without its name."""
    own = {path[len(row.name) + 1 :]: value for path, value in settings.items() if path.startswith(f"{row.name}.")}
    for path in own:
        if path.partition(".")[0] in ("learner", "loop"):
            raise RequestError(f"all methods of a run share learner and loop: write {path}, not {row.name}.{path}")
    return own


def with_settings(row: Method, settings: dict[str, Any]) -> Method:
    """The row with settings of its gap, use, gate or feed."""
    return replace(row, **apply_settings({name: getattr(row, name) for name in SECTIONS}, settings, row))


def apply_settings(sections: dict[str, Any], settings: dict[str, Any], row: Method) -> dict[str, Any]:
    """Set `section.field` to each value, a string or of the field's type."""
    changes: dict[str, dict[str, Any]] = {}  # all of a section at once: one may only make sense beside another
    for path, value in settings.items():
        section, _, name = path.partition(".")
        known = [f"{s}.{f.name}" for s, part in sections.items() if part is not None for f in fields(part)]
        if path not in known:
            if section in sections and sections[section] is None:
                raise RequestError(f"method '{row.name}' has no {section}, so '{path}' would change nothing")
            raise nearest(path, known, "setting", WORDS)
        part = sections[section]
        changes.setdefault(section, {})[name] = _value(path, value, get_type_hints(type(part))[name])
    return {**sections, **{section: replace(sections[section], **values) for section, values in changes.items()}}


def read_config(path: Path) -> dict[str, Any]:
    """The request in a config file (JSON as config.json, or YAML), as keyword arguments of `transfer`."""
    text = _read(path)
    if not isinstance(text, dict):
        raise RequestError(f"{path} must hold a mapping such as {{method: darc}}")
    text = {str(key): value for key, value in text.items()}
    store.require_schema(path, text)
    plain = {
        "source",
        "target",
        "method",
        "controls",
        "source_steps",
        "target_steps",
        "seeds",
        "seed",
        "source_run",
        "cotrain",
        "log",
        "imports",
    }
    request: dict[str, Any] = {key: text.pop(key) for key in plain & set(text)}
    for key in {"source_steps", "target_steps", "seeds", "seed"} & set(request):
        with suppress(ValueError):  # what is no number is refused with the whole request
            request[key] = whole_number(request[key]) if isinstance(request[key], str) else request[key]
    if not isinstance(request.get("controls", ""), (str, list)):
        raise RequestError(f"{path}: 'controls' must be a list of methods")
    if not isinstance(request.get("imports", ""), (str, list)):
        raise RequestError(f"{path}: 'imports' must be a list of modules")
    if not isinstance(request.get("source_run") or "", str):
        raise RequestError(f"{path}: 'source_run' must be a directory")
    settings: dict[str, Any] = {}
    for section in ("settings", "learner", "loop", *SECTIONS):
        value = text.pop(section, {})
        if isinstance(value, str) and section == "learner":
            value = {"name": value}
        if not isinstance(value, dict):
            raise RequestError(f"{path}: '{section}' must be a mapping of settings")
        if section == "learner" and "name" in value:
            request["learner"] = value.pop("name")
        settings |= {name if section == "settings" else f"{section}.{name}": v for name, v in value.items()}
    if "schema" in text and "loop.symmetry" not in settings:  # of a run before there were symmetries
        settings["loop.symmetry"] = "none"
    for ignored in ("schema", "versions", "spaces", "shift"):
        text.pop(ignored, None)
    replaced = text.pop("replaced", {})
    if not isinstance(replaced, dict):
        raise RequestError(f"{path}: 'replaced' must be a mapping of settings")
    if replaced:  # of a run: these are all methods' settings, but that method's, which brings its own
        learner = {name.partition(".")[2]: v for name, v in settings.items() if name.startswith("learner.")}
        request["learner"] = restore_learner({**learner, **replaced, "name": request.get("learner")})
        settings = {name: v for name, v in settings.items() if name not in {f"learner.{x}" for x in replaced}}
    if text:
        raise nearest(next(iter(text)), [*plain, "learner", "loop", *SECTIONS, "settings"], "key")
    return {**request, "settings": settings}


def _read(path: Path) -> Any:
    try:
        text = path.read_text()
    except OSError as error:
        raise RequestError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise RequestError(f"cannot read {path}: it is not text") from None
    try:
        if path.suffix == ".json":
            return json.loads(text)
        import yaml

        return yaml.safe_load(text)
    except Exception as error:
        raise RequestError(f"{path} does not parse: {' '.join(str(error).split())}") from None


def _learner(learner: Any, source: Domain, source_run: str | Path | None, may_leave_out: bool = True) -> Learner:
    """The learner asked for; of the source run; or of the robot's preset."""
    if source_run is None:
        return learner if isinstance(learner, Learner) else make_learner(learner, source)
    stored = SourceAgent.about(Path(source_run))
    restored = restore_learner(stored["learner"])
    if learner is None or learner in (restored, restored.name):
        return restored
    cure = "leave `learner` out, or " if may_leave_out else ""  # without it another learner is needed
    name = learner.name if isinstance(learner, Learner) else learner
    other = name if name != restored.name else f"{name} with other settings"
    raise RequestError(
        f"the source run {source_run} was trained with {restored.name}, not with {other}: {cure}leave `source_run` out "
        f"to train a source agent with {other}"
    )


def _count(what: str, value: Any, default: int, least: int = 1) -> int:
    value = default if value is None else value
    whole = int(value) if isinstance(value, Integral) and not isinstance(value, bool) else None
    if whole is None or whole < least:
        raise RequestError(f"{what} must be a whole number of at least {least}, not {value!r}")
    if whole > MOST:
        raise RequestError(f"{what} must be at most {MOST:,}, not {whole:,}")
    return whole


def _finite(x: float) -> float:
    """The number. Raises ValueError for what is none."""
    if not isfinite(x):
        raise ValueError
    return x


def _value(path: str, value: Any, kind: Any) -> Any:
    """`value` as the field's type; strings are read as the command line gives them."""
    kind = str if get_origin(kind) is Literal else kind  # the settings check which words they know
    try:
        if get_args(kind) and isinstance(value, (str, list, tuple)):  # tuple[int, ...]
            items = value.strip("()[] ").split(",") if isinstance(value, str) else value
            return tuple(_finite(get_args(kind)[0](str(item))) for item in items if str(item).strip())
        if kind is bool and isinstance(value, str):
            return {"true": True, "false": False, "1": True, "0": False}[value.lower()]
        if kind is int and isinstance(value, str):
            return whole_number(value)
        if kind is float and not isinstance(value, bool) and isfinite(float(value)):
            return float(value)
        if kind is not float and isinstance(value, kind) and (kind is bool or not isinstance(value, bool)):
            return value
    except (ValueError, KeyError, TypeError):
        pass
    wanted = {bool: "true or false", int: "a whole number", float: "a number", str: "a word"}.get(
        kind, "numbers such as 64,64"
    )
    raise RequestError(f"{path} must be {wanted}, not {value!r}")


def _plain(settings: Any) -> dict[str, Any]:
    """Settings as JSON gives them back."""
    values = {f.name: getattr(settings, f.name) for f in fields(settings)}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def _columns(pair: Pair[Domain]) -> dict[str, Any]:
    """What the columns are called and how far they go (null: without end, or not known), the layers that change what is
    in them, and what tells the one's environment from the other's."""
    seen = entries(pair.source)
    hard = [[x if isfinite(x) and not entry.soft else None for x in (entry.low, entry.high)] for entry in seen]
    told = pair.map(lambda domain: domain if isinstance(domain, Traced) else None)
    ours, theirs = (domain.traits if domain else {} for domain in told)
    keys = [key for key in {**ours, **theirs} if ours.get(key) != theirs.get(key)]
    return {
        "obs_names": [entry.name for entry in seen],
        "action_names": [entry.name for entry in action_entries(pair.source)],
        "obs_low": [low for low, _ in hard],
        "obs_high": [high for _, high in hard],
        "changing": {side: domain.changing if domain else [] for side, domain in told._asdict().items()},
        "apart": {key: [ours.get(key), theirs.get(key)] for key in sorted(keys)},
    }
