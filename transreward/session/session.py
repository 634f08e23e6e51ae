"""`tr.Session`: a target that is not simulated, and asks."""

from __future__ import annotations

import shlex
import shutil
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Self

import numpy as np

from transreward.domains.domain import beyond, control_rate, rounding
from transreward.domains.users import numbers, truths
from transreward.draws import word
from transreward.fallback import drawn
from transreward.request.config import Config
from transreward.request.learner import for_method
from transreward.runs import store
from transreward.runs.places import JOURNAL, SESSION, goes_on
from transreward.runs.result import Result, load
from transreward.session import published
from transreward.session.asked import listed, opens, require_asked
from transreward.session.folder import begun, found, kept
from transreward.session.learner import ABOUT, POLICIES
from transreward.session.payment import Payment, in_single
from transreward.session.process import LearnerProcess
from transreward.session.protocol import REASON
from transreward.session.published import UNIFORM, Acting, Policy
from transreward.session.reported import Heard, Reported, only_found, to_standard_error
from transreward.session.safety import Safe, Safety
from transreward.session.told import require_no_session
from transreward.streams.choice import Choice
from transreward.streams.journal import ABORT, ACT, RESET, STEP, Event, Journal
from transreward.transfer import planned, requested
from transreward.types import ASKED, AUTO, DEFAULT_METHOD, RequestError

LATE = 2.0  # control periods after which what came of an action is late


