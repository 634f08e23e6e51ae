"""An agent taken up in other columns, by surgery on the weights of its first and last layers.

What a network reads, it reads as (x - middle) / unit: observations in their normaliser's units, actions in halves of
the box about its centre. With both sides' units folded in, the first layer of the agent that is taken up sees in the
other columns exactly what the old one sees across the bridge, whatever its linear map of observations is; the agent
then goes on to learn there at no cost per step. It is the same function of what the bridge shows, up to the
normaliser's clip at +-10; actions go through as they are where each is another one, up to its sign.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Protocol

import jax.numpy as jnp
import numpy as np

from transreward.bridges.bridge import Crossing, Map
from transreward.networks import Layers, Normaliser
from transreward.types import RequestError, Spaces


class Ends(NamedTuple):
    """Where a learner's agents touch the columns of their domain; parts of the state go by paths, `networks.policy`.

    Columns come in blocks: "obs" as the normaliser standardises them, "action" in halves of the box about its centre,
    and "spread", of actions drawn: logarithms of standard deviations in such halves.
    """

    networks: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]  # path -> blocks that it reads, and that it writes
    spreads: tuple[str, ...] = ()  # paths of vectors [action]
    normaliser: str = "normaliser"  # path, of observations


class Offers(Protocol):
    """What is asked of a learner."""

    name: str
    ends: ClassVar[Ends | None]

    def restarted(self, state: Any, spaces: Spaces) -> Any: ...


class Units(NamedTuple):
    """In which a network reads or writes columns: (x - middle) / unit, float64 [seeds, columns] each."""

    middle: np.ndarray
    unit: np.ndarray

    @classmethod
    def of(cls, normaliser: Normaliser) -> Units:
        """As `Normaliser.__call__` has them."""
        return cls(_float64(normaliser.mean), np.sqrt(_float64(normaliser.var) + 1e-8))

    @classmethod
    def box(cls, spaces: Spaces) -> Units:
        """Halves of the box of actions; the same of all seeds."""
        return cls(_float64(spaces.centre)[None], _float64(spaces.half_width)[None])


class Within(NamedTuple):
    """A map between columns that are read and written in units."""

    matrix: np.ndarray  # [seeds, to, from]
    offset: np.ndarray  # [seeds, to]
    shown: np.ndarray  # [to] bool: the others nothing shows


def take_up(learner: Offers, agents: Any, crossing: Crossing) -> Any:
    """The same agents, [seeds, ...], in the columns that the crossing shows; their optimisers start anew.

    A network takes no notice of inputs that nothing shows, and outputs that nothing shows stay at the `fill` of the
    map, with 0 as the logarithm of their spread. What only the robot's own columns had counts as its mean.

    Raises:
        RequestError: the learner does not say where its ends are.
    """
    ends = learner.ends
    if ends is None:
        raise RequestError(
            f"an agent of '{learner.name}' cannot be taken up in another view of its robot, for the learner declares "
            f"no `ends`: use `loop.symmetry=none`"
        )
    old = _part(agents, ends.normaliser)
    normaliser = _standard(old, crossing.there.obs)
    own = {"obs": Units.of(old), "action": Units.box(crossing.own.spaces)}
    shown = {"obs": Units.of(normaliser), "action": Units.box(crossing.shown.spaces)}
    written = within(crossing.there.action, shown["action"], own["action"])
    reads = {name: within(getattr(crossing.back, name), own[name], shown[name]) for name in ("obs", "action")}
    writes = {"action": written, "spread": _spread(written)}
    state = _with(agents, ends.normaliser, normaliser)
    for path, (inputs, outputs) in ends.networks.items():
        layers = reading(_part(agents, path), [reads[block] for block in inputs])
        state = _with(state, path, writing(layers, [writes[block] for block in outputs]))
    for path in ends.spreads:
        state = _with(state, path, _float32(_written(_part(agents, path), writes["spread"])))
    return learner.restarted(state, crossing.shown.spaces)


def within(columns: Map, to: Units, of: Units) -> Within:
    """The map, between columns in units."""
    matrix = columns.matrix * (of.unit[:, None, :] / to.unit[:, :, None])
    offset = (of.middle @ columns.matrix.T + columns.fill - to.middle) / to.unit
    return Within(matrix, offset, np.asarray(columns.matrix.any(axis=1)))


def reading(layers: Layers, blocks: Sequence[Within]) -> Layers:
    """The same function [..., in] -> [..., out] of what the blocks' maps make of other inputs."""
    first, start, rows = layers[0], 0, []
    w, b = _float64(first["w"]), _float64(first["b"])
    for block in blocks:
        part = w[..., start : start + block.matrix.shape[-2], :]
        offset = np.where(block.shown, block.offset, 0.0)[:, None]  # what nothing shows is read at its middle
        matrix, offset = _beside(block.matrix, part.ndim), _beside(offset, part.ndim)
        rows.append(np.swapaxes(matrix, -1, -2) @ part)
        b = b + (offset @ part)[..., 0, :]
        start += block.matrix.shape[-2]
    return [{"w": _float32(np.concatenate(rows, axis=-2)), "b": _float32(b)}, *layers[1:]]


def writing(layers: Layers, blocks: Sequence[Within]) -> Layers:
    """The same function with the blocks' maps behind it."""
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
    """Of the spreads of actions: each is that of the action that it shows, the mean of several."""
    share = (action.matrix != 0) / np.maximum((action.matrix != 0).sum(axis=-1, keepdims=True), 1)
    return action._replace(matrix=share, offset=np.zeros_like(action.offset))


def _standard(old: Normaliser, there: Map) -> Normaliser:
    """The normaliser [seeds] of what is shown; of a column that nothing shows, about its fill with a spread of 1."""
    mean = _float64(old.mean) @ there.matrix.T + there.fill
    var = np.where(there.matrix.any(axis=1), _float64(old.var) @ (there.matrix**2).T, 1.0)
    return old._replace(mean=_float32(mean), var=_float32(var))


def _beside(x: np.ndarray, dimensions: int) -> np.ndarray:
    """[seeds, a, b] for arrays of more dimensions between the seeds and the last two."""
    return x.reshape(x.shape[0], *(1,) * (dimensions - 3), *x.shape[1:])


def _float64(x: Any) -> np.ndarray:
    return np.asarray(x, np.float64)


def _float32(x: np.ndarray) -> Any:
    return jnp.asarray(x, jnp.float32)  # a device's array, whose copies cost programs nothing


def _part(state: Any, path: str) -> Any:
    for name in path.split("."):
        state = getattr(state, name)
    return state


def _with(state: Any, path: str, part: Any) -> Any:
    name, _, rest = path.partition(".")
    return state._replace(**{name: _with(getattr(state, name), rest, part) if rest else part})
