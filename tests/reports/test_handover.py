"""What goes out beside a policy gives its actions again: in C++, in a node of ROS 2, and with what stands around it.

ROS is not needed: `Ros` stands in for rclpy and its messages with the few classes that the node uses. onnxruntime's own
header is used where it is found (see `header`); onnxruntime_cxx_api.h beside this file stands in for it elsewhere.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import onnxruntime
import pytest
from untrained import untrained

import transreward as tr
from transreward.domains.domain import control_rate
from transreward.reports import contract
from transreward.reports.golden import Walk, edge_states, golden
from transreward.reports.handover.policy_node import Policy, check, read_golden
from transreward.types import Spaces

pytestmark = pytest.mark.usefixtures("hurry")

HERE = Path(__file__).parent
RUNS = {  # name -> learner and target: an array and no history; joints, a delay and a history; a view
    "hopper": ("ppo", "hopper:gravity=0.5"),
    "pole": ("sac", "inverted_pendulum:delay=1@history=2"),
    "ant": ("ppo", "ant@turned90"),
}


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """The folder of each export."""
    root, found = tmp_path_factory.mktemp("runs"), {}
    for name, (kind, target) in RUNS.items():
        untrained(kind, target, target).save(root / name)
        found[name] = tr.export(root / name, seed=1).onnx.parent
    return found


def loaded(folder: Path) -> tuple[Policy, object]:
    return Policy.load(folder), read_golden((folder / "policy_golden.txt").read_text())


def edited(folder: Path, out: Path, **changes) -> Path:
    """A copy of an export with other values in its contract."""
    place = Path(shutil.copytree(folder, out))
    about = json.loads((place / "policy_contract.json").read_text())
    (place / "policy_contract.json").write_text(json.dumps(about | changes))
    return place


# -- golden rows ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RUNS)
def test_golden_rows_are_the_policys_own(name, places):
    policy, found = loaded(places[name])
    run, about = tr.load(places[name].parent), policy.about
    spaces = run.config["spaces"]
    wanted = np.clip(run.policy(seed=1)(found.observations), spaces["low"], spaces["high"])
    np.testing.assert_allclose(found.actions, wanted, atol=1e-6)
    assert about["golden"]["rows"] == len(found.step)
    for episode in (0, 1):
        steps = found.step[found.episode == episode]
        assert steps.tolist() == list(range(len(steps))) and len(steps) > 3
    assert check(policy, found) < 1


@pytest.mark.parametrize("name", RUNS)
def test_golden_rows_reach_the_edges_of_the_box(name, places):
    policy, found = loaded(places[name])
    low, high = (np.isclose(found.actions, edge, atol=1e-3).any(axis=0) for edge in (policy.low, policy.high))
    about = policy.about["golden"]
    assert about["ends"] == 2 * len(low) and about["reached"] == low.sum() + high.sum() >= about["ends"] - 1


def test_edges_are_taken_from_what_was_seen_if_they_are_there():
    spaces, seen = Spaces(1, 1, np.full(1, -1.0), np.ones(1)), np.array([[0.0], [2.0], [0.5]], np.float32)
    low, high = edge_states(seen, lambda x: x, spaces)
    assert high == 2.0 and -30 < low < -1  # above is a state that was seen, below none was


def test_a_golden_file_comes_back_to_the_bit():
    rng = np.random.default_rng(0)
    spaces = Spaces(3, 2, np.full(2, -1.0), np.ones(2))
    seen = [rng.normal(size=(n, 3)).astype(np.float32) for n in (30, 4)]
    walk = Walk(np.concatenate(seen), seen, [one[:, :2] for one in seen], np.ones(2))
    head = {"file": "a policy.onnx", "sha256": "00", "history": 0}
    found = read_golden(golden(walk, lambda x: x[..., :2], spaces, np.full(2, 1e-5), head).text)
    assert np.array_equal(found.observations[:28], np.concatenate([seen[0][:24], seen[1]]))
    assert found.step[:28].tolist() == [*range(24), *range(4)] and found.tolerance.tolist() == [1e-5, 1e-5]
    with pytest.raises(ValueError, match="rows of shape"):
        read_golden("observations 1\nactions 1\nhistory 0\nsha256 0\ntolerance 1\nrows 2\n0 0 1 1\n")


def test_what_differs_is_seen(places, tmp_path):
    policy, found = loaded(places["pole"])
    off = found._replace(actions=found.actions + 4e-5)  # 4 times what is allowed; the box is 3 wide
    assert 1 < check(policy, off) < 2
    later = found._replace(observations=found.observations + np.eye(6)[5] * 1e-3)
    with pytest.raises(ValueError, match="the history of episode 0, step 0, differs"):
        check(policy, later)
    place = edited(places["pole"], tmp_path / "other", sha256="0")
    with pytest.raises(ValueError, match="is not the policy of this contract"):
        Policy.load(place)


# -- the contract --------------------------------------------------------------------------------------------------


def test_delay_and_history_stand_in_the_contract(places):
    about = loaded(places["pole"])[0].about
    assert about["history"] == {"actions": 2, "columns": [4, 6], "start": [0.0]}
    assert about["delay"] == {"actions": 1, "observations": 0, "found": None} and about["view"] is None
    assert [row["name"] for row in about["observations"][4:]] == ["action -1 slide", "action -2 slide"]
    assert loaded(places["hopper"])[0].about["history"] is None
    assert contract.delays(tr.domain("hopper:delay=0..3,sensor_delay=2")) == {"actions": [0, 3], "observations": 2}
    assert contract.delays(tr.domain("gym:Pendulum-v1")) == {"actions": None, "observations": None}


def test_what_was_identified_stands_in_it(tmp_path):
    run = HERE.parent / "data" / "runs" / "1" / "transfer-sac"
    wanted = {"id": "inverted_pendulum:gravity=1.5", "actions": 0, "observations": 0}
    assert contract.delays_found(run) == wanted and contract.delays_found(tmp_path) is None


@pytest.mark.parametrize(
    ("unit", "stop"), [("200 N m", "zero"), ("rad", "hold"), ("0.5 rad", "hold"), ("m", "hold"), ("rad/s", "zero")]
)
def test_a_position_is_held_and_a_force_is_let_go(unit, stop):
    domain = SimpleNamespace(
        spaces=Spaces(1, 1, -np.ones(1), np.ones(1)),
        name="made", reward_terms=(), episode_steps=1, action_entries=(tr.types.Entry("motor", unit),),
        simulate=lambda: None,
    )  # fmt: skip
    (row,) = contract._actions(domain, np.ones(1))
    assert (row["unit"], row["stop"], row["change"]) == (unit, stop, 1.0)


def test_a_view_is_undone_on_the_robot(places):
    """A robot shows its own columns and takes its own actions; the policy is the turned one's."""
    policy, run = loaded(places["ant"])[0], tr.load(places["ant"].parent)
    own = tr.domain("ant").simulate(1, 3).obs[0]
    crossing = tr.domain("ant@turned90").crossing
    wanted = crossing.back.action(np.asarray(run.policy(seed=1)(crossing.there.obs(own).astype(np.float32))))
    np.testing.assert_allclose(policy.act(own), wanted, atol=1e-5)
    assert policy.columns[13]["name"] != policy.about["observations"][13]["name"] or len(policy.columns) == 105


