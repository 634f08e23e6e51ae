#!/usr/bin/env python3
"""A policy that TransReward exported, as a ROS 2 node. It needs NumPy and onnxruntime, and not TransReward.

    python3 policy_node.py check                         gives the golden actions again, or exits with 1; without ROS
    python3 policy_node.py --ros-args -p late:=0.05 -r observation:=/robot/observation

It reads policy_contract.json, the policy and policy_golden.txt from its own folder.

Subscribes to
    observation    std_msgs/Float32MultiArray, in the contract's order and units, without the commanded actions that
                   end an observation with a history: the node remembers those; or, where every column is a position or
                   a velocity of a joint,
    joint_states   sensor_msgs/JointState, whose joints have the names that the contract gives as `part`.
Publishes
    action         std_msgs/Float64MultiArray, in the contract's order and units, inside the limits and no further from
                   the one before it than `change`, at the contract's rate. Nothing before the first observation.
Parameters
    input   auto, array or joints: which of the two is heard (auto: joints where they are all that there is)
    rate    actions a second; 0: the contract's
    late    seconds after which an observation is too old to act on; 0: two control steps
    latch   true: once late, the policy does not go on by itself
    change  the most of each action's change in a control step; [0.0]: the contract's

While observations are late each action is led to 0, or held where it asks for a position (the contract's `stop`). This
is no emergency stop: that is the robot's.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

CONTRACT, GOLDEN = "policy_contract.json", "policy_golden.txt"
KINDS = {"position": "position", "angle": "position", "velocity": "velocity"}  # last word of a name -> of a JointState


class Golden(NamedTuple):
    """What policy_golden.txt holds. A row of an episode follows the row before it; episode -1: a state by itself."""

    sha256: str  # of the policy
    history: int  # commanded actions that end an observation
    tolerance: np.ndarray  # [action], the most that an action may differ
    episode: np.ndarray  # [rows]
    step: np.ndarray  # [rows], from 0 in each episode
    observations: np.ndarray  # [rows, obs], float32
    actions: np.ndarray  # [rows, action], float32


def read_golden(text: str) -> Golden:
    """The golden rows in the text of policy_golden.txt: lines of a key and its value, then `rows` lines of numbers.
    Raises ValueError."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    end = next(i for i, line in enumerate(lines) if line.startswith("rows ")) + 1
    head = {key: value for key, _, value in (line.partition(" ") for line in lines[:end])}
    obs, action = int(head["observations"]), int(head["actions"])
    found = np.array([line.split() for line in lines[end:]], np.float64)
    if found.shape != (int(head["rows"]), 2 + obs + action):
        raise ValueError(f"{GOLDEN} has rows of shape {found.shape}, and says {head['rows']} of {2 + obs + action}")
    whole, numbers = found[:, :2].astype(int), found[:, 2:].astype(np.float32)
    tolerance = np.array(head["tolerance"].split(), np.float64)
    return Golden(
        head["sha256"], int(head["history"]), tolerance, whole[:, 0], whole[:, 1], numbers[:, :obs], numbers[:, obs:]
    )


