"""Where the file of a robot lies."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from transreward.domains.users import in_one_line, located
from transreward.types import RequestError, nearest


def _file(suffix: str) -> Callable[[str], Path]:
    def found(text: str) -> Path:
        path = located(text)
        if not path.is_file():
            near = sorted(x.name for x in path.parent.glob(f"*{suffix}"))[:4] if path.parent.is_dir() else []
            said = f"; in its folder there are {', '.join(near)}" if near else ""
            raise RequestError(f"there is no file {text} (from {Path.cwd()}){said}")
        return path

    return found


def _menagerie(text: str) -> Path:
    """The file of a robot of MuJoCo Menagerie, `name` or `name/scene`; downloaded once unless MENAGERIE_ROOT names a
    folder that has it."""
    try:
        import mujoco_menagerie as menagerie
    except ImportError:
        raise RequestError("robots of MuJoCo Menagerie need its package: pip install 'transreward[robots]'") from None
    name, _, scene = text.partition("/")
    if name not in menagerie.names():
        raise nearest(name, menagerie.names(), "robot of MuJoCo Menagerie")
    robot = menagerie.get(name)
    if scene and scene not in robot.entry_names:
        raise nearest(scene, robot.entry_names, f"scene of {name}")
    try:
        path = robot.xml(scene or None)
    except Exception as error:  # of the package, or of the network
        raise RequestError(f"'menagerie:{text}' cannot be had: {in_one_line(error)}") from error
    if not path.is_file():
        raise RequestError(f"there is no file {path}: MENAGERIE_ROOT must hold a folder {name} as Menagerie has it")
    return path


SCHEMES: dict[str, tuple[str, Callable[[str], Path]]] = {  # the text behind it, and where its file lies
    "mjcf": (r"[^+@]+?\.(?:xml|mjcf)", _file(".xml")),
    "urdf": (r"[^+@]+?\.(?:urdf|xml)", _file(".urdf")),
    "menagerie": (r"\w+(?:/\w+)?", _menagerie),
}


SAID = r"\(\w+=[^()]*\)"  # behind a file: what could stand beside it, too


def split(id: str) -> tuple[str, str] | None:
    """The name of a robot's file in an id, and what follows it: `mjcf:arm.xml(tip=hand)` and `+reach(x=0.4)`. None if
    it has none."""
    scheme, colon, rest = id.partition(":")
    if not colon or scheme not in SCHEMES:
        return None
    found = re.match(rf"({SCHEMES[scheme][0]}(?:{SAID})?)(?=[+:@]|$)", rest)
    if found is None:
        raise RequestError(f"malformed domain id '{id}': write {USAGE[scheme]}[(key=value,...)][+task][:shift,...]")
    return f"{scheme}:{found[1]}", rest[found.end() :]


def apart(name: str) -> tuple[str, str]:
    """A name such as `mjcf:arm.xml(tip=hand)` without and with nothing but what is said: `mjcf:arm.xml`, `tip=hand`."""
    found = re.fullmatch(rf"(.*?)({SAID})?", name)
    assert found is not None
    return found[1], (found[2] or "")[1:-1]


def unshifted(id: str) -> str:
    """An id without the shifts at its end, with the file in it whole."""
    name, rest = split(id) or ("", id)
    return name + rest.partition(":")[0]


def place(name: str) -> Path:
    """The file that a name such as `mjcf:arm.xml` means. Raises RequestError if there is none."""
    scheme, _, text = apart(name)[0].partition(":")
    return SCHEMES[scheme][1](text)


def meant(text: str) -> str:
    """The id of the file that `text` is the bare name of, a robot's or a log's; empty where it looks like none."""
    suffix = Path(text.partition("(")[0]).suffix.lower()
    scheme = next((scheme for scheme, suffixes in BARE.items() if suffix in suffixes), "")
    return scheme and f"{scheme}:{text}"


BARE = {  # what stands before the name of a file -> how its name ends
    "mjcf": (".xml", ".mjcf"),
    "urdf": (".urdf",),
    "data": (".csv", ".tsv", ".hdf5", ".h5", ".npz", ".parquet"),
}
USAGE = {"mjcf": "mjcf:path.xml", "urdf": "urdf:path.urdf", "menagerie": "menagerie:name"}
