"""transreward completion, and what a shell is offered behind each option."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterable
from typing import Any

from transreward.types import DATA

HELP = "completion by the tab key, for your shell"
ABOUT = """\
Print what makes a shell complete commands, options, methods, robots, shifts, tasks and settings. The shell asks the
transreward that is installed, so it knows what that has.

  bash   echo 'eval "$(transreward completion bash)"' >> ~/.bashrc
  zsh    echo 'autoload -U compinit && compinit; eval "$(transreward completion zsh)"' >> ~/.zshrc
  fish   transreward completion fish > ~/.config/fish/completions/transreward.fish
"""
EPILOG = ""
ASKED = "_ARGCOMPLETE"  # in the environment where a shell asks


def arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("shell", choices=("bash", "zsh", "fish"))


def run(args: argparse.Namespace) -> None:
    import argcomplete

    print(argcomplete.shellcode(["transreward"], shell=args.shell))  # type: ignore[attr-defined]


def answer(top: argparse.ArgumentParser) -> None:
    """Tell the shell that asks what may stand next, and end the process."""
    import argcomplete

    commands = next(action.choices for action in top._actions if isinstance(action, argparse._SubParsersAction))
    for command in commands.values():
        for action in command._actions:
            if (offer := OFFERS.get(action.dest)) and action.choices is None:
                action.completer = offer  # type: ignore[attr-defined]
    argcomplete.autocomplete(top)  # type: ignore[attr-defined]


# -- what may stand behind an option; tables are read when asked for ---------------------------------------------------


def listed(names: Callable[[], Iterable[str]]) -> Callable[..., list[str]]:
    """Of M,M: those that go on from what follows the last comma, and are not there yet."""

    def offer(prefix: str, **_: Any) -> list[str]:
        before, comma, _last = prefix.rpartition(",")
        return [f"{before}{comma}{name}" for name in names() if name not in before.split(",")]

    return offer


def ids(prefix: str, **_: Any) -> list[str]:
    """Of a domain id: robots, behind + tasks, behind : and the commas after it shifts, behind @ views; behind a comma
    without a shift, robots again; behind mjcf: and the like files. What alone fits is offered with a colon, too: a
    shell puts a blank behind one offer, and an id may go on."""
    found = [one for one in _ids(prefix) if one.startswith(prefix)]
    if len(found) != 1 or found[0][-1] in "=/:" or prefix.startswith(DATA) or "/" in found[0].partition(":")[0]:
        return found  # several; one that gets no blank; a log, or a file of another kind, which has no shifts
    return [*found, f"{found[0]}:"]


def _ids(prefix: str) -> list[str]:
    from transreward.bridges import views
    from transreward.domains.files.place import SCHEMES
    from transreward.domains.robots import ROBOTS
    from transreward.domains.shifts import SHIFTS
    from transreward.domains.tasks import TASKS

    scheme, colon, rest = prefix.partition(":")
    on = scheme in SCHEMES and re.search(r"[:+@(]", rest)  # behind the robot's file as behind a robot
    if colon and not on and (offer := BEHIND.get(scheme + colon)):
        return [scheme + colon + one for one in offer(rest)]
    if "/" in prefix and not on:  # a file, or the directory of a session
        return _files(prefix)
    inside = re.search(r"\([^()]*$", prefix)
    cut = max(prefix.rfind(sign) for sign in ",:+@") + 1
    before, robot = prefix[:cut], re.match(r"\w+", prefix.rpartition(",")[2] or prefix)
    if inside:  # of a shift: a body or joint; of a task: a number
        return []
    if before.endswith("+"):
        return [before + name for name in TASKS]
    if before.endswith("@"):
        return [before + name for name in (views(robot[0]) if robot and robot[0] in ROBOTS else ())]
    if before.endswith(":") or (before.endswith(",") and ":" in before):
        return [f"{before}{name}=" for name in SHIFTS]
    return [before + name for name in (*ROBOTS, *([] if before else BEHIND))]


def settings(prefix: str, **_: Any) -> list[str]:
    """Paths of all settings, each with its =."""
    from transreward.gaps import GAPS
    from transreward.presets import LEARNERS
    from transreward.request.loop import Loop
    from transreward.request.settings import settable
    from transreward.uses import USES

    parts = {"loop": [Loop], "gap": GAPS.values(), "use": USES.values(), "learner": LEARNERS.values(), **_of_methods()}
    return sorted(
        {f"{section}.{name}=" for section, kinds in parts.items() for kind in kinds for name in settable(kind)}
    )


def _of_methods() -> dict[str, list[Any]]:
    from transreward.methods import METHODS
    from transreward.row import SECTIONS

    rest = [section for section in SECTIONS if section not in ("gap", "use")]
    return {s: [part for m in METHODS.values() if (part := getattr(m, s)) is not None] for s in rest}


def _files(prefix: str, *endings: str) -> list[str]:
    from argcomplete.completers import FilesCompleter

    return list(FilesCompleter(endings)(prefix))


def _menagerie(prefix: str) -> list[str]:
    try:
        from mujoco_menagerie import names
    except ImportError:
        return []
    return list(names())


BEHIND: dict[str, Callable[[str], list[str]]] = {  # what an id begins with -> what may follow
    "mjcf:": lambda prefix: _files(prefix, "xml", "mjcf"),
    "urdf:": lambda prefix: _files(prefix, "urdf", "xml"),
    "menagerie:": _menagerie,
    "gym:": lambda prefix: [],
    **dict.fromkeys(DATA, _files),
}


def _methods() -> Iterable[str]:
    from transreward.methods import METHODS

    return METHODS


def _learners() -> Iterable[str]:
    from transreward.presets import LEARNERS

    return [name for name, kind in LEARNERS.items() if not kind.offline]


def _bridges() -> Iterable[str]:
    from transreward.bridges import BRIDGES
    from transreward.bridges.match import Matched

    return ["none", *(name for name, bridge in BRIDGES.items() if isinstance(bridge, Matched))]


def _sinks() -> Iterable[str]:
    from transreward.runs.sinks import SINKS

    return SINKS


OFFERS: dict[str, Callable[..., list[str]]] = {
    "method": lambda prefix, **_: list(_methods()),
    "methods": listed(_methods),
    "controls": listed(_methods),
    "learner": lambda prefix, **_: list(_learners()),
    "bridge": lambda prefix, **_: list(_bridges()),
    "log": listed(_sinks),
    "set": settings,
    "source": ids,
    "target": ids,
    "evaluate": ids,
}
