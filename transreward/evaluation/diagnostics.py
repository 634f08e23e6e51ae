"""What a compensation did: how large it was, when and where it acted, who guided, and warnings in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import count, takewhile
from math import log
from typing import Any

import numpy as np

from transreward.domains.robot import FALLEN, MOVED, PUSHED, STOOD, UPRIGHT
from transreward.evaluation.returns import Evaluation
from transreward.ground import SURE
from transreward.presets import Scale, scale
from transreward.types import Adjusted, Pair

QUANTILES = (5, 50, 95)  # per cent
SPREAD = 1e-8  # least standard deviation of the raw reward in which they are counted, where it does not vary
CANNOT_TELL = log(2)  # cross-entropy of a classifier that answers one half
LEARNED = 0.1  # share of the way from an untrained agent's return to the preset's, from which a task counts as learned
# What an agent may miss whose return is its preset's.
BEYOND = (FALLEN.label, UPRIGHT.label, MOVED, PUSHED, STOOD)
PARTS = 10  # of an episode's time limit, in each of which the compensation is averaged


def felt(seen: Evaluation, adjusted: Adjusted | None, seed: int, kept: float = 1.0) -> dict[str, Any]:
    """Diagnostics of the compensation for one seed, over the evaluation steps of the side that it changes.

    `adjusted`: rewards and weights of `first_episodes_first`, [n]; None: nothing was changed. `kept`: factor of the raw
    reward in what is paid; the remainder counts as compensation.

    `gap_mean` and `gap_std` are in units of reward, the quantiles in standard deviations of the raw reward. The
    effective sample size is a share of the steps, 1 where all have the same weight (Kish 1965). Where there was a
    compensation, `acts` is added.
    """
    alive = seen.alive[seed]
    reward, steps = seen.steps.reward[seed][alive], int(alive.sum())
    spread, delta, weight = float(reward.std()), np.zeros(steps), np.ones(steps)
    if adjusted is not None:
        delta, weight = adjusted.reward[:steps].astype(float) - kept * reward, adjusted.weight[:steps].astype(float)
    low, middle, high = np.percentile(delta, QUANTILES) / max(spread, SPREAD)
    return {
        "gap_per_episode": float(delta.sum() / seen.returns.shape[1]),
        "gap_mean": float(delta.mean()),
        "gap_std": float(delta.std()),
        "gap_q05": float(low),
        "gap_q50": float(middle),
        "gap_q95": float(high),
        "reward_std": spread,
        "effective_sample_size": float(weight.sum() ** 2 / max(steps * (weight**2).sum(), 1e-8)),
        **(acts(seen, delta, seed) if adjusted is not None else {}),
    }


def acts(seen: Evaluation, delta: np.ndarray, seed: int) -> dict[str, list[float | None]]:
    """When in an episode, and at which states and actions, a compensation acts. `delta`: of first episodes' steps, [n].

    `gap_by_time`: its mean in each tenth of an episode's time limit, in units of reward, None where no episode got so
    far.
    `gap_by_obs`, `gap_by_action`: its correlation with each entry of the observation and of the action, 0 where either
    does not vary.
    """
    alive, episodes = seen.alive[seed], seen.returns.shape[1]
    time = np.flatnonzero(alive) // episodes * PARTS // (len(alive) // episodes)
    means = [delta[time == part] for part in range(PARTS)]
    return {
        "gap_by_time": [float(part.mean()) if len(part) else None for part in means],
        "gap_by_obs": _correlations(seen.steps.obs[seed][alive], delta),
        "gap_by_action": _correlations(seen.steps.action[seed][alive], delta),
    }


def _correlations(entries: np.ndarray, delta: np.ndarray) -> list[float | None]:
    """Pearson correlation of each column of [n, entries] with [n], to three digits."""
    x, y = entries - entries.mean(axis=0, dtype=float), delta - delta.mean()
    spreads = np.sqrt((x**2).sum(axis=0) * (y**2).sum())
    found = np.divide(y @ x, spreads, out=np.zeros(x.shape[1]), where=spreads > 1e-12)
    return np.round(found, 3).tolist()


def guided(rows: Sequence[dict[str, Any]]) -> list[float]:
    """By source, in order, the share of the batches' states in which its policy drew the actor: the mean over rows of
    metrics.jsonl. Empty where nobody guides."""
    told = [row for row in rows if "guided_0" in row]
    names = takewhile(lambda name: told and name in told[0], (f"guided_{k}" for k in count()))
    return [float(np.mean([row[name] for row in told])) for name in names]


def guided_by(shares: Mapping[str, float]) -> str:
    """What `guided` says of sources by name, in words."""
    named = [*shares.items(), ("nobody", 1.0 - sum(shares.values()))]
    return f"guided by {', '.join(f'{name} in {share:.0%}' for name, share in named)} of the states"


def learned(returned: float, scale: Scale) -> bool:
    """Whether a mean return in the source is one of an agent that has learned its task, where its scale is known."""
    return returned - scale.untrained > LEARNED * (scale.reached - scale.untrained)


def unlearned(
    success: Mapping[str, Sequence[float]],
    rows: Sequence[dict[str, Any]],
    returned: Sequence[float] = (),
    config: Mapping[str, Any] | None = None,
) -> list[str]:
    """A sentence where the source agent has not learned its task, or nothing.

    `success`: share of episodes -> [seeds], `returned`: mean returns [seeds], both of the source agent in the source;
    without the second the last evaluation of its training counts, in the `rows` of metrics.jsonl. The task is not
    learned where it was done in no episode; where the robot fell in every one and the agent returned no more than at
    the first evaluation of its training; where its return is below a tenth (`LEARNED`) of the way that is known of the
    robot and the learner of config.json; and where the run found that it is no more than an untrained one. Else a
    return is not judged.
    """
    done = [name for name in success if "(" not in name and name not in BEYOND]
    why = next((f"it {name} its goal in none of its episodes there" for name in done if not any(success[name])), "")
    returns: dict[int, list[float]] = {}
    for row in rows:
        if row.get("phase") == "source" and row["source_return"] is not None:
            returns.setdefault(row["source_steps"], []).append(row["source_return"])
    means = [float(np.mean(x)) for _, x in sorted(returns.items())]
    if success.get(FALLEN.label) and min(success[FALLEN.label]) == 1 and len(means) > 1 and means[-1] <= means[0]:
        why = "the robot fell in each of its episodes there, and its return has not risen while it was trained"
    own = [float(np.mean(returned))] if len(returned) else means[-1:]
    known = scale(config["source"], config["learner"]["name"]) if config and own else None
    if not why and known is not None and not learned(own[0], known):
        why = f"it returns {own[0]:,.4g} there, where {known}".replace(" -", " \N{MINUS SIGN}")
    if not why and any(row.get("source_agent") == "untrained" for row in rows):
        why = "it returns hardly more there than one that was never trained"
    if not why:
        return []
    return [
        f"the source agent has not learned its own task: {why}, so nothing that follows says whether a transfer helps; "
        f"raise source_steps, or look whether the robot can do the task ('transreward play')"
    ]


def span(shares: Sequence[float]) -> str:
    """Shares of some seeds in words: one, or from the least to the most."""
    low, high = f"{min(shares):.0%}", f"{max(shares):.0%}"
    return low if low == high else f"{low} to {high} over {len(shares)} seeds"


def warnings_of(rows: Iterable[dict[str, Any]]) -> list[str]:
    """What a person should know by the last row of each seed, each sentence once; shares are said over the seeds."""
    rows = list(rows)
    shares = [row["gap_explained"] for row in rows if row.get("gap_explained") is not None]
    together = {"gap_explained": shares} if shares else {}
    return list(dict.fromkeys(text for row in rows for text in warnings(row | together)))


def warnings(row: dict[str, Any]) -> list[str]:
    """What a person should know about the gap and the robots behind one row of metrics.jsonl, a sentence each."""
    found = _of_classifier(row)
    for side in Pair._fields:
        if row.get(f"{side}_diverged"):
            found.append(f"{row[f'{side}_diverged']} episodes in the {side} ended because a robot diverged")
    nothing = row.get("gap_std") == row.get("gap_mean") == 0 and row.get("effective_sample_size") == 1
    unpaid = nothing and "gap_trust" not in row
    if row.get("gap_loss") is not None and unpaid and row.get("reward_std") == 0:
        found.append(
            "the compensation pays nothing: it is scaled to the standard deviation of the source's rewards, which is "
            "0; set gate.scale=false"
        )
    if row.get("gap_trust", 1.0) < 0.2 and row.get("grounded_explained", 0.0) < SURE:  # else nothing is left to learn
        found.append(
            "the difference between the domains is hardly learned: it explains little of held-out pairs, so the method "
            "is close to fine-tuning; more target steps or another gap may help"
        )
    if row.get("twin") == "model":
        found.append(
            "the source cannot be reset to observed states of the target, so a learned model of it, fitted to the "
            "source agent's steps, was used instead"
        )
    if row.get("relabelled") == "by a model":
        shares = span(np.maximum(np.atleast_1d(row.get("gap_explained", 0.0)), 0.0).tolist())  # below 0: nothing
        found.append(
            "the target's reward for a source step cannot be computed here, so a model of it was used, learned from "
            f"target steps; it explains {shares} of the target's rewards"
        )
    if row.get("effective_sample_size", 1.0) < 0.1:
        found.append(
            "the effective sample size is below a tenth of the source's steps: lower use.high or raise use.low"
        )
    return found


def _of_classifier(row: dict[str, Any]) -> list[str]:
    """Of a gap that tells the domains apart: saturated, memorised, null."""
    found = []
    accuracy, held_out, train = (row.get(k) for k in ("gap_accuracy", "gap_held_out_loss", "gap_loss"))
    if accuracy is not None and accuracy > 0.99:
        found.append(
            "the gap is saturated: it tells the domains apart at every step, so its score says that there is a shift, "
            "not how large; more gap.noise smooths it"
        )
    if (
        accuracy is not None
        and held_out is not None
        and train is not None
        and held_out > max(train + 0.3, CANNOT_TELL + 0.05)
    ):
        found.append(
            "the gap has memorised its few target steps: on held-out ones it does worse than guessing; raise gap.noise "
            "or gap.weight_decay, or collect more"
        )
    if accuracy is not None and abs(accuracy - 0.5) < 0.02 and held_out is not None and held_out > CANNOT_TELL - 0.01:
        found.append("the gap is null: it sees no difference between the domains in the states that this policy visits")
    return found