class Policy:
    """The policy with what its contract puts around it: the history, the limits, the largest change, and what is sent
    when nothing is seen.

    `about` is the contract, `graph` the bytes of the ONNX file; `change` [action] replaces the contract's. Raises
    ValueError where they do not belong together.
    """

    def __init__(self, about: dict[str, Any], graph: bytes, change: np.ndarray | None = None) -> None:
        import onnxruntime

        if hashlib.sha256(graph).hexdigest() != about["sha256"]:
            raise ValueError(f"{about['file']} is not the policy of this contract: its hash is another one")
        alone = onnxruntime.SessionOptions()
        alone.intra_op_num_threads = alone.inter_op_num_threads = 1  # a small network is slower on more
        self._session = onnxruntime.InferenceSession(graph, alone, providers=["CPUExecutionProvider"])
        actions, self.about = about["actions"], about
        self.low, self.high = np.array([entry["range"] for entry in actions], np.float32).T
        told = [entry["change"] for entry in actions] if change is None else change
        self.change = np.array([np.inf if most is None else most for most in told], np.float32)
        self._held = np.array([entry["stop"] == "hold" for entry in actions])
        self._rest = np.clip(np.zeros(len(actions), np.float32), self.low, self.high)
        self._history = about["history"]["actions"] if about["history"] else 0
        self.width = len(about["observations"]) - self._history * len(actions)
        self._view = about["view"] and {key: np.array(about["view"][key], np.float32) for key in ("there", "back")}
        self.columns = about["view"]["observations"] if about["view"] else about["observations"][: self.width]
        self.begin()

    @classmethod
    def load(cls, folder: Path, change: np.ndarray | None = None) -> Policy:
        """The policy in a folder."""
        about = json.loads((folder / CONTRACT).read_text())
        return cls(about, (folder / about["file"]).read_bytes(), change)

    def begin(self) -> None:
        """Start an episode: nothing was sent before."""
        self.sent: np.ndarray | None = None
        self.past = np.tile(self._rest, (self._history, 1))  # the newest first

    def observation(self, seen: np.ndarray) -> np.ndarray:
        """What the graph is asked about, [obs]: what is seen, [width], and the history."""
        return np.concatenate([np.asarray(seen, np.float32), self.past.ravel()])

    def act(self, seen: np.ndarray) -> np.ndarray:
        """The robot's action, [action], for what it sees, [columns], both in its own columns."""
        if self._view is None:
            return self.step(seen)
        return self._own(self.step(self._view["there"] @ np.append(seen, np.float32(1.0))))

    def step(self, seen: np.ndarray) -> np.ndarray:
        """The same in the policy's columns, which differ from the robot's where the contract names a view."""
        return self._sends(self.asked(self.observation(seen)))

    def asked(self, observation: np.ndarray) -> np.ndarray:
        """What the graph answers, [obs] -> [action]."""
        (found,) = self._session.run(["action"], {"observation": observation[None]})
        return np.asarray(found)[0]

    def stop(self) -> np.ndarray | None:
        """What to send when nothing is seen, in the robot's columns: 0, or for a position the last one sent. None: no
        action was sent yet, so there is none to hold."""
        wanted = self._rest
        if self._held.any():
            if self.sent is None:
                return None
            wanted = np.where(self._held, self.sent, self._rest)
        return self._own(self._sends(wanted))

    def _sends(self, action: np.ndarray) -> np.ndarray:
        found = np.clip(action, self.low, self.high)
        if self.sent is not None:
            found = np.clip(found, self.sent - self.change, self.sent + self.change)
        self.sent = found
        self.past = np.concatenate([found[None], self.past])[: self._history]
        return found

    def _own(self, action: np.ndarray) -> np.ndarray:
        return action if self._view is None else self._view["back"] @ np.append(action, np.float32(1.0))


def check(policy: Policy, golden: Golden) -> float:
    """The largest difference from the golden actions, as a share of what is allowed: at most 1 is well. Episodes go
    through the history, the limits and the largest change, as on the robot. Raises ValueError where the policy is
    another one, or its history differs from the golden one."""
    if golden.sha256 != policy.about["sha256"]:
        raise ValueError(f"{GOLDEN} is of another policy")
    worst = 0.0
    for episode, step, seen, wanted in zip(*golden[3:], strict=True):
        if episode < 0:
            found = policy.asked(seen)
        else:
            if step == 0:
                policy.begin()
            apart = np.abs(policy.observation(seen[: policy.width]) - seen)[policy.width :]
            if not (apart <= np.tile(golden.tolerance, golden.history)).all():
                raise ValueError(f"the history of episode {episode}, step {step}, differs by {apart.max():.1e}")
            found = policy.step(seen[: policy.width])
        worst = max(worst, float(np.max(np.abs(found - wanted) / golden.tolerance)))
    policy.begin()
    return worst


