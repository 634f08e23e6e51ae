"""A user's own code by the name `package.module:thing`, where a console script would not look for it by itself."""

from __future__ import annotations

import os
import sys
from typing import Any

from transreward.types import RequestError, nearest


def look_beside_user() -> None:
    """Let imports find what lies in the folder that the user is in."""
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())


def no_such(module: Any, name: str, kind: str) -> RequestError:
    """The error for a name that an imported module or class does not have, with its callables that come nearest."""
    return nearest(name, [key for key, value in vars(module).items() if callable(value) and key[0] != "_"], kind)
