"""A robot's side of `transreward serve`, in Python: the calls of a session, over a socket. It needs NumPy alone."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import numpy as np

from transreward.session.protocol import LONGEST, REASON, VERSION, Gone, connected, receive, send
from transreward.types import RequestError


class Client:
    """A robot that asks a served session. Its calls are those of `Session`, with the same errors, and OSError where no
    answer came: the connection is then closed, since a late answer would be taken for that to the next call.

    Attributes `low` and `high` [action] are the robot's limits, `obs` the size of an observation.
    """

    def __init__(self, address: str, token: str | Path, robot: int = 0, timeout: float = 10.0) -> None:
        """`address` is host:port or a Unix socket's path; `token` the secret, or the file that holds it; `robot` which
        of the session's robots this is; `timeout` in seconds, of each call but `improve`.

        Raises RequestError, in one line, for a wrong token or robot and where nobody answers, which is an OSError, too.
        """
        told, self._where = str(token), f"{address}, robot {robot}"
        with suppress(OSError):  # such as that it is too long for the name of a file
            told = Path(told).read_text().strip() if Path(told).is_file() else told
        self._timeout, self._connection = timeout, connected(address, timeout)
        try:
            found = self._ask("hello", token=told, robot=robot, protocol=VERSION)
        except Gone as error:
            raise Gone(f"{error}; it answers from 'listening at' on, once its source agent is trained") from None
        except BaseException:
            self.close()
            raise
        self.obs, self.left = int(found["obs"]), int(found["left"])
        self.low, self.high = np.array(found["low"]), np.array(found["high"])

    def act(self, obs: Any) -> np.ndarray:
        """See `Session.act`."""
        return np.array(self._ask("act", obs=_plain("an observation", obs))["action"], np.float32)

    def tell(
        self,
        obs: Any,
        action: Any,
        reward: float | None,
        next_obs: Any,
        terminated: bool = False,
        truncated: bool = False,
    ) -> None:
        """See `Session.tell`."""
        about = {"obs": _plain("obs", obs), "action": None if action is None else _plain("action", action)}
        about["reward"] = None if reward is None else _plain("`reward`", reward)
        about["next_obs"] = _plain("next_obs", next_obs)
        over = {"terminated": bool(terminated), "truncated": bool(truncated)}
        self.left = int(self._ask("tell", **about, **over)["left"])

    def reset(self, obs: Any, *, steps: int = 0) -> None:
        """See `Session.reset`."""
        self._ask("reset", obs=_plain("an observation", obs), steps=steps)

    def abort(self, why: str = "") -> None:
        """See `Session.abort`."""
        self._ask("abort", why=str(why)[:REASON])

    def improve(self, seconds: float) -> bool:
        """See `Session.improve`; a served session always has a limit."""
        told = _plain("`seconds`", seconds)
        more = min(max(told, 0.0), LONGEST) if isinstance(told, float) else 0.0  # the server refuses any other
        return bool(self._ask("improve", seconds=told, _more=more)["done"])

    def save(self) -> None:
        """See `Session.save`."""
        self._ask("save")

    @property
    def status(self) -> dict[str, Any]:
        """See `Session.status`."""
        return self._ask("status")["status"]

    def close(self) -> None:
        """Leave; the session goes on."""
        self._connection.close()

    def __repr__(self) -> str:
        sizes = f"observations of {self.obs} numbers, actions of {len(self.low)}"
        return f"Client of {self._where}: {sizes}; {self.left:,} steps left"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _ask(self, do: str, _more: float = 0.0, **about: Any) -> dict[str, Any]:
        if self._connection.fileno() < 0:
            raise Gone("this client is closed, or its connection was lost: make another one")
        try:
            self._connection.settimeout(self._timeout + _more)
            send(self._connection, {"do": do, **{name: _own(x) for name, x in about.items()}})
            found = receive(self._connection, self._timeout + _more, due=True)
        except (OSError, KeyboardInterrupt) as error:
            self.close()
            if isinstance(error, (Gone, KeyboardInterrupt)):
                raise
            raise Gone(f"the session's server is gone: {error.strerror or error}") from None
        if found is None:
            self.close()
            raise Gone("the session's server is gone")
        if not found.get("ok"):
            raise RequestError(str(found.get("error", "the server did not say why")))
        return found


def _own(x: Any) -> Any:
    """A number of NumPy's as Python's, which JSON knows."""
    return x.item() if isinstance(x, np.generic) else x


def _plain(what: str, x: Any) -> Any:
    """Numbers as JSON has them, which knows none that is not finite."""
    try:
        found = np.asarray(x)
    except (TypeError, ValueError):  # rows of unequal length, or an array of a device
        raise RequestError(f"{what} must be numbers, not a {type(x).__name__}") from None
    if found.dtype.kind not in "biuf":
        raise RequestError(f"{what} must be numbers, not {ascii(x)[:60]}")
    if not np.isfinite(found).all():
        entry = f", and entry {np.flatnonzero(~np.isfinite(found))[0]} is not" if found.shape else f", not {found}"
        raise RequestError(f"{what} must be finite{entry}")
    return found.astype(float).tolist()