# -- C++ -----------------------------------------------------------------------------------------------------------


def header() -> Path | None:
    """The folder of onnxruntime's C++ header: $ONNXRUNTIME_INCLUDE, or where Debian's package has it."""
    told = os.environ.get("ONNXRUNTIME_INCLUDE")
    known = [Path(told)] if told else [Path("/usr/include/onnxruntime"), Path("/usr/include")]
    return next((place for place in known if (place / "onnxruntime_cxx_api.h").exists()), None)


def compiled(source: Path, include: Path, out: Path, *more: str) -> Path:
    if shutil.which("g++") is None:
        pytest.skip("there is no g++")
    flags = ["-std=c++17", "-Wall", "-Wextra", *([] if more else ["-Werror"]), "-isystem" if more else "-I"]
    subprocess.run(["g++", *flags, include, source, "-o", out, *more], check=True, timeout=300)
    return out


def told(program: Path, folder: Path) -> tuple[int, str]:
    done = subprocess.run([program, folder], capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """The example against the header that stands in: it gives the first entries of an observation."""
    from transreward.reports.export import HANDOVER

    return compiled(HANDOVER / "policy_check.cpp", HERE, tmp_path_factory.mktemp("cpp") / "check")


def test_the_example_reads_the_rows_and_compares(program, tmp_path):
    """With the graph that the header stands in for: which file is read, what is compared, and what it exits with."""
    spaces = Spaces(5, 2, np.full(2, -1e4), np.full(2, 1e4))
    seen = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)
    seen[:, 3:] = np.concatenate([np.zeros((1, 2)), seen[:-1, :2]])  # what was sent one step ago
    head = {"file": "a policy.onnx", "sha256": "00", "history": 1}
    walk = Walk(seen, [seen], [seen[:, :2]], np.ones(2))
    text = golden(walk, lambda x: x[..., :2], spaces, np.full(2, 1e-5), head).text
    place = tmp_path / "policy_golden.txt"
    place.write_text(text)
    code, said = told(program, tmp_path)
    assert code == 0 and "largest difference 0, 0 of what is allowed" in said
    rows = text.splitlines()
    for column, by in ((2, 1.0), (6, 1.0), (8, 2e-5)):  # an entry that is seen; one that was sent; an action
        words = rows[-8].split()
        assert words[0] == "0", "a step of the episode"
        words[column] = f"{float(words[column]) + by:.9g}"
        place.write_text("\n".join([*rows[:-8], " ".join(words), *rows[-7:]]))
        assert told(program, tmp_path)[0] == 1
    for damaged in (text[:-30], "rows 3\n", text.replace("rows", "lines")):
        place.write_text(damaged)
        code, said = told(program, tmp_path)
        assert code == 1 and said.startswith("policy_check: ") and said.count("\n") == 1
    assert told(program, tmp_path / "nothing")[0] == 1


