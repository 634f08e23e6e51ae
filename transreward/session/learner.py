"""The learner's process: a transfer whose target steps come from the journal of a session.

It is started by the session, which writes a line of JSON to its standard input for whatever it asks, first the request,
and reads one for whatever happens. When the session is gone it writes a checkpoint and ends.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import Any

from transreward.domains.asked import Asked
from transreward.engine.state import Progress
from transreward.interruption import ends_at_once
from transreward.learners.learner import Learner
from transreward.runs.places import JOURNAL, SESSION, STATE, request_of
from transreward.session import published
from transreward.session.published import DELIVERED, UNIFORM, Acting
from transreward.streams.asked import LEARNER
from transreward.streams.choice import Choice
from transreward.streams.journal import Book, Journal
from transreward.streams.stream import Round, Stream
from transreward.types import BrokenRun, RequestError, Spaces

POLICIES, ABOUT = "policies", "session.json"  # in the session's folder
LOOK = 0.002  # seconds between two looks into the journal
KINDER = 10  # how much the robot's process goes before this one (nice)


class Desk:
    """What the stream of a robot that asks is given: see `streams.asked`."""

    def __init__(self, folder: Path, robots: int, spaces: Spaces, granted: int, learner: Learner) -> None:
        self.folder, self.learner, self.spaces = folder, learner, spaces
        (folder / JOURNAL).touch()
        self.journal = Journal(folder / JOURNAL, robots, spaces, granted, writes=False)
        self.allowed = threading.Event()
        self.version, self.waiting = 0, False

    def publish(self, round: Round, stream: Stream, choice: Choice | None) -> None:
        """See `streams.asked.Desk`."""
        names = list(stream.acting) or [LEARNER]
        agents = {name: round.candidates.get(name, round.agents) for name in names}
        if round.random:
            names, agents = [UNIFORM], {}
        self.version += 1
        files, policies = {}, {}
        for name, agent in agents.items():
            stays = name in round.candidates  # it was published when it became one
            word = name.replace("/", "-")
            files[name] = f"{word}.safetensors" if stays else f"{word}-{self.version}.safetensors"
            if not (stays and (self.folder / POLICIES / files[name]).exists()):
                policies[name] = published.arrays_of(self.learner, self.spaces, agent)
        noisy = [] if stream.deterministic else [name for name in agents if name not in round.candidates]
        acting = Acting(names, files, noisy, version=self.version)
        if choice is not None:
            acting.simulated, acting.explained = choice.simulated, choice.explained
            acting.learning, acting.reach = choice.learning, choice.reach
        published.write(self.folder / POLICIES, acting, policies)
        say("acting", version=self.version)

    def deliver(self, agents: Any) -> None:
        """The policies [1, ...] that are delivered act from here on."""
        self.version += 1
        acting = Acting([DELIVERED], {DELIVERED: f"{DELIVERED}.safetensors"}, over=True, version=self.version)
        arrays = published.arrays_of(self.learner, self.spaces, agents)
        published.write(self.folder / POLICIES, acting, {DELIVERED: arrays})

    def await_steps(self, settled: int) -> Book:
        """See `streams.asked.Desk`."""
        while True:
            self.journal.catch_up()
            if all(one.settled >= settled for one in self.journal.book.robots):
                break
            if not self.waiting:
                self.waiting = True
                say("waiting", settled=settled)
            time.sleep(LOOK)
        self.waiting = False
        self.journal.flush()
        self.allowed.wait()
        return self.journal.book

    def watch(self, progress: Progress) -> None:
        """After every round: tell, and learn on only while that is allowed."""
        told = {"phase": progress.phase, "method": progress.method, "done": progress.done, "said": list(progress.said)}
        say("progress", **told, steps=list(progress.steps), rows=progress.rows)
        self.allowed.wait()


_saying = threading.Lock()


def say(event: str, **about: Any) -> None:
    """Tell the session."""
    with _saying:
        try:
            print(json.dumps({"event": event, **about}, default=float), file=sys.__stdout__, flush=True)
        except (BrokenPipeError, ValueError):  # nobody listens
            os.kill(os.getpid(), signal.SIGTERM)


def listen(desk: Desk) -> None:
    """Do what the session asks, until it is gone."""
    for line in sys.stdin:
        asked = json.loads(line)["do"]
        if asked == "learn":
            desk.allowed.set()
        elif asked == "pause":
            desk.allowed.clear()
    os.kill(os.getpid(), signal.SIGTERM)  # which writes a checkpoint


def main() -> None:
    """Read the request, and carry it out."""
    from transreward.runs.process import prepare_process

    voice = os.dup(1)
    os.dup2(2, 1)  # whatever is printed goes to the log
    sys.__stdout__ = os.fdopen(voice, "w")  # type: ignore[misc]
    os.nice(KINDER)
    about = json.loads(sys.stdin.readline())
    warnings.showwarning = lambda message, *_, **__: say("warning", text=" ".join(str(message).split()))
    with ends_at_once():
        prepare_process()
        try:
            learn(Path(about["out"]))
        except (RequestError, BrokenRun) as error:
            notes = vars(error).get("__notes__", ())
            say("failed", text="; ".join([str(error), *notes]))
            sys.exit(2 if isinstance(error, RequestError) else 1)
    say("over")


def learn(out: Path) -> None:
    """The transfer of the session in this directory, from its last checkpoint if it has one."""
    from transreward.domains.users import import_modules
    from transreward.request.learner import for_method
    from transreward.runs import store
    from transreward.runs.result import load
    from transreward.transfer import asked_in, carry_out

    folder = out / SESSION
    file = next(path for path in (request_of(out, STATE), request_of(out, SESSION)) if path.exists())
    request = store.read_json(file)
    import_modules(request["imports"])
    config, request = asked_in(file, request)
    target = config.domains.target
    assert isinstance(target, Asked)
    robots = config.loop.target_robots
    learner = for_method(config, config.method).learner
    desk = Desk(folder, robots, target.spaces, config.target_steps // robots, learner)
    target.desk = desk
    (out / STATE).mkdir(exist_ok=True)
    threading.Thread(target=listen, args=(desk,), daemon=True).start()
    if (out / "result.json").exists():  # it was over before
        result = load(out)
    else:
        result = carry_out(config, request, out, request["log"], desk.watch, again=True)
    desk.deliver(result.agents)


if __name__ == "__main__":
    main()
