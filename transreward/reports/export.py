"""A policy without TransReward: ONNX with normaliser and action scaling inside, and beside it all that a robot needs: a
contract, golden actions, a program in C++ and a node of ROS 2 that give them again, and a model card.

The graph is translated from the learner's own `act`, as JAX traces it: what does not depend on the observation is
computed here, and what is left are products, sums and the like, which ONNX has too. So no learner is described twice.
Before a file is written, onnxruntime must give the same actions as the policy on states of real rollouts.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from transreward.domains.domain import Domain
from transreward.domains.ids import domain
from transreward.domains.logs.recorded import pair, recorded
from transreward.interruption import undone, whole
from transreward.reports import card
from transreward.reports.contract import ACTION, IR_VERSION, LIMIT, OBSERVATION, OPSET, contract, sha256
from transreward.reports.golden import Golden, Walk, golden, still, walk
from transreward.reports.handover.policy_node import CONTRACT, GOLDEN, Policy, check, read_golden
from transreward.runs import store
from transreward.runs.result import Result, load
from transreward.types import Array, BrokenRun, Pair, RequestError, Spaces

HANDOVER = Path(__file__).with_name("handover")  # what is copied beside a policy
COPIED = ("policy_check.cpp", "policy_node.py")
PLAIN = {  # JAX's primitives that are one ONNX operator
    "add": "Add", "add_any": "Add", "sub": "Sub", "mul": "Mul", "div": "Div", "max": "Max", "min": "Min", "neg": "Neg",
    "abs": "Abs", "sign": "Sign", "tanh": "Tanh", "exp": "Exp", "log": "Log", "sqrt": "Sqrt", "logistic": "Sigmoid",
    "erf": "Erf", "sin": "Sin", "cos": "Cos", "copy": "Identity", "stop_gradient": "Identity",
}  # fmt: skip


class Exported(NamedTuple):
    """The files that were written, and how far the graph is from the policy."""

    onnx: Path
    contract: Path
    golden: Path  # observations with the policy's own actions
    cpp: Path  # a program that gives them again
    node: Path  # a node of ROS 2, which does that too
    card: Path
    max_error: float  # see contract.LIMIT
    golden_rows: int


def export(directory: str | Path, out: str | Path | None = None, seed: int = 0) -> Exported:
    """Write the policy of one seed (counted from 0) of a run: `out`, by default DIR/export/policy.onnx, and beside it
    policy_contract.json, policy_golden.txt, policy_check.cpp, policy_node.py and README.md.

    Raises:
        RequestError: no finished run, no such seed, a missing package, or a file that is there already.
        BrokenRun: the graph differs from the policy by more than LIMIT; nothing is written then.
    """
    require_packages()
    run = load(directory)
    path = Path(directory) / "export" / "policy.onnx" if out is None else Path(out)
    files = _vacant(path)
    of = opened(run, seed)
    agent, spaces = agent_of(run, seed), of.target.spaces
    graph = to_onnx(lambda obs: run.learner.act(agent, obs, None), spaces)
    with jax.default_matmul_precision("highest"):  # an accelerator's shortened products are not the policy
        seen = walked(of, run, seed)
        error = difference(graph, run.policy(seed), seen.states, spaces.half_width)
        if not error < LIMIT:
            raise BrokenRun(f"the exported graph differs from the policy by {error:.1e}: nothing was written")
        about = contract(run, of.pair, seed, path.name, graph, getattr(agent, "normaliser", None), seen, error)
        kept = _golden(about, graph, seen, run.policy(seed), spaces)
    about["run"]["policy_sha256"] = sha256((Path(directory) / "policy.safetensors").read_bytes())
    copied = [(HANDOVER / name).read_bytes() for name in COPIED]
    texts = [store.json_text(about).encode(), kept.text.encode(), *copied, card.text(run, about).encode()]
    _write(dict(zip(files, [graph, *texts], strict=True)))
    return Exported(*files, max_error=error, golden_rows=kept.rows)


class Opened(NamedTuple):
    """The domains of a run."""

    pair: Pair[Domain]
    acts: list[Domain]  # where its policy can be asked, or logs that it can be asked about

    @property
    def target(self) -> Domain:
        """The target."""
        return self.pair.target


def opened(run: Result, seed: int) -> Opened:
    """The domains of a run, as that seed has them. Raises RequestError for a seed that it has not."""
    from transreward.domains.varied import of_seed  # which needs MuJoCo

    run.require(seed)
    judge = of_seed(domain(run.config["evaluate"]), seed) if "evaluate" in run.config else None
    domains = pair(run.config["source"], run.config["target"], judge).map(lambda one: of_seed(one, seed))
    there = judge or (domains.target if run.eval_target == "simulated" else None)
    return Opened(domains, [domains.source, *([there] if there else [])])


def walked(of: Opened, run: Result, seed: int) -> Walk:
    """What the policy meets where it can act; without such a domain, states that the logs hold."""
    acted = [one for one in of.acts if recorded(one) is None]
    if acted:
        return walk(acted, run.policy(seed), run.config["seed"] + seed)
    return still(np.concatenate([log.log.obs for log in map(recorded, of.acts) if log is not None]))


def agent_of(run: Result, seed: int) -> Any:
    """The state of one seed's agent."""
    return jax.tree.map(lambda x: x[seed], run.agents)


