"""transreward serve"""

from __future__ import annotations

import argparse
import shlex
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transreward.cli.options import IDS, SETTINGS, as_options, given, options, whole
from transreward.runs.places import SESSION
from transreward.runs.process import prepare_process
from transreward.types import RequestError

if TYPE_CHECKING:
    from transreward.session.session import Session

HELP = "a session for a robot in another process or language"
ABOUT = """\
Answer a robot that asks for its actions, and learn from what it tells, over a local socket. The source agent is trained
first, or taken up with --source-run; no step of the target is simulated, and none is taken but those that the robot
asks for. Every step is in DIR before it is learned from: the same command with DIR alone goes on tomorrow.

  transreward serve halfcheetah --target-steps 5000 --out runs/robot
  transreward serve mjcf:arm.xml robot.yaml --bridge map.yaml --out runs/robot   a robot with columns of its own
  transreward serve runs/robot                                                   tomorrow
  transreward serve --header > transreward.hpp                                   the client for C++

In Python the robot's side is transreward.Client; the protocol is on the page 'Beside a real robot'.
"""
EPILOG = IDS + SETTINGS
OF_SERVER = ("port", "host", "unix", "token_file", "header")  # options that are none of the session's
HEADER = Path(__file__).parents[1] / "session" / "transreward.hpp"


def arguments(command: argparse.ArgumentParser) -> None:
    option = command.add_argument
    option("source", nargs="?", help="domain where steps are cheap, or the directory of a session to go on with")
    option("target", nargs="?", help="whose columns the robot has: a domain, or robot.yaml (default: the source)")
    option("--method", help="a row of 'transreward list methods' (default: auto)")
    option("--learner", help="sac or ppo (default: the robot's preset)")
    option("--source-steps", type=whole, metavar="N", help="budget (default: the robot's preset)")
    option("--target-steps", type=whole, metavar="N", help="that the robots may take together (default: 10000)")
    option("--seed", type=whole, metavar="S", help="(default: 0)")
    option("--source-run", metavar="DIR", help="take up an earlier run's source agent")
    option("--bridge", metavar="B", help="joins the source's columns with the robot's: FILE.yaml, named, ...")
    option("--robots", type=whole, metavar="K", help="that ask side by side (default: 1)")
    option("--change", type=float, metavar="X", help="most that an action may change in a control step")
    option("--on-request", action="store_true", help="learn only while a client calls improve")
    option("--unpaid", action="store_true", help="the robot tells no rewards: refuse a task that cannot compute them")
    option("--out", metavar="DIR", help="run directory, for a new session")
    option("--port", type=whole, metavar="P", help="(default: 5555; 0: a free one)")
    option("--host", metavar="H", help="(default: 127.0.0.1, so that only this machine can connect)")
    option("--unix", metavar="PATH", help="a Unix socket in place of a port")
    option(
        "--token-file", type=Path, metavar="FILE", help="holds the secret (default: DIR/session/token, which is made)"
    )
    option("--header", action="store_true", help="print the header for C++, and do nothing else")
    option("--set", nargs="+", action="extend", metavar="PATH=VALUE", help="any setting, see below")


def run(args: argparse.Namespace) -> None:
    if args.header:
        sys.stdout.write(HEADER.read_text())
        return
    known = goes_on(args.source, args.out)
    if known:
        require_no_more(args)
    where = args.unix or f"{args.host or '127.0.0.1'}:{5555 if args.port is None else args.port}"
    from transreward.session.server import Server, listening, require_token, token_in

    if args.token_file is not None:
        require_token(args.token_file)
    listener = listening(where)  # before anything is trained
    prepare_process()
    from transreward.interruption import undone

    try:
        session = opened(args, known, lambda: hushed(listener, args.unix))
    except BaseException:
        hushed(listener, args.unix)
        raise

    def leave() -> str:
        session.close()
        hushed(listener, args.unix)
        named = shlex.quote(str(session.out))
        if session.over and not session.left:
            return f"the session has all its steps and has finished: 'transreward report {named}' shows it"
        return f"the session has {session.status['steps']:,} steps; 'transreward serve {named}' goes on with it"

    with undone(leave):
        token, file = token_in(session.out / SESSION, args.token_file)
        at = args.unix or "{}:{}".format(*listener.getsockname()[:2])
        tell_line(session.payment.said)
        tell_line(f"listening at {at}; the token is in {file}; {session.left:,} target steps are left")
        Server(listener, session, token, tell_line).serve()


