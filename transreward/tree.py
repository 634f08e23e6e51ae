"""What a compiled MuJoCo model says of its tree of bodies and of what its actuators act on. MuJoCo is not imported."""

from __future__ import annotations

from typing import Any

import numpy as np

ON_JOINT = (0, 1)  # of mujoco.mjtTrn: JOINT, JOINTINPARENT
SLIDER_CRANK, TENDON, SITE, BODY, SO3 = range(2, 7)
WRAP_JOINT = 1  # of mujoco.mjtWrap


def above(model: Any, body: int) -> list[int]:
    """A body and those on which it hangs, from it down to the one on the world."""
    found = []
    while body:
        found.append(body)
        body = int(model.body_parentid[body])
    return found


def along(model: Any, tendon: int) -> list[int]:
    """The joints of a fixed tendon; none of a spatial one."""
    wraps = range(int(model.tendon_adr[tendon]), int(model.tendon_adr[tendon] + model.tendon_num[tendon]))
    return [int(model.wrap_objid[w]) for w in wraps if int(model.wrap_type[w]) == WRAP_JOINT]


def of_controls(model: Any) -> list[int]:
    """The actuator of each control: one may have several."""
    return np.repeat(np.arange(len(model.actuator_ctrlnum)), model.actuator_ctrlnum).tolist()


def driven(model: Any) -> list[int]:
    """The joints on which actuators act themselves, in the model's order."""
    return np.unique(model.actuator_trnid[np.isin(model.actuator_trntype, ON_JOINT), 0]).tolist()
