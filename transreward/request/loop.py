"""The settings of the loop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from transreward.streams.guarded import Limits
from transreward.types import RequestError


@dataclass(frozen=True)
class Loop:
    """Settings `loop.*`: how the five steps are run. Raises RequestError for a value out of range."""

    pretrain: float = (
        0.6  # share of the source budget that trains the source agent of a method that continues in the source
    )
    target_robots: int = 1  # robots per seed that collect in the target in parallel
    updates: Literal["equal", "paced"] = "equal"  # of the learner in a transfer. equal: as many for every method of a
    # request, the larger of what the two domains' steps call for; paced: what the steps that feed the method call for
    gap_updates: float = 1.0  # updates of the gap, times its `pace`, per update of the learner; with PPO per 16 steps
    evaluations: int = 10  # of the policy, in the transfer phase
    source_evaluations: int = 5  # of the source agent, while it is trained
    eval_episodes: int = 5  # per seed and domain, in an evaluation
    final_episodes: int = 10  # per seed and domain, for the result
    gap_every: int = 1  # rounds between refits of the gap; each refit makes up for the rounds without one
    aligned: float = 0.95  # stop once the target return reaches this share of the source's; 0 = never
    source_returns: tuple[float, ...] = ()  # of a random and a trained policy in the source; () = not known
    target_returns: tuple[float, ...] = ()  # the same in the target; () = compared raw, if the task is the same
    converged: int = 0  # stop once this many finished target episodes per seed brought no improvement; 0 = never
    threads: int = 0  # of the simulation; 0 = all cores
    patience: float = 3600.0  # seconds that a domain may take for one call; past them the run ends. 0 = no limit
    diverged: float = 0.1  # share of a domain's episodes that may end because a robot diverged; past it the run stops
    eval_target: Literal["simulated", "training", "none"] = "simulated"  # the episodes whose returns are the target's
    fallback: bool = (
        False  # the source policy stays a candidate: it acts first, and is delivered unless another is better
    )
    sources: Literal["equal", "weighted"] = "equal"  # of several whose steps are drawn to learn from. equal: as many of
    # each; weighted: the more the more like the target's they are, by a classifier of all of them
    horizon: int = 0  # target steps to which source_steps and all annealing refer; 0 = target_steps.
    # Beyond it a run continues at its pace.
    keep_state: bool = True  # of a finished run, for `transreward resume DIR --target-steps N`
    history: int = 0  # last commanded actions among the columns of source and target; 0 = as their ids say
    symmetry: Literal["auto", "none"] = "auto"  # auto: mirror or rotate the source if its reward then fits the target's

    @property
    def limits(self) -> Limits:
        """The limits of guarded simulations."""
        return Limits(self.diverged, self.patience)

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
        if self.sources not in ("equal", "weighted"):
            raise RequestError(f"loop.sources must be equal or weighted, not {self.sources!r}")
        if self.eval_target not in ("simulated", "training", "none"):
            raise RequestError(
                f"loop.eval_target must be simulated (evaluation episodes), training (finished training episodes) or "
                f"none, not {self.eval_target!r}"
            )
        if self.eval_target == "none" and self.converged:
            raise RequestError("loop.converged judges by target returns, which loop.eval_target=none leaves out")
        if self.symmetry not in ("auto", "none"):
            raise RequestError(
                f"loop.symmetry must be auto or none, not {self.symmetry!r}: name a symmetry as `bridge=mirrored`"
            )
        if self.patience < 0:
            raise RequestError(f"loop.patience is in seconds, at least 0 (without end), not {self.patience}")
        if not 0 <= self.diverged <= 1:
            raise RequestError(f"loop.diverged is a share of episodes, in [0, 1], not {self.diverged}")
        if not 0 <= self.aligned <= 1 or self.converged < 0 or self.threads < 0 or not self.gap_updates > 0:
            raise RequestError("loop.aligned must be in [0, 1]; converged and threads at least 0; gap_updates above 0")
        if self.horizon < 0:
            raise RequestError(f"loop.horizon must be target steps, or 0 for all of them, not {self.horizon}")