def opened(args: argparse.Namespace, known: bool, hush: Callable[[], None]) -> Session:
    """The session, begun or gone on with. Where that is interrupted, `hush` is called."""
    from transreward.interruption import undone
    from transreward.session.session import Session

    place = Path(args.source if known else args.out)
    if known:
        tell_line(f"going on with {place}: its learner takes up what was told, then robots are answered")

    def leave() -> str | None:  # its learner finds this process gone, and writes a checkpoint
        hush()
        named = shlex.quote(str(place))
        return f"'transreward serve {named}' goes on with the session" if (place / SESSION).is_dir() else None

    with undone(leave):
        return Session.resume(place, watch=told(place)) if known else Session(**asked(args), watch=told(place))


def asked(args: argparse.Namespace) -> dict[str, Any]:
    """Keyword arguments of `Session`."""
    args.config = None
    request = options(args)
    for name in OF_SERVER:
        request.pop(name, None)
    request["background"] = not request.pop("on_request")
    return request


def hushed(listener: socket.socket, path: str | None) -> None:
    """Nothing listens any more, and no Unix socket is left at `path`."""
    listener.close()
    if path:
        Path(path).unlink(missing_ok=True)


def require_no_more(args: argparse.Namespace) -> None:
    """Raise RequestError for what only a new session can be told, where one goes on."""
    known = (*OF_SERVER, "source", "target", "imports", "run")
    named = given(args, (name for name in vars(args) if name not in known))
    if args.target is not None:
        named.insert(0, args.target)
    if named:
        raise RequestError(
            f"the session in {args.source} goes on as it was opened: leave {', '.join(named)} out, or open a new one"
        )


def goes_on(source: str | None, out: str | None) -> bool:
    """Whether `source` is the directory of a session to go on with. Raises RequestError where neither that nor a new
    session is named, and where `out` holds one: before the libraries are loaded that take their time."""
    if source is not None and (Path(source) / SESSION).is_dir():
        return True
    if source is not None and out is None and ":" not in source and ("/" in source or Path(source).exists()):
        what = "holds no session" if Path(source).is_dir() else "is no folder"
        raise RequestError(f"{source} {what}: name the directory of a session, or a source and --out DIR for a new one")
    if source is None or out is None:
        raise RequestError("name a source and --out DIR for a new session, or the directory of one to go on with")
    from transreward.session.told import require_no_session

    require_no_session(Path(out))
    return False


def told(out: Path) -> Callable[[dict[str, Any]], None]:
    """Prints what the learner reports; at its end what the session in `out` came to, and what to do with that."""
    from transreward.session.reported import Reported

    reported = Reported(lambda line: tell_line(as_options(line)))

    def tell(said: dict[str, Any]) -> None:
        reported(said)
        if said["event"] == "over":
            from transreward.runs.result import load

            tell_line(f"finished: {load(out)}")
            named = shlex.quote(str(out))
            tell_line(f"next: transreward report {named}   (what happened, as a page)")
            tell_line(f"      transreward export {named}   (the policy as a file for the robot)")

    return tell


def tell_line(line: str) -> None:
    """At once, also in a pipe, and as a whole, since several threads have something to say. Robots are answered also
    where nobody reads it any more, or the disk that it goes to is full."""
    with suppress(OSError, ValueError):
        print(f"{line}\n", end="", flush=True)