def _golden(about: dict[str, Any], graph: bytes, seen: Walk, act: Callable[[Array], Array], spaces: Spaces) -> Golden:
    """The golden rows, said in the contract. Raises BrokenRun where what is handed over does not give them again."""
    sent = about["history"]["actions"] if about["history"] else 0
    head = {"file": about["file"], "sha256": about["sha256"], "history": sent}
    kept = golden(seen, act, spaces, LIMIT * np.maximum(spaces.half_width, 1.0), head)
    reached, ends = kept.edges
    about["golden"] = {"file": GOLDEN, "rows": kept.rows, "reached": reached, "ends": ends}
    worst = check(Policy(about, graph), read_golden(kept.text))
    if not worst <= 1:
        raise BrokenRun(f"the exported graph differs by {worst:.2g} of what is allowed from the golden actions")
    return kept


def require_packages() -> None:
    """Raise RequestError where a package that exporting needs is missing."""
    for package in ("onnx", "onnxruntime"):
        try:
            import_module(package)
        except ImportError:
            raise RequestError(f"the package {package} is missing: pip install 'transreward[export]'") from None


def difference(graph: bytes, policy: Callable[[Array], Array], states: np.ndarray, half_width: np.ndarray) -> float:
    """Largest difference of an action between onnxruntime and the policy, see LIMIT; inf if one is not finite."""
    import onnxruntime

    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    apart = np.abs(session.run([ACTION], {OBSERVATION: states})[0] - policy(states)) / np.maximum(half_width, 1.0)
    return float(apart.max()) if np.isfinite(apart).all() else np.inf


# -- the graph -----------------------------------------------------------------------------------------------------


def to_onnx(act: Callable[[Array], Array], spaces: Spaces) -> bytes:
    """The ONNX model of a function [obs] -> [action]; it takes and gives float32 batches, [n, obs] -> [n, action].

    Its actions are clipped to the box: a runtime's tanh may exceed 1 in the last bit.
    Raises RequestError for a function with a primitive that is neither in PLAIN nor below.
    """
    import onnx

    traced = jax.make_jaxpr(act)(np.zeros(spaces.obs, np.float32))
    builder = _Builder()
    (result,) = builder.run(traced.jaxpr, traced.consts, [OBSERVATION])
    low, high = (builder.name(bound.astype(np.float32)) for bound in (spaces.low, spaces.high))
    builder.add("Min", [builder.add("Max", [builder.name(result), low]), high], ACTION)
    helper, batch = onnx.helper, "batch"
    values = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [batch, n])
        for name, n in ((OBSERVATION, spaces.obs), (ACTION, spaces.action))
    ]
    nodes = _needed(builder.nodes)
    used = {name for node in nodes for name in node.input}
    constants = [onnx.numpy_helper.from_array(value, name) for name, value in builder.constants.items() if name in used]
    graph = helper.make_graph(nodes, "policy", values[:1], values[1:], constants)
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="transreward"
    )
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString()


