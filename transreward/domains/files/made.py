"""From a file to the row of its robot."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from transreward.domains.files import arm, floating, rails
from transreward.domains.files.model import Model
from transreward.domains.files.place import apart, place
from transreward.domains.files.said import Said, beside
from transreward.domains.robot import Robot
from transreward.types import RequestError

# (Model) -> its row, or None if it is another kind of body; and what may be said of robots but means nothing to these
BODIES = ((floating.robot, ("tip",)), (rails.robot, ("tip", "fallen")), (arm.robot, ("fallen",)))


def robot(name: str) -> Robot:
    """The row of the robot in a file, `mjcf:path.xml`, `urdf:path.urdf` or `menagerie:name[/scene]`; behind it may be
    said, in brackets, what could stand beside the file, too: `mjcf:arm.xml(tip=hand)`.

    Raises:
        RequestError: there is no such file, MuJoCo cannot read it, it has nothing that moves or that moves it, or what
            is said of it does not fit.
    """
    path = place(name)
    said = path.with_suffix(".yaml")
    changed = tuple(file.stat().st_mtime_ns if file.exists() else 0 for file in (path, said))
    return _robot(name, path, changed)


@lru_cache(maxsize=64)
def _robot(name: str, path: Path, changed: tuple[int, ...]) -> Robot:
    model = Model(name, path, beside(path, apart(name)[1]))
    row, unused = next((row, unused) for body, unused in BODIES if (row := body(model)) is not None)
    for key in unused:
        if getattr(model.said, key) != getattr(Said(), key):
            base = "a fixed base, which reach" if key == "tip" else "a free base, which fall"
            raise RequestError(f"'{name}': `{key}` is for robots with {base}, and this is none: leave it out")
    return row