class Session:
    """A robot that asks for its actions and tells what came of them, and a learner in another process.

    Nothing of the target is simulated, and it takes no step but those that it asks for: an action that was handed out
    counts as one, told or not. Each step is on the disk before it is learned from. What acts is always the last
    complete policy; with a fallback, as `auto` has one, whole episodes go to the source policy and to what is learned,
    and `result` is the one that the robot's own returns favour.

    Opening one trains the source agent, or takes it up, before it returns.
    """

    def __init__(
        self,
        source: str,
        target: str | None = None,
        *,
        method: str = DEFAULT_METHOD,
        learner: Any = None,
        source_steps: int | None = None,
        target_steps: int = 10_000,
        seed: int = 0,
        settings: dict[str, Any] | None = None,
        source_run: str | Path | None = None,
        bridge: str = AUTO,
        imports: Sequence[str] = (),
        out: str | Path,
        robots: int = 1,
        low: Any = None,
        high: Any = None,
        change: Any = None,
        safe: Safe | None = None,
        background: bool = True,
        unpaid: bool = False,
        watch: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        """`target` says the robot's columns: the id of a domain with the same ones (None: the source's), or a file that
        lists its own, robot.yaml, which a `bridge` joins with the source's. `target_steps` are those of all `robots`
        together. The others up to `imports` are those of `transfer`; `out` is the run directory. `low`, `high` and
        `change` (the most in one control step) limit actions, in the robot's units, [action] or one number;
        `safe(obs, action)` returns the action to take instead, or None. With `background` the learner learns all the
        time, otherwise within `improve` alone. `unpaid`: refuse a task that cannot compute rewards. `watch` is called
        with what the learner reports, in another thread; without it, training the source agent and what is identified
        are told on standard error. Raises RequestError before anything is written. What ends the training, such as
        Ctrl-C, leaves what was learned, and `resume` goes on with it."""
        require_no_session(out := Path(out))
        asked = {"loop.eval_target": "training", **(settings or {}), "loop.target_robots": robots}
        columns = f"{ASKED}{source if target is None else target.removeprefix(ASKED)}"
        config = planned(
            source, columns, method, learner=learner, source_steps=source_steps, target_steps=target_steps, seeds=1,
            seed=seed, settings=asked, source_run=source_run, bridge=bridge, imports=imports,
        )  # fmt: skip
        require_asked(config)
        self.payment = Payment(config, required=unpaid)
        safety = Safety(config.domains.target.spaces, low, high, change, safe)
        begun(out, requested(config, learner, asked, ()), kept(safety, robots, background, {}))
        try:
            self._open(out, config, safety, robots, background, watch, Counter())
        except BaseException as error:
            self._broke_off(out, error)
            raise

    @classmethod
    def resume(
        cls,
        out: str | Path,
        *,
        safe: Safe | None = None,
        watch: Callable[[dict[str, Any]], None] | None = None,
    ) -> Self:
        """The session in this directory, tomorrow, also where its process was killed. An action of which nothing was
        told then stays counted; where the robot asks next, an episode begins.

        Raises RequestError for a directory that holds no session.
        """
        self = cls.__new__(cls)
        config, about = found(out := Path(out))
        safety = Safety(config.domains.target.spaces, about["low"], about["high"], about["change"], safe)
        safety.counts.update(about["safety"])
        self.payment = Payment(config)
        try:
            self._open(out, config, safety, about["robots"], about["background"], watch, Counter(about["counts"]))
        except BaseException:
            self.close()
            raise
        return self

    def _open(
        self,
        out: Path,
        config: Config,
        safety: Safety,
        robots: int,
        background: bool,
        watch: Callable[[dict[str, Any]], None] | None,
        counts: Counter[str],
    ) -> None:
        self.out = out
        self.config, self.safety, self.background, self.counts = config, safety, background, counts
        self.spaces, self.learner = config.domains.target.spaces, for_method(config, config.method).learner
        self._folder, self._heard = self.out / SESSION, Heard(watch or Reported(to_standard_error))
        self._rate = control_rate(config.domains.target)
        self._granted = config.target_steps // robots
        self._lock = threading.RLock()
        self.acting, self._policies = Acting([], {}), {}
        self._asked_at = [0.0] * robots
        self._journal = Journal(self._folder / JOURNAL, robots, self.spaces, self._granted, writes=True)
        self._keep()
        if not self._journal.book.acts and (line := opens(config)):
            self._heard({"event": "opening", "said": [line]})
        self._learner = LearnerProcess(self.out, self._folder, self._heard)
        self._learner.allow(True)
        self._learner.wait(lambda: self._learner.version > 0 or self._learner.over, None)
        self._learner.require()
        if not background:
            self._learner.allow(False)
        if watch is None:
            self._heard.watch = only_found(to_standard_error)  # from here on the caller's own lines count
        self._take_over()
        zeros = np.zeros(self.spaces.obs, np.float32), np.zeros(self.spaces.action, np.float32)
        for policy in self._policies.values():  # compiled before the robot waits
            policy(zeros[0], None)
            policy(*zeros)

    def _broke_off(self, out: Path, error: BaseException) -> None:
        """Its opening did: what the learner has learned is kept, and said; where that is nothing, no folder is left."""
        self.close()
        if self._learner is None or not self._learner.reported or isinstance(error, RequestError):
            shutil.rmtree(out, ignore_errors=True)
        else:
            error.add_note(f"what was learned is in {out}: {goes_on(out)}")

    # -- what the robot calls --------------------------------------------------------------------------------------

    def act(self, obs: Any, robot: int = 0) -> np.ndarray:
        """The action to take at `obs` [obs], float32 [action], within the limits. It counts as a step.

        Asked again at the same observation before anything was told, it is the same action, and no further step.
        Raises RequestError for an observation that is none, and once all granted steps are taken.
        """
        seen = self._numbers("an observation", obs, self.spaces.obs)
        with self._lock:
            one, book = self._robot(robot), self._journal.book
            if one.asked is not None and np.array_equal(one.asked[0], seen):
                self.counts["asked twice"] += 1
                return one.asked[1].copy()
            if one.acts >= self._granted:
                if one.asked is not None:  # elsewhere: of the last one nothing will be told
                    self._journal.write(Event(RESET, robot, time.time(), "", seen))
                share = f", robot {robot}'s share of {self.config.target_steps:,}," if self.robots > 1 else ""
                raise RequestError(
                    f"all {self._granted:,} target steps{share} are taken: `improve` waits until they are learned "
                    f"from, and 'transreward report {shlex.quote(str(self.out))}' shows what they came to"
                )
            goes_on = one.asked is None and book.follows(robot, seen)
            if one.asked is not None:
                self._warn("untold", f"of step {book.acts:,} nothing was told before the next was asked for")
            elif one.last is not None and not goes_on and self._asked_at[robot]:  # the first step after `resume` may
                self._warn("jumped", f"step {book.acts + 1:,} is asked for elsewhere than where the one before led")
            who = one.actor if goes_on and one.actor in self.acting.names else self._next()
            action = self.safety(seen, self._action(who, seen), self._before(robot, goes_on))
            self._journal.write(Event(ACT, robot, time.time(), who, seen, action))
            self._asked_at[robot] = time.monotonic()
            return action.copy()

    def tell(
        self,
        obs: Any,
        action: Any,
        reward: float | None,
        next_obs: Any,
        terminated: bool = False,
        truncated: bool = False,
        robot: int = 0,
    ) -> None:
        """What came of the action that was asked for at `obs`: the action that the robot took (None: that one), its
        reward (None: as its task computes it from the observations; see `payment.said`), where it led, and whether its
        episode is over, in Gymnasium's words.

        Raises RequestError, and keeps nothing, for numbers that are none and for a step that was not asked for, such as
        one told twice or out of order.
        """
        seen, led = (self._numbers(what, x, self.spaces.obs) for what, x in (("obs", obs), ("next_obs", next_obs)))
        paid = 0.0 if reward is None else in_single("`reward`", float(numbers("`reward`", reward, ())))
        over = [bool(truths(f"`{what}`", x, ())) for what, x in (("terminated", terminated), ("truncated", truncated))]
        with self._lock:
            one = self._robot(robot)
            if one.asked is None:
                raise RequestError("this step was not asked for: it was told before, or out of order")
            if not np.array_equal(one.asked[0], seen):
                raise RequestError("this step begins elsewhere than where its action was asked for: out of order")
            taken = one.asked[1] if action is None else self._taken(action)
            paid = self.payment(seen, taken, led) if reward is None else paid
            self.counts["taken otherwise"] += int((np.abs(taken - one.asked[1]) > rounding(self.spaces)).any())
            waited = time.monotonic() - self._asked_at[robot]
            if self._rate and waited > LATE / self._rate:
                self._warn(
                    "late", f"what came of a step was told {waited:.2g} s later, and it lasts {1 / self._rate:.2g}"
                )
            self._journal.write(Event(STEP, robot, time.time(), "", led, taken, paid, *over))
            self._take_over()
        self._heard.pass_on()

    def reset(self, obs: Any, robot: int = 0, *, steps: int = 0) -> None:
        """The robot was put back, and an episode begins at `obs`. `steps` that this took are counted apart."""
        seen = self._numbers("an observation", obs, self.spaces.obs)
        if isinstance(steps, bool) or not isinstance(steps, (int, np.integer)) or not 0 <= steps < 2**31:
            raise RequestError(f"`steps` of a reset must be a whole number from 0, not {steps!r}")
        with self._lock:
            self._robot(robot)
            self._journal.write(Event(RESET, robot, time.time(), "", seen, steps=int(steps)))

    def abort(self, why: str = "", robot: int = 0) -> None:
        """An operator ended the episode: its latest step counts as the end of the task, behind which there is no value.
        The episode's return is kept."""
        with self._lock:
            self._robot(robot)
            self._journal.write(Event(ABORT, robot, time.time(), str(why)[:REASON]))
        self._heard.pass_on()

    # -- what the caller does between ------------------------------------------------------------------------------

    def improve(self, seconds: float | None = None) -> bool:
        """Let the learner learn from what was told, for at most so many seconds. Returns True once there is nothing
        left to learn from. Raises BrokenRun if the learner has failed; the robot may go on all the same."""
        self._require_open(learns=True)
        with self._learner.learning(self.background):
            done = self._learner.wait(self._caught_up, seconds)
        self._require_open(learns=True)
        with self._lock:
            self._take_over()
        self._heard.pass_on()
        self._learner.require()
        return done

    def save(self) -> None:
        """Have all steps on the disk (fsync), with which `resume` goes on from wherever the learner was."""
        with self._lock:
            self._require_open()
            self._journal.flush()
            self._keep()

    def close(self) -> None:
        """Let the learner write a checkpoint, end it, and save. Until then the robot is answered."""
        if self._learner is not None and not self._closed:
            self._learner.close()
        if self._journal is None:
            return
        with self._lock:
            if not self._closed:
                with closing(self._journal):  # also where the disk is full: its lock would stay
                    try:
                        self.save()
                    finally:
                        self._closed = True

    _closed = False
    _journal: Any = None  # Journal, once it is open
    _learner: Any = None  # LearnerProcess

    def __repr__(self) -> str:
        taken = self._granted * self.robots - self.left
        state = self._learner.failed or ("has finished" if self.over else "is closed" if self._closed else "learns")
        who = " or ".join(self.acting.names)
        return f"Session in {self.out}: {taken:,} steps taken, {self.left:,} left; {who} acts; the learner {state}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def robots(self) -> int:
        """How many there are."""
        return len(self._journal.book.robots)

    @property
    def left(self) -> int:
        """Target steps that may still be taken, by all robots."""
        return self._granted * self.robots - self._journal.book.acts

    @property
    def said(self) -> tuple[str, ...]:
        """How it begins, and what was identified since it was opened or resumed, line by line."""
        return self._heard.said

    @property
    def result(self) -> Result:
        """What the run came to so far; once all steps are taken and learned from, what is delivered."""
        return load(self.out)

    @property
    def over(self) -> bool:
        """Whether the learner has ended, and what acts is what is delivered."""
        return self.acting.over

    @property
    def status(self) -> dict[str, Any]:
        """What can be counted: steps taken, left, lost, episodes and their returns by who acted, and how often limits
        changed an action."""
        with self._lock:
            book = self._journal.book
            return {
                "steps": book.acts,
                "left": self.left,
                "lost": sum(one.lost for one in book.robots),
                "reset_steps": sum(one.resets for one in book.robots),
                "aborted": sum(one.aborted for one in book.robots),
                "episodes": [{"who": who, "return": total, "target_steps": at} for who, total, at in book.episodes],
                "acting": list(self.acting.names),
                "learner": self._learner.failed or ("over" if self.over else "closed" if self._closed else "learns"),
                "over": self.over,
                "rewards": self.payment.said,
                "said": list(self.said),
                **self.counts,
                **self.safety.counts,
            }

    # -- inside ----------------------------------------------------------------------------------------------------

    def _require_open(self, learns: bool = False) -> None:
        """Raise RequestError once it is closed; `learns`: or is being closed, so that nobody learns any more."""
        if self._closed or (learns and self._learner.closing):
            raise RequestError(f"this session is closed: go on with tr.Session.resume('{self.out}')")

    def _robot(self, i: int) -> Any:
        self._require_open()
        robots = self._journal.book.robots
        if isinstance(i, bool) or not isinstance(i, (int, np.integer)) or not 0 <= i < len(robots):
            raise RequestError(f"`robot` {i!r} is not there: this session has {listed(len(robots))}")
        return robots[i]

    def _numbers(self, what: str, value: Any, size: int) -> np.ndarray:
        with np.errstate(over="ignore"):  # what leaves float32 is told below
            found = numbers(what, value, (size,)).astype(np.float32)
        if not np.isfinite(found).all():
            raise RequestError(f"{what} must be finite, and entry {np.flatnonzero(~np.isfinite(found))[0]} is not")
        return found

    def _taken(self, action: Any) -> np.ndarray:
        found, low, high = self._numbers("action", action, self.spaces.action), self.spaces.low, self.spaces.high
        if beyond(found, self.spaces).any():
            raise RequestError(
                f"the action {found.tolist()} is beyond the robot's limits, {low.tolist()} to {high.tolist()}"
            )
        return np.clip(found, low, high).astype(np.float32)

    def _before(self, robot: int, goes_on: bool) -> np.ndarray | None:
        """What a robot did last, also in the episode before, from which `change` counts; None where nobody has, or it
        was put back meanwhile."""
        return self._journal.book.robots[robot].did if goes_on or self._asked_at[robot] else None

    def _next(self) -> str:
        """Who acts in a new episode."""
        names, book = self.acting.names, self._journal.book
        if len(names) == 1:
            return names[0]
        choice = Choice(names, [self.config.seed], len(book.robots))
        choice.simulated, choice.explained = self.acting.simulated, self.acting.explained
        choice.learning, choice.reach, choice.now = self.acting.learning, self.acting.reach, book.acts
        choice.episodes[0] = book.episodes
        random = np.random.default_rng([self.config.seed, word("who acts"), book.acts])
        return names[drawn(choice.belief(0, names), random)]

    def _action(self, who: str, obs: np.ndarray) -> np.ndarray:
        if who != UNIFORM and who not in self.acting.noisy:
            return self._policies[who](obs, None)
        random = np.random.default_rng([self.config.seed, word("noise target"), self._journal.book.acts])
        if who == UNIFORM:
            return random.uniform(self.spaces.low, self.spaces.high)
        return self._policies[who](obs, random.standard_normal(self.spaces.action).astype(np.float32))

    def _take_over(self) -> None:
        """The latest published policies act from here on."""
        if self._learner.version <= self.acting.version and not (self._learner.over and not self.over):
            return
        found = published.read(self._folder / POLICIES)
        if found is None or found.version <= self.acting.version:
            return
        known = {file: self._policies[name] for name, file in self.acting.files.items()}
        place = self._folder / POLICIES
        with suppress(RequestError):  # newer ones have taken its place, or it is not finite: the others act on
            self._policies = {
                name: known.get(file) or Policy(self.learner, self.spaces, place / file)
                for name, file in found.files.items()
            }
            self.acting = found

    def _caught_up(self) -> bool:
        if not self._learner.alive:
            return True
        settled = min(one.settled for one in self._journal.book.robots)
        return self._learner.waiting is not None and settled < self._learner.waiting

    def _keep(self) -> None:
        store.write_json(self._folder / ABOUT, kept(self.safety, self.robots, self.background, self.counts))

    def _warn(self, what: str, text: str) -> None:
        self.counts[what] += 1
        if self.counts[what] == 1:
            warnings.warn(f"{text}; `status` counts how often", stacklevel=4)