class PolicyNode:
    """The policy behind a node of rclpy, which `node` is; `messages` holds the classes of its three messages."""

    def __init__(self, node: Any, messages: dict[str, Any], folder: Path, quality: Any = 1) -> None:
        asked = {"input": "auto", "rate": 0.0, "late": 0.0, "latch": False, "change": [0.0]}
        told = {name: node.declare_parameter(name, value).value for name, value in asked.items()}
        self._policy = Policy.load(folder, np.array(told["change"]) if any(told["change"]) else None)
        about = self._policy.about
        rate = told["rate"] or about["control_hz"]
        if not rate:
            raise ValueError("the contract knows no control rate: say how many actions a second, -p rate:=50.0")
        if len(self._policy.change) != len(about["actions"]) or not (self._policy.change > 0).all():
            raise ValueError(f"`change` must be {len(about['actions'])} numbers above 0")
        self._node, self._array = node, messages["Float64MultiArray"]
        self._late = round((told["late"] or 2.0 / rate) * 1e9)
        self._latch, self._blind, self._refused = told["latch"], False, 0
        self._seen: np.ndarray | None = None
        self._when = 0
        joints = columns_of_joints(self._policy.columns)
        if told["input"] not in ("auto", "array", "joints") or (told["input"] == "joints" and joints is None):
            raise ValueError("`input` must be auto or array, or joints where every column is a joint's")
        self._joints = None if told["input"] == "array" else joints
        self._publisher = node.create_publisher(self._array, "action", 1)
        topic, kind = ("joint_states", "JointState") if self._joints else ("observation", "Float32MultiArray")
        node.create_subscription(messages[kind], topic, self._heard, quality)
        self._timer = node.create_timer(1.0 / rate, self._tick)
        node.get_logger().info(
            f"{about['file']} for {about['id']}: {kind} on {topic}, {rate:g} actions a second, an observation is late "
            f"after {self._late / 1e9:g} s"
        )

    def stop(self) -> None:
        """Send what is sent when nothing is seen."""
        action = self._policy.stop()
        if action is not None:
            self._publisher.publish(self._array(data=[float(x) for x in action]))

    def _tick(self) -> None:
        if self._seen is None:
            return
        late = self._now() - self._when > self._late
        if late or (self._blind and self._latch):
            if not self._blind:
                self._node.get_logger().warning("observations are late: the policy stops")
            self._blind = True
            return self.stop()
        if self._blind:
            self._node.get_logger().warning("observations are back: the policy goes on")
        self._blind = False
        action = self._policy.act(self._seen)
        self._publisher.publish(self._array(data=[float(x) for x in action]))

    def _heard(self, message: Any) -> None:
        """Keep the newest observation; one that is none is as good as lost, and the first is said."""
        try:
            seen = self._columns(message)
        except (KeyError, IndexError) as error:
            return self._refuse(f"has no {'joint' if isinstance(error, KeyError) else 'value of joint'} {error}")
        if seen.shape != (len(self._policy.columns),) or not np.isfinite(seen).all():
            return self._refuse(f"has {seen.size} numbers, and {len(self._policy.columns)} that are finite are wanted")
        self._seen, self._when = seen, self._now()

    def _columns(self, message: Any) -> np.ndarray:
        if self._joints is None:
            return np.array(message.data, np.float32)
        place = {name: i for i, name in enumerate(message.name)}
        return np.array([getattr(message, kind)[place[joint]] for joint, kind in self._joints], np.float32)

    def _refuse(self, why: str) -> None:
        self._refused += 1
        if self._refused == 1:
            self._node.get_logger().error(f"an observation {why}: it is not used, and neither are others like it")

    def _now(self) -> int:
        return self._node.get_clock().now().nanoseconds


def columns_of_joints(rows: list[dict[str, Any]]) -> list[tuple[str, str]] | None:
    """(joint, position or velocity) of each column of an observation; None if one is something else."""
    found = [(row["part"], KINDS.get(row["name"].removeprefix(f"{row['part']} "))) for row in rows]
    return [(part, kind) for part, kind in found if kind] if all(kind for _, kind in found) else None


def main() -> int:
    """Run the node, or the check."""
    folder = Path(__file__).resolve().parent
    try:
        if sys.argv[1:] == ["check"]:
            golden = read_golden((folder / GOLDEN).read_text())
            worst = check(Policy.load(folder), golden)
            print(f"{len(golden.step)} golden rows, largest difference {worst:.2g} of what is allowed")
            return int(not worst <= 1)
        return spin(folder)
    except (OSError, ValueError) as error:
        print(f"policy_node: {error}", file=sys.stderr)
        return 1


def spin(folder: Path) -> int:
    """Run the node until it is shut down."""
    import rclpy  # type: ignore[import-not-found]
    from rclpy.qos import qos_profile_sensor_data  # type: ignore[import-not-found]
    from sensor_msgs.msg import JointState  # type: ignore[import-not-found]
    from std_msgs.msg import Float32MultiArray, Float64MultiArray  # type: ignore[import-not-found]

    messages = {kind.__name__: kind for kind in (JointState, Float32MultiArray, Float64MultiArray)}
    rclpy.init()
    node = rclpy.create_node("policy")
    policy = None
    try:
        policy = PolicyNode(node, messages, folder, qos_profile_sensor_data)
        rclpy.spin(node)
    except KeyboardInterrupt:
        pass
    finally:
        if policy is not None and rclpy.ok():
            policy.stop()
        node.destroy_node()
        rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
