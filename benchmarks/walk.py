"""A robot of `serve.py load`: a process that drifts at 50 Hz and says how long each call took. It needs NumPy alone.

python benchmarks/walk.py ADDRESS TOKEN_FILE ROBOT     # then `SECONDS slow|steady` on its standard input
"""

from __future__ import annotations

import json
import struct
import sys
import time
from typing import Any

import numpy as np

from transreward.session.client import Client

RATE = 50.0
PATIENCE = 10.0  # s, as the server's


def walk(client: Client, until: float, slow: bool) -> dict[str, list[float]]:
    """How long each call took, s; a slow one stops in the middle of what it tells."""
    took: dict[str, list[float]] = {"act": [], "tell": []}
    rng = np.random.default_rng(0)
    obs = rng.normal(size=client.obs)
    client.reset(obs)
    while time.perf_counter() < until:
        due = time.perf_counter() + 1 / RATE
        action, seconds = timed(client.act, obs)
        took["act"].append(seconds)
        if slow:
            client._connection.sendall(struct.pack(">I", 500) + b'{"do":"tell"')
            time.sleep(min(PATIENCE + 1, max(until - time.perf_counter(), 0)))
            break
        led = obs + rng.normal(size=client.obs) * 0.1
        took["tell"].append(timed(client.tell, obs, action, 0.0, led)[1])
        obs = led
        time.sleep(max(due - time.perf_counter(), 0))
    return took


def timed(call: Any, *given: Any) -> tuple[Any, float]:
    """What it returns, and how long it takes, s."""
    began = time.perf_counter()
    return call(*given), time.perf_counter() - began


def main() -> None:
    """Walk once for each line that is read."""
    address, token, robot = sys.argv[1:]
    print("ready", flush=True)
    for line in sys.stdin:
        seconds, how = line.split()
        until, took = time.perf_counter() + float(seconds), {"act": [], "tell": []}
        while time.perf_counter() < until:
            with Client(address, token, int(robot), timeout=60) as client:
                found = walk(client, until, how == "slow")
                took = {what: x + found[what] for what, x in took.items()}
        print(json.dumps(took), flush=True)


if __name__ == "__main__":
    main()