@pytest.mark.skipif(header() is None, reason="no onnxruntime_cxx_api.h: name its folder in ONNXRUNTIME_INCLUDE")
def test_onnxruntime_in_cpp_gives_the_golden_actions(places, tmp_path):
    """The real header and the wheel's library, whose name inside is libonnxruntime.so.1."""
    (library,) = (Path(onnxruntime.__file__).parent / "capi").glob("libonnxruntime.so.*")
    (tmp_path / "libonnxruntime.so.1").symlink_to(library)
    found, source = header(), places["pole"] / "policy_check.cpp"
    assert found is not None
    program = compiled(source, found, tmp_path / "check", f"{tmp_path}/libonnxruntime.so.1", f"-Wl,-rpath,{tmp_path}")
    for name, place in places.items():
        code, said = told(program, place)
        assert code == 0 and "golden rows, largest difference" in said, (name, said)
    place = shutil.copytree(places["hopper"], tmp_path / "other")
    shutil.copy(places["pole"] / "policy.onnx", place / "policy.onnx")
    code, said = told(program, place)
    assert code == 1 and said.startswith("policy_check: ")


# -- the node ------------------------------------------------------------------------------------------------------


class Ros:
    """Stands in for rclpy: one node, whose clock and timer a test moves, with the messages that it publishes."""

    def __init__(self, patch: pytest.MonkeyPatch, **parameters) -> None:
        self.parameters, self.said, self.sent = parameters, [], []  # sent: (seconds, actions)
        self.heard, self.seconds, self.stopped = {}, 0.0, False
        self.robot = lambda step: None  # what the robot says before each tick
        self.steps = 0

        def message(**fields):
            return SimpleNamespace(**fields)

        kinds = {name: type(name, (), {"__new__": lambda cls, **fields: message(**fields)}) for name in MESSAGES}
        modules = {
            "rclpy": {
                "init": lambda: None, "create_node": lambda name: self, "spin": self.spin, "ok": lambda: True,
                "try_shutdown": lambda: None,
            },
            "rclpy.qos": {"qos_profile_sensor_data": "sensor data"},
            "sensor_msgs.msg": kinds, "std_msgs.msg": kinds, "sensor_msgs": {}, "std_msgs": {},
        }  # fmt: skip
        for name, content in modules.items():
            made = ModuleType(name)
            vars(made).update(content)
            patch.setitem(sys.modules, name, made)

    def declare_parameter(self, name, default):
        return SimpleNamespace(value=self.parameters.get(name, default))

    def create_publisher(self, kind, topic, quality):
        assert (kind.__name__, topic) == ("Float64MultiArray", "action")
        return SimpleNamespace(publish=lambda message: self.sent.append((self.seconds, np.array(message.data))))

    def create_subscription(self, kind, topic, call, quality):
        assert quality == "sensor data"
        self.heard[topic] = kind.__name__, call

    def create_timer(self, period, call):
        self.period, self.tick = period, call
        return call

    def get_clock(self):
        return SimpleNamespace(now=lambda: SimpleNamespace(nanoseconds=round(self.seconds * 1e9)))

    def get_logger(self):
        return SimpleNamespace(info=self.said.append, warning=self.said.append, error=self.said.append)

    def destroy_node(self):
        self.stopped = True

    def spin(self, node):
        """Let the time pass: `steps` ticks of the timer."""
        for step in range(self.steps):
            self.seconds = step * self.period
            said = self.robot(step)
            if said is not None:
                ((_, call),) = self.heard.values()
                call(SimpleNamespace(**said))
            self.tick()

    def run(self, folder: Path, steps: int, robot) -> list[np.ndarray]:
        """The actions of the exported node in a folder, over so many ticks, and the last one as it leaves."""
        spec = importlib.util.spec_from_file_location("exported_node", folder / "policy_node.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        self.steps, self.robot = steps, robot
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["policy_node.py"])
            assert module.main() == 0, self.said
        assert self.stopped
        return [action for _, action in self.sent]


