"""The settings of a film, and what is recorded of one robot for it.

The episodes are simulated first and drawn afterwards, so that the trace above a robot may be anything that is computed
from their steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from transreward.domains.across import body
from transreward.domains.domain import Domain, Drawn, control_rate
from transreward.evaluation.returns import SEED
from transreward.types import Array, RequestError, Transition

Policy = Callable[[Array], Array]  # [n, obs] -> [n, action]
UNKNOWN_RATE = 30.0  # Hz, of an environment that does not say how many control steps make a second


@dataclass(frozen=True)
class Film:
    """Settings of a video."""

    width: int = 320  # pixels of each robot's picture
    height: int = 240
    rate: float = 20.0  # pictures a second, about: a whole number of control steps lies between two
    seconds: float = 10.0  # of each episode, at most
    episodes: int = 1

    def __post_init__(self) -> None:
        for name in ("width", "height"):
            if not 64 <= getattr(self, name) <= 1920 or getattr(self, name) % 2:
                raise RequestError(
                    f"{name} must be an even number of pixels from 64 to 1920, not {getattr(self, name)}"
                )
        if not 0 < self.seconds <= 600 or not 1 <= self.rate <= 60:
            raise RequestError("seconds must be above 0 and at most 600, and the rate from 1 to 60 pictures a second")
        if not 1 <= self.episodes <= 100:
            raise RequestError(f"episodes must be from 1 to 100, not {self.episodes}")


SMALL = Film(256, 192, seconds=4.0)  # two videos of this, 320 pictures, take less than 30 s drawn in software


class Take(NamedTuple):
    """One robot in one episode."""

    pictures: list[np.ndarray]  # a physics state [nq], or a picture [height, width, 3], per picture of the video
    steps: Transition  # [n, ...]
    every: int  # control steps between two pictures
    rate: float  # control steps a second
    end: str  # why the episode ended; "" if the film ends before it


def act(domain: Domain, policy: Policy, seed: int, film: Film) -> list[Take]:
    """The first `episodes` evaluation episodes of a seed, without exploration, each until it or the film ends."""
    known = control_rate(domain)
    rate = known or UNKNOWN_RATE
    every, most = max(round(rate / film.rate), 1), min(max(int(film.seconds * rate), 1), domain.episode_steps)
    simulation = domain.simulate(film.episodes, SEED + seed)
    look = _look(domain, simulation)
    pictures: list[list[np.ndarray]] = [[] for _ in range(film.episodes)]
    steps, lengths, ends = [], np.full(film.episodes, most), [""] * film.episodes
    for t in range(most):
        if t % every == 0:
            for of, picture in zip(pictures, look(), strict=True):
                of.append(picture)
        step = simulation.step(policy(simulation.obs.astype(np.float32)))
        steps.append(Transition(*(np.asarray(x, np.float32) for x in step)))
        for i in np.flatnonzero((step.terminated | step.truncated) & (lengths > t + 1)):
            lengths[i] = t + 1
        for i in np.flatnonzero(step.terminated & (lengths == t + 1)):
            ends[i] = f"ended after {(t + 1) / rate:.1f} s" if known else f"ended after {t + 1} steps"
        if (lengths <= t + 1).all():
            break
    stacked = Transition(*(np.stack(x) for x in zip(*steps, strict=True)))
    return [
        Take(pictures[i][: -(-n // every)], Transition(*(x[:n, i] for x in stacked)), every, rate, ends[i])
        for i, n in enumerate(lengths)
    ]


def _look(domain: Domain, simulation: Any) -> Callable[[], Sequence[np.ndarray]]:
    """What is recorded for a picture: the physics state if MuJoCo draws it later, else the picture itself."""
    if body(domain):
        return lambda: simulation.qpos
    return simulation.pictures


def drawable(domain: Domain) -> Domain:
    """The domain with environments that draw themselves, where MuJoCo does not draw it.

    Raises RequestError, `no video: ...`, where nothing draws it.
    """
    if body(domain):
        return domain
    if isinstance(domain, Drawn):
        return domain.drawn()
    raise RequestError(f"no video: nothing draws '{domain.name}'")
