"""Converts an agent to other columns, by surgery on the weights of its first and last layers.

Networks read (x - middle) / unit: observations in their normaliser's units, actions in half-widths of the box about its
centre. The bridge's linear map and both sides' units are folded into the first layer, so that the converted agent
computes in the other columns what the old one computes across the bridge, and continues to learn there at no cost per
step. It is the same function, up to the normaliser's clip at +-10; actions that are only reordered or change sign are
exact.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Protocol

import jax.numpy as jnp
import numpy as np

from transreward.bridges.bridge import Crossing, Map
from transreward.networks import Layers, Normaliser
from transreward.types import RequestError, Spaces

CONSTANT = 2e-8  # variance, with the normaliser's own 1e-8, up to which a column has never varied
QUIET = 0.22  # standard deviation of a motor that the old agent did not have, in half-widths of its box


class Ends(NamedTuple):
    """The parts of a learner's state that depend on the columns of its domain, by paths such as `networks.policy`.

    Columns come in blocks: "obs", standardised by the normaliser; "action", in half-widths of the box about its centre;
    and "spread", the log standard deviation of sampled actions in half-widths.
    """

    networks: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]  # path -> blocks that it reads and writes
    spreads: tuple[str, ...] = ()  # paths of log standard deviations [action]
    normaliser: str = "normaliser"  # path, of observations


class Offers(Protocol):
    """What a learner has to offer."""

    name: str
    ends: ClassVar[Ends | None]

    def restarted(self, state: Any, spaces: Spaces) -> Any: ...


class Units(NamedTuple):
    """Units in which a network reads or writes columns, (x - middle) / unit; float64 [seeds, columns] each."""

    middle: np.ndarray
    unit: np.ndarray

    @classmethod
    def of(cls, normaliser: Normaliser) -> Units:
        """The units of `Normaliser.__call__`."""
        return cls(_float64(normaliser.mean), np.sqrt(_float64(normaliser.var) + 1e-8))

    @classmethod
    def box(cls, spaces: Spaces) -> Units:
        """Half-widths of the action box about its centre, the same for all seeds."""
        return cls(_float64(spaces.centre)[None], _float64(spaces.half_width)[None])


class Within(NamedTuple):
    """A map between columns in their units."""

    matrix: np.ndarray  # [seeds, to, from]
    offset: np.ndarray  # [seeds, to]
    shown: np.ndarray  # [to] bool: False for columns of the result that show nothing


def take_up(learner: Offers, agents: Any, crossing: Crossing) -> Any:
    """The same agents, [seeds, ...], in the columns that the crossing shows; their optimisers are reset.

    Inputs that show nothing are ignored, and standardised by the variance that columns of their unit have on average.
    Outputs that show nothing are the map's `fill`, with the standard deviation `QUIET`. Columns that only the robot
    itself has are taken at their mean.

    Raises:
        RequestError: the learner declares no `ends`.
    """
    ends = learner.ends
    if ends is None:
        raise RequestError(
            f"an agent of '{learner.name}' cannot be taken up in another view of its robot, for the learner declares "
            f"no `ends`: use `bridge=none`"
        )
    old = _part(agents, ends.normaliser)
    normaliser = _standard(old, crossing.there.obs, [entry.unit for entry in crossing.shown.entries])
    own = {"obs": Units.of(old), "action": Units.box(crossing.own.spaces)}
    shown = {"obs": Units.of(normaliser), "action": Units.box(crossing.shown.spaces)}
    written = within(crossing.there.action, shown["action"], own["action"])
    reads = {name: within(getattr(crossing.back, name), own[name], shown[name]) for name in ("obs", "action")}
    writes = {"action": written, "spread": _spread(written)}
    state = _with(agents, ends.normaliser, normaliser)
    for path, (inputs, outputs) in ends.networks.items():
        layers = reading(_part(agents, path), [reads[block] for block in inputs])
        state = _with(state, path, writing(layers, [writes[block] for block in outputs]))
    quiet = writes["spread"]._replace(offset=np.where(written.shown, 0.0, np.log(QUIET))[None])
    for path in ends.spreads:
        state = _with(state, path, _float32(_written(_part(agents, path), quiet)))
    return learner.restarted(state, crossing.shown.spaces)


def given(learner: Offers, agents: Any, spaces: Spaces, told: np.ndarray) -> Any:
    """The same agents, [seeds, ...], without the columns behind the first `spaces.obs`: what these would show is `told`
    [seeds, columns] from now on, and goes into the biases of the first layers. Optimisers are reset.

    The same function as before of the columns that are left, but that one which never varied is not read: the weights
    behind it were never trained.

    Raises:
        RequestError: the learner declares no `ends`.
    """
    ends = learner.ends
    if ends is None:
        raise RequestError(f"an agent of '{learner.name}' cannot be told what robot it is in: it declares no `ends`")
    old, width = _part(agents, ends.normaliser), spaces.obs
    units = Units(*(x[:, width:] for x in Units.of(old)))
    varied = units.unit**2 > CONSTANT
    shown = np.where(varied, np.clip((told - units.middle) / units.unit, -10.0, 10.0), 0.0)  # as `Normaliser.__call__`
    state = _with(agents, ends.normaliser, old._replace(mean=old.mean[:, :width], var=old.var[:, :width]))
    for path, (inputs, _) in ends.networks.items():
        if inputs:
            assert inputs[0] == "obs"
            state = _with(state, path, _told(_part(agents, path), width, shown))
    return learner.restarted(state, spaces)


def _told(layers: Layers, width: int, shown: np.ndarray) -> Layers:
    """The layers whose inputs behind the first `width` are constant, `shown` [seeds, columns] in their units."""
    w, b = _float64(layers[0]["w"]), _float64(layers[0]["b"])
    last = width + shown.shape[1]
    held = (_beside(shown[:, None], w.ndim) @ w[..., width:last, :])[..., 0, :]
    kept = np.concatenate([w[..., :width, :], w[..., last:, :]], axis=-2)
    return [{"w": _float32(kept), "b": _float32(b + held)}, *layers[1:]]


def within(columns: Map, to: Units, of: Units) -> Within:
    """The map between columns in their units."""
    matrix = columns.matrix * (of.unit[:, None, :] / to.unit[:, :, None])
    offset = (of.middle @ columns.matrix.T + columns.fill - to.middle) / to.unit
    return Within(matrix, offset, np.asarray(columns.matrix.any(axis=1)))


def reading(layers: Layers, blocks: Sequence[Within]) -> Layers:
    """The layers with the blocks' maps folded in before them: the same function of other inputs."""
    first, start, rows = layers[0], 0, []
    w, b = _float64(first["w"]), _float64(first["b"])
    for block in blocks:
        part = w[..., start : start + block.matrix.shape[-2], :]
        offset = np.where(block.shown, block.offset, 0.0)[:, None]  # a column that shows nothing is read at its middle
        matrix, offset = _beside(block.matrix, part.ndim), _beside(offset, part.ndim)
        rows.append(np.swapaxes(matrix, -1, -2) @ part)
        b = b + (offset @ part)[..., 0, :]
        start += block.matrix.shape[-2]
    return [{"w": _float32(np.concatenate(rows, axis=-2)), "b": _float32(b)}, *layers[1:]]