class _Builder:
    """Walks a jaxpr. A value is an array, known here, or the name of one that the graph computes.

    The jaxpr is of one observation, [size]; what the graph computes has a batch in front of that. Therefore constants
    are broadcast along the last axis only.
    """

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: dict[str, np.ndarray] = {}

    def name(self, value: Any) -> str:
        """The name of a value; an array becomes one of the graph's constants."""
        if isinstance(value, str):
            return value
        name = f"constant_{len(self.constants)}"
        self.constants[name] = np.asarray(value)
        return name

    def add(self, kind: str, inputs: list[str], output: str | None = None, **attributes: Any) -> str:
        import onnx

        output = output or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(onnx.helper.make_node(kind, inputs, [output], **attributes))
        return output

    def run(self, jaxpr: Any, consts: Any, inputs: list[Any]) -> list[Any]:
        """The values of a jaxpr's results."""
        known = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*consts, *inputs], strict=True))

        def value(atom: Any) -> Any:
            return np.asarray(atom.val, atom.aval.dtype) if hasattr(atom, "val") else known[atom]

        for eqn in jaxpr.eqns:
            values = [value(atom) for atom in eqn.invars]
            known |= zip(eqn.outvars, self.step(eqn, values), strict=True)
        return [value(atom) for atom in jaxpr.outvars]

    def step(self, eqn: Any, values: list[Any]) -> list[Any]:
        """The values of one equation's results."""
        inner = eqn.params.get("jaxpr") or eqn.params.get("call_jaxpr")
        if inner is not None:
            jaxpr, consts = (inner.jaxpr, inner.consts) if hasattr(inner, "consts") else (inner, ())
            return self.run(jaxpr, consts, values)
        if not any(isinstance(v, str) for v in values):
            found = eqn.primitive.bind(*values, **eqn.params)
            return list(found) if eqn.primitive.multiple_results else [found]
        kind = eqn.primitive.name
        if kind == "split":
            return self.split(values[0], eqn.params)
        translate = getattr(self, f"_{kind}", None)
        if kind not in PLAIN and translate is None:
            raise RequestError(
                f"this learner's policy cannot be exported: it uses '{kind}', which has no ONNX form here"
            )
        if translate is not None:
            return [translate(values, eqn)]
        return [self.add(PLAIN[kind], [self.name(v) for v in values])]

    def split(self, x: str, params: dict[str, Any]) -> list[str]:
        """Parts of the last axis."""
        ends = np.cumsum(params["sizes"])
        return [self.part(x, end - size, end) for size, end in zip(params["sizes"], ends, strict=True)]

    def part(self, x: str, start: int, end: int) -> str:
        """x[..., start:end]."""
        bounds = [self.name(np.array([bound], np.int64)) for bound in (start, end, -1)]
        return self.add("Slice", [x, *bounds])

    def _dot_general(self, values: list[Any], eqn: Any) -> str:
        (left, right), batch = eqn.params["dimension_numbers"]
        x, w = values
        if isinstance(w, str) or np.ndim(w) != 2 or tuple(left) != (0,) or any(map(len, batch)):
            raise RequestError("this learner's policy cannot be exported: its product is not of a vector and a matrix")
        return self.add("MatMul", [x, self.name(np.asarray(w) if right[0] == 0 else np.asarray(w).T)])

    def _clamp(self, values: list[Any], eqn: Any) -> str:
        low, x, high = values
        return self.add("Min", [self.add("Max", [self.name(x), self.name(low)]), self.name(high)])

    def _slice(self, values: list[Any], eqn: Any) -> str:
        if eqn.params["strides"] not in (None, (1,)):
            raise RequestError("this learner's policy cannot be exported: it takes a part with gaps")
        return self.part(values[0], eqn.params["start_indices"][0], eqn.params["limit_indices"][0])

    def _convert_element_type(self, values: list[Any], eqn: Any) -> str:
        if eqn.params["new_dtype"] != np.float32:
            raise RequestError("this learner's policy cannot be exported: it does not compute in float32")
        return values[0]

    def _integer_pow(self, values: list[Any], eqn: Any) -> str:
        return self.add("Pow", [values[0], self.name(np.float32(eqn.params["y"]))])

    def _square(self, values: list[Any], eqn: Any) -> str:
        return self.add("Mul", [values[0], values[0]])

    def _rsqrt(self, values: list[Any], eqn: Any) -> str:
        return self.add("Reciprocal", [self.add("Sqrt", values)])


def _needed(nodes: list[Any]) -> list[Any]:
    """The nodes that the action depends on; a stochastic policy's standard deviation is traced, too, but unused."""
    wanted, kept = {ACTION}, []
    for node in reversed(nodes):
        if wanted & set(node.output):
            kept.append(node)
            wanted |= set(node.input)
    return kept[::-1]


# -- files ---------------------------------------------------------------------------------------------------------


def _vacant(path: Path) -> tuple[Path, ...]:
    """The files, in the order of `Exported`. Raises RequestError where one is there already, or where none can be."""
    if path.suffix != ".onnx":
        raise RequestError(f"`out` {path} must name a file that ends in .onnx")
    files = (path, *(path.with_name(name) for name in (CONTRACT, GOLDEN, *COPIED, "README.md")))
    for file in files:
        if file.exists():
            raise RequestError(f"{file} is there already: remove it, or name another folder with `out`")
    store.require_writable(path, makes=True)
    return files


def _write(contents: dict[Path, bytes]) -> None:
    """All beside their places first, then moved, the first one last; or none."""

    def remove() -> None:
        for file in contents:
            file.unlink(missing_ok=True)

    path = next(iter(contents))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with undone(remove):
            try:
                with ExitStack() as places:
                    for file, content in contents.items():
                        places.enter_context(whole(file)).write_bytes(content)
            except OSError:
                remove()
                raise
    except OSError as error:
        raise RequestError(f"{path} cannot be written: {error.strerror}") from None
