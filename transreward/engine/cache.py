"""The cache of source agents trained on this machine, for later transfers that ask for the same one.

Each is the checkpoint at the end of its training, in `$TRANSREWARD_AGENTS` (empty: no cache; default: `agents/` in the
cache of compiled programs), under the hash of everything that its training depends on: training it again would give the
same bits. The least recently used are removed first.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import time
import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import jax

import transreward
from transreward.domains import across, robots, tasks
from transreward.domains.asked import Asked
from transreward.domains.bridged import plain
from transreward.domains.domain import Domain, table_robot
from transreward.domains.informed import Informed
from transreward.domains.robots import ROBOTS
from transreward.domains.shifts import SHIFTS, table
from transreward.domains.tasks import TASKS
from transreward.domains.varied import Varied
from transreward.engine.checkpoint import Checkpoints
from transreward.engine.state import Run
from transreward.plan.plan import Stage
from transreward.request.config import Config
from transreward.request.settings import plain_settings
from transreward.runs import store
from transreward.types import BrokenRun, RequestError

WORTH = 10.0  # seconds: agents that trained faster are not kept
ROOM = 10 * 2**30  # bytes, of all agents together
# Settings of the loop that a source agent's training does not depend on.
APART = (
    "pretrain", "target_robots", "updates", "gap_updates", "gap_every", "evaluations", "final_episodes", "aligned",
    "source_returns", "target_returns", "converged", "threads", "horizon", "keep_state", "symmetry", "patience",
    "fallback", "history", "sources",
)  # fmt: skip


def root() -> Path | None:
    """The directory of the cache, or None if nothing is kept."""
    compiled = store.cache()
    usual = "" if compiled is None else str(compiled / "agents")
    place = os.environ.get("TRANSREWARD_AGENTS", usual)
    return Path(place) if place else None


def entry(config: Config, stages: Sequence[Stage]) -> Path | None:
    """The place of the agent that these stages train, in order; None if it is not kept.

    A simulated target is part of the hash, since the agent is evaluated there. Nothing is kept where a domain, reward,
    learner or import is a user's own, or a domain is of a file, since a name does not say what that code does or what
    the file holds; and where the training goes on with the agent of an earlier run.
    """
    place, pair = root(), config.domains
    named = [pair.source, pair.target] if config.simulates_target else [pair.source]
    own = type(config.learner).__module__.startswith("transreward.") and not config.imports
    own = own and (ROBOTS, TASKS, SHIFTS) == (robots.OWN, tasks.OWN, table.OWN) and all(map(said_by_name, named))
    begun = stages[0].after is not None  # in an earlier run, of which the hash would know nothing
    if config.fresh or place is None or begun or not own:
        return None
    loop = {name: value for name, value in plain_settings(config.loop).items() if name not in APART}
    machine = {name: x for name, x in store.provenance()["machine"].items() if name != "cores"}
    names = ("jax_enable_x64", "jax_platforms", "jax_disable_most_optimizations", "jax_default_matmul_precision")
    compiler = [os.environ.get("XLA_FLAGS"), *(str(jax.config.values.get(name)) for name in names)]
    asked = [
        *(domain.name for domain in named), repr(config.learner), config.seed_list, loop, repr(stages), machine,
        compiler, store.versions(), code(),
    ]  # fmt: skip
    return place / hashlib.sha256(json.dumps(asked, sort_keys=True, default=list).encode()).hexdigest()[:32]


def said_by_name(named: Domain) -> bool:
    """Whether a domain's name says all of it: a robot of the table, without a reward function of the user's and without
    a shift that a file holds."""
    found = plain(across.own(named.plain if isinstance(named, Informed) else named))
    robot = table_robot(found)
    if robot is None or robot.robot.name not in robots.OWN or re.split("[@+:]", named.name)[0] != robot.robot.name:
        return False
    wanted = [*robot.tasks, *(task for some in (found.listed if isinstance(found, Varied) else ()) for task in some)]
    return all(map(tasks.is_own, wanted)) and all(SHIFTS[shift.name].read is None for shift in robot.shifts)


def code() -> str:
    """Hash of the package's source: its version does not change while it is developed."""
    files, found = sorted(Path(transreward.__file__).parent.rglob("*.py")), hashlib.sha256()
    for file in files:
        found.update(file.read_bytes())
    return found.hexdigest()


def take_up(place: Path, run: Run) -> bool:
    """Restore a run that is about to begin to the end of the training kept at `place`. False if there is none, or it is
    damaged."""
    if not os.path.isdir(place) or not Checkpoints(place).restore(run):
        return False
    os.utime(place)
    source = run.config.domains.source.name
    session = isinstance(run.config.domains.target, Asked)  # which cannot be asked for a fresh one
    anew = "TRANSREWARD_AGENTS= in the environment" if session else "`fresh=True`"
    warnings.warn(
        f"the source agent of '{source}' was trained before, with the same settings, and is taken up "
        f"({anew} trains it anew)",
        stacklevel=2,
    )
    return True


def keep(place: Path, run: Run) -> None:
    """Keep the agent of a finished run if its training took at least `WORTH`. Warns if it cannot be written."""
    if time.perf_counter() - run.began < WORTH or place.exists():
        return
    partial = place.with_name(f"{place.name}.{os.getpid()}.part")
    try:
        partial.mkdir(parents=True)
        checkpoints = Checkpoints(partial)
        checkpoints.hold(run)
        checkpoints.write()
        make_room(place.parent)
        partial.rename(place)
    except (OSError, BrokenRun, RequestError) as error:
        shutil.rmtree(partial, ignore_errors=True)
        if not place.exists():  # another process may have been first
            warnings.warn(f"the source agent is not kept for later transfers: {error}", stacklevel=2)


def make_room(place: Path) -> None:
    """Remove the least recently used agents until all fit into `ROOM`, and what killed processes left behind."""
    found = sorted((p for p in entries(place) if p.suffix != ".part"), key=lambda p: p.stat().st_mtime)
    left = [p for p in entries(place) if p.suffix == ".part" and time.time() - p.stat().st_mtime > 3600]
    while found and sum(map(size, found)) > ROOM:
        left.append(found.pop(0))
    for p in left:
        shutil.rmtree(p, ignore_errors=True)


def entries(place: Path) -> list[Path]:
    """The agents kept in a directory, and what killed processes left behind: the folders named by a hash. Anything else
    there belongs to the user, who chooses the directory."""
    try:
        found = [p for p in place.iterdir() if re.fullmatch(r"[0-9a-f]{32}(\.\d+\.part)?", p.name)]
        return [p for p in found if p.is_dir() and not p.is_symlink()]
    except OSError:  # there is no such place
        return []


def size(place: Path) -> int:
    """Bytes of all files below a directory."""
    return sum(file.stat().st_size for file in place.rglob("*") if file.is_file())


def told() -> str:
    """One line: how many agents are kept, how large they are and where."""
    place = root()
    if place is None:
        return "source agents are not kept"
    found = entries(place)
    return f"{len(found)} source agents kept, {sum(map(size, found)) / 2**20:,.0f} MB in {place}"


def empty() -> None:
    """Remove all kept agents, and nothing else in their directory."""
    place = root()
    for p in entries(place) if place is not None else ():
        shutil.rmtree(p, ignore_errors=True)
    if place is not None:
        with suppress(OSError):  # it holds something else
            place.rmdir()
