"""The source agent of a run, from which transfers start."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from transreward import replay as rp
from transreward.bridges.bridge import Crossing
from transreward.bridges.take_up import given, take_up
from transreward.domains.across import Across
from transreward.domains.bridged import crossings, plain_id
from transreward.domains.domain import Domain, stored_terms
from transreward.domains.ids import domain
from transreward.domains.users import import_modules
from transreward.learners.learner import Learner
from transreward.presets import restore_learner
from transreward.runs import store
from transreward.types import NO_STEPS, Pair, RequestError, Spaces


@dataclass
class SourceAgent:
    """A plain agent trained in the source: policy, critics, normaliser and replay of all seeds."""

    source: str  # id of the domain in whose columns it acts
    learner: Learner
    agents: Any
    replay: Any | None  # None for an on-policy learner
    keys: Any
    steps: int  # per seed
    seeds: list[int]
    log: list[dict[str, Any]]
    evaluated: Pair[int] = NO_STEPS  # evaluation steps per seed during its training
    returns: Pair[np.ndarray] | None = None  # final returns [seeds, episodes] in both domains, once evaluated
    success: dict[str, list[float]] = field(default_factory=dict)  # what the target's task says then -> [seeds]
    in_source: dict[str, list[float]] = field(default_factory=dict)  # what the source's says
    told: Any = None  # the same `agents` in the columns of a family, before it was settled what these show
    returns_took: Pair[int] = NO_STEPS  # steps per seed that the evaluation of `returns` took

    def save(self, directory: Path) -> None:
        """Write the agent and its replay into `directory`, the source/ of a run directory."""
        directory.mkdir(parents=True, exist_ok=True)
        store.save_tree(
            directory / "agent.safetensors", {"agents": self.agents, "keys": jax.random.key_data(self.keys)}
        )
        if self.replay is not None:
            store.save_tree(directory / "replay.safetensors", {"data": rp.rows_to_save(self.replay)})
        learner = {"name": self.learner.name, **asdict(self.learner)}
        about = {"source": self.source, "learner": learner, "seeds": self.seeds, "steps": self.steps}
        about["evaluation_steps"] = self.evaluated
        store.write_json(directory / "agent.json", {"schema": store.SCHEMA, "versions": store.versions(), **about})

    def taken_up(self, source: Domain) -> SourceAgent:
        """The agent and its replay converted to the columns of `source`, another view of its robot."""
        return self._over(crossings(domain(self.source), source), source)

    def across(self, source: Domain) -> SourceAgent:
        """The agent and its replay in the columns of an unlike robot, over the bridge that `source` crosses; itself
        where it crosses none, or the agent is there already."""
        if not isinstance(source, Across) or self.source == source.name:
            return self
        replay = self.replay
        if replay is not None:  # rewards are of one robot's terms, and its terms cross to no other
            steps = rp.in_order(replay)
            replay = rp.of(steps._replace(terms=steps.terms[..., :0]), source.plain.spaces)
        return replace(self, replay=replay)._over([source.crossing], source)

    def given(self, spaces: Spaces, told: np.ndarray) -> SourceAgent:
        """The agent of a family, in the columns of one robot: what more it is shown is `told` [seeds, columns] from now
        on. Its replay stays behind, which is of many robots."""
        agents = given(self.learner, self.agents, spaces, told)
        return replace(self, agents=agents, replay=None, told=self.agents)

    def of_family(self, spaces: Spaces, told: np.ndarray) -> Any:
        """Its agents [seeds] as before `given`, in the columns of one robot with what more they are shown `told`."""
        return given(self.learner, self.told, spaces, told)

    def _over(self, crossings: list[Crossing], source: Domain) -> SourceAgent:
        agents, replay = self.agents, self.replay
        for crossing in crossings:
            agents = take_up(self.learner, agents, crossing)
            if replay is not None:
                replay = rp.of(crossing.there.steps(rp.in_order(replay)), crossing.shown.spaces)
        return replace(self, agents=agents, replay=replay, source=source.name)

    @staticmethod
    def about(run: Path) -> dict[str, Any]:
        """The content of agent.json of an earlier run. Raises RequestError if it left no source agent."""
        if not os.path.isdir(run):
            raise RequestError(f"{run} is not a run directory: there is no such directory (from {Path.cwd()})")
        if not os.path.exists(run / "source" / "agent.json"):
            raise RequestError(f"{run} is not a run directory with a source agent: it has no source/agent.json")
        return store.read_json(run / "source" / "agent.json")

    @staticmethod
    def require(run: Path, source: Domain, learner: Learner, seeds: list[int]) -> dict[str, Any]:
        """The content of agent.json of an earlier run whose agent can be taken up so, by all that it says.

        Raises RequestError if it was trained in another domain, with other seeds or other networks.
        """
        about = SourceAgent.about(run)
        shown = source.plain if isinstance(source, Across) and about["source"] != source.name else source
        if about["source"] != shown.name and plain_id(about["source"]) != plain_id(shown.name):
            raise RequestError(f"`source_run` {run} was trained in '{about['source']}', not in '{shown.name}'")
        if about["seeds"] != seeds:
            raise RequestError(f"`source_run` {run} has the seeds {about['seeds']}: ask for the same, not {seeds}")
        require_same_networks(run, restore_learner(about["learner"]), learner)
        return about

    @staticmethod
    def load(run: Path, source: Domain, learner: Learner, seeds: list[int]) -> SourceAgent:
        """The source agent of an earlier run, in the view of `source`.

        Raises RequestError as `require`, and where its files are damaged.
        """
        about = SourceAgent.require(run, source, learner, seeds)
        if isinstance(source, Across) and about["source"] != source.name:
            return SourceAgent.load(run, source.plain, learner, seeds).across(source)
        if about["source"] != source.name:
            return SourceAgent.load(run, domain(about["source"]), learner, seeds).taken_up(source)
        keys = jax.vmap(jax.random.key)(jnp.asarray(seeds))
        like = {"agents": store.shapes_of(learner, source.spaces, keys), "keys": jax.random.key_data(keys)}
        stored = store.load_tree(run / "source" / "agent.safetensors", like)
        replay_file, replay = run / "source" / "replay.safetensors", None
        if replay_file.exists():
            data = store.load_arrays(replay_file).get("['data']")
            if data is None or data.ndim != 4 or data.dtype != np.float32 or not data.size or len(data) != len(seeds):
                raise RequestError(f"{replay_file} is damaged: it holds no steps")
            replay = rp.saved_rows(data, source.spaces, len(stored_terms(source)))
        keys = jax.random.wrap_key_data(stored["keys"])
        evaluated = Pair(*about.get("evaluation_steps", NO_STEPS))  # earlier versions counted none
        return SourceAgent(source.name, learner, stored["agents"], replay, keys, about["steps"], seeds, [], evaluated)


def require_same_networks(run: Path, stored: Learner, learner: Learner) -> None:
    """Raise RequestError where a run's agent has other networks than the learner asked for: without layer norm, say,
    the same weights are another function."""
    for name in learner.networks:
        theirs, ours = getattr(stored, name), getattr(learner, name)
        if theirs != ours:
            raise RequestError(
                f"the source agent of {run} was trained with learner.{name}={theirs}, so it cannot be trained on with "
                f"{ours}: leave learner.{name} out, or `source_run`, to train one"
            )


def import_all(imports: Sequence[str] | str, source_run: str | Path | None) -> tuple[str, ...]:
    """Import the modules that the source run's config.json names, then those of the request. Returns all their names.

    Raises RequestError if one cannot be imported.
    """
    own = (imports,) if isinstance(imports, str) else tuple(imports)
    run = None if source_run is None else Path(source_run)
    if run is None or not all(os.path.exists(run / name) for name in ("config.json", "source/agent.json")):
        return import_modules(own)
    theirs = store.read_json(run / "config.json").get("imports", ())
    try:
        return import_modules(tuple(dict.fromkeys((*theirs, *own))))
    except RequestError as error:
        named = [name for name in theirs if name not in own]
        raise RequestError(
            f"{error} (the source run {source_run} needs {', '.join(named)})" if named else str(error)
        ) from None
