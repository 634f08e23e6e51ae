"""What a policy does in its own episodes, and the golden rows that are made of it.

Golden rows are observations with the actions that the policy itself gave: two episodes from their start, so that
whoever remembers sent actions can be checked, too, and states that stand alone, in which actions reach the edges of
their box. They are the policy's own, before it became a graph.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from transreward.domains.domain import Domain
from transreward.evaluation.returns import SEED
from transreward.types import Array, Spaces

STATES = 1_000  # of a walk, on which a graph is compared with the policy
ROBOTS, LONGEST = 16, 250  # of a walk, and its control steps
EPISODES, STEPS = 2, 24  # whose first steps are golden
EDGES = 16  # states that stand alone, at most
FAR = (1.0, 3.0, 10.0, 30.0)  # standard deviations from what was seen, where no state that was seen reaches an edge
SLOWEST = 0.01  # of an action's range: the least that its largest change is taken for

Act = Callable[[Array], Array]  # [..., obs] -> [..., action]


class Walk(NamedTuple):
    """What a policy saw and did. The episodes are those of the last domain that it acted in; none: it acted nowhere."""

    states: np.ndarray  # [STATES, obs], float32, of all domains
    observations: list[np.ndarray]  # of each robot's first episode, the longest first, [steps, obs]
    actions: list[np.ndarray]  # of each episode, [steps, action]
    change: np.ndarray | None  # [action], the largest from one control step to the next; None: it acted nowhere


class Golden(NamedTuple):
    """Golden rows."""

    text: str  # of the file
    rows: int
    edges: tuple[int, int]  # ends of the box that some row reaches, of how many


def walk(domains: Sequence[Domain], act: Act, seed: int) -> Walk:
    """A walk of the policy in each domain, one after the other, with states drawn from all that was seen."""
    rng, states, change = np.random.default_rng(seed), [], np.zeros(domains[0].spaces.action)
    observations: list[np.ndarray] = []
    actions: list[np.ndarray] = []
    for of in domains:
        spaces, simulation, seen, acted, ended = of.spaces, of.simulate(ROBOTS, SEED + seed), [], [], []
        for _ in range(max(min(of.episode_steps, LONGEST), -(-STATES // ROBOTS))):
            seen.append(simulation.obs.astype(np.float32))
            acted.append(np.clip(act(seen[-1]), spaces.low, spaces.high))
            t = simulation.step(acted[-1])
            ended.append(np.logical_or(t.terminated, t.truncated))
        states.append(rng.choice(np.concatenate(seen), STATES // len(domains), replace=False))
        obs, action, ends = np.stack(seen, axis=1), np.stack(acted, axis=1), np.stack(ended, axis=1)
        jumps = np.where(ends[:, :-1, None], 0.0, np.abs(np.diff(action, axis=1)))
        change = np.maximum(change, jumps.max(axis=(0, 1)))
        lengths = np.where(ends.any(axis=1), ends.argmax(axis=1) + 1, ends.shape[1])
        longest = np.argsort(-lengths, kind="stable")
        observations = [obs[i, : lengths[i]] for i in longest]
        actions = [action[i, : lengths[i]] for i in longest]
    spaces = domains[-1].spaces
    return Walk(np.concatenate(states), observations, actions, np.maximum(change, SLOWEST * (spaces.high - spaces.low)))


def still(states: np.ndarray) -> Walk:
    """That of a policy that can act nowhere: states of logs, [n, obs], which it is asked about."""
    few = states[np.linspace(0, len(states) - 1, min(len(states), STATES)).astype(int)]
    return Walk(few.astype(np.float32), [], [], None)


def golden(of: Walk, act: Act, spaces: Spaces, tolerance: np.ndarray, head: dict[str, object]) -> Golden:
    """The golden rows of a walk; `tolerance` [action] is how far an action may be off, `head` what else the file says,
    a line each. The file's format is in docs/see.md."""
    rows: list[tuple[int, int, np.ndarray, np.ndarray]] = []
    for episode, (seen, acted) in enumerate(zip(of.observations[:EPISODES], of.actions, strict=False)):
        rows += [(episode, step, *row) for step, row in enumerate(zip(seen[:STEPS], acted, strict=False))]
    alone = edge_states(of.states, act, spaces)
    if not rows:
        alone = np.concatenate([of.states[:: -(-len(of.states) // (EPISODES * STEPS))], alone])
    rows += [(-1, i, *row) for i, row in enumerate(zip(alone, clipped(act, alone, spaces), strict=True))]
    reached = at_edges(np.stack([row[3] for row in rows]), spaces).any(axis=0)
    about = {**head, "observations": spaces.obs, "actions": spaces.action}
    about |= {"start": _text(np.clip(np.zeros(spaces.action), spaces.low, spaces.high)), "tolerance": _text(tolerance)}
    about["rows"] = len(rows)
    lines = ["# Golden rows: episode (-1: a state by itself), step, observation, action. See policy_check.cpp."]
    lines += [f"{key} {value}" for key, value in about.items()]
    lines += [f"{episode} {step} {_text(seen)} {_text(acted)}" for episode, step, seen, acted in rows]
    return Golden("\n".join(lines) + "\n", len(rows), (int(reached.sum()), reached.size))


def edge_states(states: np.ndarray, act: Act, spaces: Spaces) -> np.ndarray:
    """States [n <= EDGES, obs] in which actions reach the ends of their box, float32: some of `states` [m, obs], else
    the nearest of random ones about them that does; where none does, the one that comes nearest to the end."""
    rng, unit = np.random.default_rng(0), states.std(axis=0)
    tried = [states]
    for far in FAR:
        about = states[rng.integers(len(states), size=len(states))]
        tried.append((about + far * unit * rng.normal(size=about.shape)).astype(np.float32))
    known = np.concatenate(tried)
    actions = clipped(act, known, spaces)
    there = at_edges(actions, spaces)
    outward = np.concatenate([-actions, actions], axis=1)
    chosen = [
        int(hit.argmax()) if hit.any() else int(out.argmax()) for hit, out in zip(there.T, outward.T, strict=True)
    ]
    by_action = np.reshape(chosen, (2, -1)).T.ravel().tolist()  # the lower and the upper end of each in turn
    return known[list(dict.fromkeys(by_action))[:EDGES]]


def at_edges(actions: np.ndarray, spaces: Spaces) -> np.ndarray:
    """Whether actions [n, action] are at the lower ends of their box, then at the upper ones, [n, 2 action]."""
    near = 1e-4 * (spaces.high - spaces.low)
    return np.concatenate([actions <= spaces.low + near, actions >= spaces.high - near], axis=1)


def clipped(act: Act, states: np.ndarray, spaces: Spaces) -> np.ndarray:
    """Actions within their box, [n, action], float32."""
    return np.clip(np.asarray(act(states), np.float32), spaces.low, spaces.high).astype(np.float32)


def _text(numbers: np.ndarray) -> str:
    """Nine digits, which give a float32 back to the bit."""
    return " ".join(f"{x:.9g}" for x in numbers.tolist())
