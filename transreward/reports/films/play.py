"""The videos of a run directory: the saved policy in both domains, and before and after the transfer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from transreward.domains.domain import Domain
from transreward.domains.ids import domain
from transreward.domains.logs.recorded import file_of
from transreward.presets import restore_learner
from transreward.reports.films import poster, video
from transreward.reports.films.grid import write_grid
from transreward.reports.films.take import SMALL, Film
from transreward.reports.films.window import watch_live
from transreward.runs import store
from transreward.runs.policy import policy_of
from transreward.runs.result import Result, load
from transreward.runs.source_agent import SourceAgent
from transreward.types import SHOWN, ZERO_SHOT, Array, Pair, RequestError, Transition


def play(
    directory: str | Path, out: str | Path | None = None, seed: int = 0, film: dict[str, Any] | None = None
) -> Path:
    """Write a video of the policy of one seed (counted from 0), by default DIR/videos/play.mp4.

    `film` are fields of `Film`. Raises RequestError for a directory that holds no finished run, for what cannot be
    filmed, and, `no video: ...`, where nothing draws here.
    """
    settings, run = Film(**film or {}), load(directory)
    path = Path(directory) / "videos" / "play.mp4" if out is None else Path(out)
    if path.suffix not in video.ENDINGS:
        raise RequestError(f"`out` {path} must name a file that ends in {', '.join(video.ENDINGS)}")
    store.require_writable(path, makes=True)
    video.require_tools()  # before a domain imports MuJoCo, which a wrong MUJOCO_GL would not survive
    trace, label = compensation_trace(run, seed)
    policy, first = run.policy(seed), run.config["seed"]
    video.write_video(_domains(run, seed), policy, path, first + seed, settings, trace, label)
    return path


def play_all(
    directories: Sequence[str | Path],
    out: str | Path,
    seed: int = 0,
    film: dict[str, Any] | None = None,
    pictures: int | None = None,
) -> Path:
    """Write what the ending of `out` says: a film of several runs, each pair of robots in its place, or, .png and .pdf,
    a strip of `pictures` of the first episode of each, for paper. Raises RequestError as `play` does."""
    settings, runs, path = Film(**film or {}), [load(place) for place in directories], Path(out)
    strip = path.suffix in poster.ENDINGS
    if not strip and path.suffix not in video.ENDINGS:
        raise RequestError(f"`out` {path} must name a file that ends in {', '.join([*video.ENDINGS, *poster.ENDINGS])}")
    if strip and settings.episodes != 1:
        raise RequestError(f"{path} shows one episode: leave `episodes` away")
    if pictures is not None and not (strip and 2 <= pictures <= 20):
        raise RequestError(f"`pictures` are 2 to 20 of a .png or .pdf, not {pictures} of {path}")
    store.require_writable(path, makes=True)
    video.require_tools()
    titles = [f"{run.method}, seed {run.config['seed'] + seed}" for run in runs]
    with ExitStack() as stack:
        shots = [
            stack.enter_context(
                video.shot(
                    _domains(run, seed),
                    run.policy(seed),
                    run.config["seed"] + seed,
                    settings,
                    *compensation_trace(run, seed),
                )
            )
            for run in runs
        ]
        if strip:
            poster.write_poster(shots, titles, path, pictures or poster.PICTURES)
        else:
            write_grid(shots, titles, path)
    return path


def before_and_after(directory: str | Path, seed: int = 0, film: Film = SMALL) -> list[Path]:
    """Write DIR/videos/before.mp4, the unchanged source policy, and after.mp4, the final one; for the report.

    The source policy is that of the control `zero_shot` or, in a run without it, the agent that the run started from.
    Without either there is no before. Both show the same trace, that of the final compensation, where the run has one.
    """
    run, place = load(directory), Path(directory) / "videos"
    video.require_tools()
    domains, (trace, label) = _domains(run, seed), compensation_trace(run, seed)
    policies = {"before": source_policy(run, Path(directory), seed), "after": run.policy(seed)}
    written = []
    for name, policy in policies.items():
        if policy is not None:
            path = place / f"{name}.mp4"
            video.write_video(domains, policy, path, run.config["seed"] + seed, film, trace, label, name)
            written.append(path)
    return written


def live(directory: str | Path, side: str, seed: int = 0, film: dict[str, Any] | None = None) -> None:
    """The policy in the source or the target, in a window; see `watch_live`. It shows whole episodes."""
    run, settings = load(directory), Film(**film or {})
    of = _of(run, run.config["source"], seed) if side == "source" else _domains(run, seed).target
    watch_live(of, run.policy(seed), run.config["seed"] + seed, settings)


def source_policy(run: Result, directory: Path, seed: int) -> Callable[[np.ndarray], np.ndarray] | None:
    """The policy that a run started from; None if it was trained from scratch or its agent is in another directory, and
    for one that is told more than anybody shows it here."""
    if run.method == ZERO_SHOT:
        return run.policy(seed)
    if ZERO_SHOT in run.controls:
        return run.controls[ZERO_SHOT].policy(seed)
    file = directory / "source" / "agent.safetensors"
    if not file.exists():
        return None
    from transreward.domains.informed import Informed  # which needs MuJoCo

    about = SourceAgent.about(directory)  # of another learner and in other columns than the run's, maybe
    trained, learner = domain(about["source"]), restore_learner(about["learner"])
    if isinstance(trained, Informed):
        return None
    keys = jax.random.split(jax.random.key(0), len(about["seeds"]))
    like = {"agents": store.shapes_of(learner, trained.spaces, keys), "keys": jax.random.key_data(keys)}
    agents = store.load_tree(file, like)["agents"]
    agent = SourceAgent(trained.name, learner, agents, None, None, about["steps"], about["seeds"], [])
    acts = agent.across(domain(run.config["source"])).agents
    return policy_of(learner, acts, seed, run.config["spaces"]["obs"])


def compensation_trace(run: Result, seed: int) -> tuple[video.Trace | None, str]:
    """The function that computes what the run's compensation adds to each step of a film, and its label; None without
    one: the film then shows the raw reward."""
    try:
        compensation, state = run.compensation(seed)
    except RequestError:  # the method has none, or the run does not hold it
        return None, video.RAW
    extras = {"source_value": None, **dict.fromkeys(SHOWN), **run.extras(seed)}

    @jax.jit
    def added(steps: Pair[Transition]) -> Pair[Array]:
        adjusted = compensation.adjust(state, steps, **extras)
        return Pair(*(a.reward - t.reward for a, t in zip(adjusted, steps, strict=True)))

    def trace(steps: Pair[Transition]) -> Pair[Array]:
        return added(steps.map(lambda t: jax.tree.map(jnp.asarray, t))).map(np.asarray)

    return trace, "compensation a step"


def _domains(run: Result, seed: int = 0) -> Pair[Domain]:
    """Raises RequestError where a film would take steps that nobody granted."""
    if run.eval_target != "simulated":
        raise RequestError(
            f"no video: a film takes steps in '{run.config['target']}', and loop.eval_target={run.eval_target} says "
            f"that it is not simulated"
        )
    if file_of(run.config["source"]) is not None:
        raise RequestError(f"no video: the source, '{run.config['source']}', is a log")
    sides = Pair(run.config["source"], run.config.get("evaluate", run.config["target"]))
    return sides.map(lambda id: _of(run, id, seed))


def _of(run: Result, id: str, seed: int) -> Domain:
    """The domain of an id as that seed of the run has it. Raises RequestError for a seed that it has not."""
    from transreward.domains.varied import of_seed  # which needs MuJoCo

    run.require(seed)
    return of_seed(domain(id), seed)