def writing(layers: Layers, blocks: Sequence[Within]) -> Layers:
    """The layers with the blocks' maps folded in after them."""
    if not blocks:
        return layers
    start, parts = 0, {"w": [], "b": []}
    for block in blocks:
        here = slice(start, start + block.matrix.shape[-1])
        straight = block._replace(offset=np.zeros_like(block.offset))
        for name, one in (("w", straight), ("b", block)):
            parts[name].append(_written(layers[-1][name][..., here], one))
        start = here.stop
    return [*layers[:-1], {name: _float32(np.concatenate(columns, axis=-1)) for name, columns in parts.items()}]


def _written(x: Any, block: Within) -> np.ndarray:
    """[seeds, ..., from] -> [seeds, ..., to]."""
    rows = _float64(x)
    found = rows.reshape(len(rows), -1, rows.shape[-1]) @ np.swapaxes(block.matrix, -1, -2) + block.offset[:, None]
    return found.reshape(*rows.shape[:-1], found.shape[-1])


def _spread(action: Within) -> Within:
    """The map of log standard deviations: each is that of the action that it shows, or the mean of several."""
    share = (action.matrix != 0) / np.maximum((action.matrix != 0).sum(axis=-1, keepdims=True), 1)
    return action._replace(matrix=share, offset=np.zeros_like(action.offset))


def _standard(old: Normaliser, there: Map, units: Sequence[str]) -> Normaliser:
    """The normaliser [seeds] of the shown columns; one that shows nothing has the mean `fill`, and the mean variance of
    those of its unit that show something, or 1. (With the variance 0 that a filled column has in the source, its first
    value in the target would be far outside.)"""
    mean, shows = _float64(old.mean) @ there.matrix.T + there.fill, there.matrix.any(axis=1)
    var = np.where(shows, _float64(old.var) @ (there.matrix**2).T, 1.0)
    for column in np.flatnonzero(~shows).tolist():
        alike = [i for i in np.flatnonzero(shows).tolist() if units[i] == units[column]]
        var[:, column] = var[:, alike].mean(axis=1) if alike else 1.0
    return old._replace(mean=_float32(mean), var=_float32(var))


def _beside(x: np.ndarray, dimensions: int) -> np.ndarray:
    """[seeds, a, b] with dimensions of size 1 inserted after the seeds, up to `dimensions`."""
    return x.reshape(x.shape[0], *(1,) * (dimensions - 3), *x.shape[1:])


def _float64(x: Any) -> np.ndarray:
    return np.asarray(x, np.float64)


def _float32(x: np.ndarray) -> Any:
    return jnp.asarray(x, jnp.float32)  # on the device, so that programs need not copy it


def _part(state: Any, path: str) -> Any:
    for name in path.split("."):
        state = getattr(state, name)
    return state


def _with(state: Any, path: str, part: Any) -> Any:
    name, _, rest = path.partition(".")
    return state._replace(**{name: _with(getattr(state, name), rest, part) if rest else part})