MESSAGES = ("JointState", "Float32MultiArray", "Float64MultiArray")


@pytest.fixture
def ros(monkeypatch):
    return lambda **parameters: Ros(monkeypatch, **{"input": "array", **parameters})


def joints(seen) -> dict:
    """A JointState of the pole, whose joints come in another order, with one more."""
    place, angle, speed, turn = map(float, seen[:4])
    return {"name": ["other", "hinge", "slider"], "position": [9.0, angle, place], "velocity": [9.0, turn, speed]}


def array(seen) -> dict:
    return {"data": list(map(float, seen))}


@pytest.mark.parametrize(("name", "says"), [("hopper", array), ("pole", joints)])
def test_the_node_gives_the_golden_actions_at_the_rate(name, says, places, ros):
    """Of an episode, with the history that the node remembers, one a control step."""
    policy, found = loaded(places[name])
    rows, node = found.episode == 0, ros(input="array" if says is array else "auto")
    node.run(places[name], rows.sum(), lambda step: says(found.observations[rows][step]))
    sent = np.array([action for _, action in node.sent[:-1]])
    assert (np.abs(sent - found.actions[rows]) <= found.tolerance).all()
    rate = control_rate(tr.domain(policy.about["id"]))
    np.testing.assert_allclose(np.diff([at for at, _ in node.sent[:-1]]), 1 / rate)
    kind = {"hopper": ("observation", "Float32MultiArray"), "pole": ("joint_states", "JointState")}[name]
    assert [(topic, kind) for topic, (kind, _) in node.heard.items()] == [kind]
    assert f"{rate:g} actions a second" in node.said[0]


def test_nothing_is_sent_before_the_first_observation(places, ros):
    node = ros()
    node.run(places["hopper"], 5, lambda step: None)
    assert len(node.sent) <= 1  # the one with which it leaves


def test_it_stops_when_observations_stop_and_goes_on_when_they_are_back(places, ros):
    policy, found = loaded(places["hopper"])
    rows = found.observations[found.episode == 0]
    quiet = range(10, 30)
    node = ros()
    sent = np.array(
        node.run(places["hopper"], 40, lambda step: None if step in quiet else array(rows[step % len(rows)]))
    )
    assert len(sent) == 41  # the rate is kept
    assert (np.abs(np.diff(sent, axis=0)) <= policy.change + 1e-6).all()
    assert (sent[25:30] == 0).all() and (np.abs(sent[9]) > 0).any() and (np.abs(sent[32:40]) > 0).any()
    assert [said for said in node.said if "observations are" in said] == [
        "observations are late: the policy stops", "observations are back: the policy goes on",
    ]  # fmt: skip


def test_two_control_steps_are_not_late_and_more_are(places, ros):
    _, found = loaded(places["hopper"])
    rows = found.observations[found.episode == 0]
    node = ros()
    node.run(places["hopper"], 9, lambda step: array(rows[0]) if step % 3 == 0 else None)
    assert not any("late" in said for said in node.said[1:])
    node = ros(late=0.0079)  # below one control step
    node.run(places["hopper"], 9, lambda step: array(rows[0]) if step % 3 == 0 else None)
    assert any("are late" in said for said in node.said[1:])


def test_a_latch_stays(places, ros):
    _, found = loaded(places["hopper"])
    rows = found.observations[found.episode == 0]
    node = ros(latch=True)
    sent = node.run(places["hopper"], 40, lambda step: None if 5 <= step < 10 else array(rows[step % len(rows)]))
    assert (np.array(sent[20:]) == 0).all()


def test_a_position_is_held(places, ros, tmp_path):
    about = json.loads((places["hopper"] / "policy_contract.json").read_text())
    place = edited(places["hopper"], tmp_path / "servo", actions=[row | {"stop": "hold"} for row in about["actions"]])
    _, found = loaded(place)
    rows = found.observations[found.episode == 0]
    sent = ros().run(place, 20, lambda step: array(rows[step]) if step < 6 else None)
    assert all(np.array_equal(action, sent[8]) for action in sent[8:]) and (sent[8] != 0).any()
    assert ros().run(place, 5, lambda step: None) == []  # there is none to hold


def test_actions_change_no_faster_than_told(places, ros):
    _, found = loaded(places["hopper"])
    rows = found.observations[found.episode < 0]
    sent = np.array(ros(change=[0.01] * 3).run(places["hopper"], 12, lambda step: array(rows[step % len(rows)])))
    assert np.allclose(np.abs(np.diff(sent, axis=0)).max(axis=0), 0.01, atol=1e-6)


def test_an_observation_that_is_none_is_as_good_as_lost(places, ros):
    for wrong in ([0.0] * 3, [np.nan] * 11):
        node = ros()
        sent = node.run(places["hopper"], 6, lambda step, wrong=wrong: array(wrong))
        assert len(sent) == 1 and sum("is not used" in said for said in node.said) == 1
    for wrong in ({"name": ["hinge"], "position": [0.0], "velocity": [0.0]}, {**joints(np.zeros(4)), "velocity": []}):
        node = ros(input="auto")
        assert len(node.run(places["pole"], 6, lambda step, wrong=wrong: wrong)) == 1
        assert sum("is not used" in said for said in node.said) == 1


@pytest.mark.parametrize(
    ("wrong", "why"), [({"input": "joints"}, "joints where every column"), ({"change": [1.0, 1.0]}, "`change` must be")]
)
def test_a_wrong_parameter_is_said(wrong, why, places, ros, capsys):
    with pytest.raises(AssertionError):
        ros(**wrong).run(places["ant"], 1, lambda step: None)
    said = capsys.readouterr().err
    assert why in said and said.count("\n") == 1


def test_a_rate_that_is_not_known_has_to_be_told(places, ros, tmp_path, capsys):
    place = edited(places["hopper"], tmp_path / "unknown", control_hz=None)
    with pytest.raises(AssertionError):
        ros().run(place, 1, lambda step: None)
    assert "-p rate:=50.0" in capsys.readouterr().err
    node = ros(rate=50.0)
    node.run(place, 1, lambda step: None)
    assert node.period == 0.02


def test_the_check_needs_neither_ros_nor_transreward(places, tmp_path):
    def checked(place: Path) -> subprocess.CompletedProcess:
        command = [sys.executable, "-c", ALONE, str(place / "policy_node.py"), "check"]
        return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False, cwd=tmp_path)

    done = checked(places["pole"])
    assert done.returncode == 0 and "golden rows, largest difference 0.0" in done.stdout
    place = shutil.copytree(places["pole"], tmp_path / "other")
    (place / "policy.onnx").write_bytes((places["hopper"] / "policy.onnx").read_bytes())
    done = checked(place)
    assert done.returncode == 1 and done.stderr == (
        "policy_node: policy.onnx is not the policy of this contract: its hash is another one\n"
    )


ALONE = """
import runpy, sys
sys.modules["transreward"] = None
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
