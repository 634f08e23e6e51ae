"""Bridges that a user gives, by a file or a function: what they mean, and how what is wrong in them is said."""

from __future__ import annotations

import json
import re
import sys
from functools import cache
from pathlib import Path

import jax
import numpy as np
import pytest
import yaml
from crossed import agents_of, require_maps, require_plain_steps, require_taken_up
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import transreward as tr
from transreward import cli
from transreward.bridges.bridge import require_sound
from transreward.bridges.given import Given
from transreward.bridges.lines import End, Lines
from transreward.bridges.take_up import take_up
from transreward.domains.across import Described, split
from transreward.domains.bridged import plain_id, view_of
from transreward.learners.ppo import PPO
from transreward.learners.sac import SAC
from transreward.request.resolve import pair_of
from transreward.types import Entry, RequestError

pytestmark = pytest.mark.usefixtures("hurry")

PAIR = CHEETAH, WALKER = "halfcheetah", "walker2d"
LEGS = {"thigh": "thigh", "leg": "shin", "foot": "foot"}
PARTS = {f"{t}{side}_joint": f"-{end}{s}" for end, side in (("b", ""), ("f", "_left")) for t, s in LEGS.items()}
FEW = {"parts": {"thigh_joint": "-bthigh"}}
PAGE = Path(tr.__file__).parents[1] / "docs" / "bridges.md"
FUNCTIONS = '''
import numpy as np
SEEN = np.eye(17)
SEEN[3] = 0

def matrices(source, target):
    """The same array at each call, which it changes again."""
    SEEN[0, 0] = 1.0
    found = {"observations": (SEEN, np.zeros(17)), "actions": (np.eye(6)[::-1] * np.float32(-1), [0.0] * 6)}
    return found

def named(source, target):
    SEEN[:] = 7.0
    pairs = zip(source.action_entries, target.action_entries)
    return {"observations": {"rootz position": "rootz position"}, "actions": {b.name: a.name for a, b in pairs}}

def list_of(source, target): return [1]
def wide(source, target): return {"actions": (np.eye(7), np.zeros(7))}
def endless(source, target): return {"actions": (np.full((6, 6), np.inf), np.zeros(6))}
def alone(source, target): return {"actions": (np.eye(6),)}
def breaks(source, target): raise KeyError("a line\\nand another")
def leaves(source, target): raise SystemExit(3)
'''


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty current directory, into which this writes a bridge; returns its name."""
    monkeypatch.chdir(tmp_path)

    def write(told, name="map.yaml"):
        text = told if isinstance(told, str) else json.dumps(told) if name.endswith("json") else yaml.safe_dump(told)
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text)
        return name

    return write


def bridge(told, pair=PAIR):
    """The same without a file."""
    return require_sound("told", Given("told", lambda own, other: told).across(*sides(pair)))


@cache
def sides(pair):
    """What a bridge may read of the two."""
    return [Described(tr.domain(id)) for id in pair]


def rows(found, kind="obs"):
    """Shown column -> [its factors by the robot's own columns, its offset], where there are some."""
    shown, own = (side.entries if kind == "obs" else side.action_entries for side in (found.shown, found.own))
    one = getattr(found.there, kind)
    return {
        entry.name: ({own[j].name: float(row[j].round(6)) for j in np.flatnonzero(row)}, float(np.round(fill, 6)))
        for entry, row, fill in zip(shown, one.matrix, one.fill, strict=True)
        if row.any() or fill
    }


# -- what a map means ----------------------------------------------------------------------------------------------


def test_parts_match_as_the_kinematic_ones_do():
    told, found = bridge({"parts": PARTS}), tr.bridge(*PAIR, "kinematic").crossing
    for one, other in zip((*told.there, *told.back), (*found.there, *found.back), strict=True):
        np.testing.assert_array_equal(one.matrix, other.matrix)
    assert told.lost == found.lost == () and told.clipped == ()


def test_lines_stand_in_the_place_of_what_parts_match():
    told = {
        "parts": PARTS,
        "observations": {"rooty angle": "-rooty angle", "rootx velocity": None,
                         "foot_joint angle": {"bfoot angle": -0.5, "bshin angle": -0.5, "offset": 0.1},
                         "foot_left_joint angle": {"offset": 0.25}},
        "actions": {"foot_joint": {"bfoot": 0.5}, "foot_left_joint": {"offset": 0.2}, "leg_left_joint": None},
    }  # fmt: skip
    found = bridge(told)
    seen, moved = rows(found), rows(found, "action")
    assert seen["rooty angle"] == ({"rooty angle": -1}, 0) and "rootx velocity" not in seen
    assert seen["foot_joint angle"] == ({"bshin angle": -0.5, "bfoot angle": -0.5}, 0.1)
    assert seen["foot_left_joint angle"] == ({}, 0.25) and found.held == ("foot_left_joint angle",)
    assert seen["foot_joint velocity"] == ({"bfoot velocity": -1}, 0)
    assert moved["thigh_joint"] == ({"bthigh": -1}, 0) and moved["foot_joint"] == ({"bfoot": 0.5}, 0)
    assert moved["foot_left_joint"] == ({}, 0.2) and "leg_left_joint" not in moved
    assert found.clipped == ("bfoot",)  # which half of the target's range moves as far as it can
    assert set(found.lost) == {"rootx velocity", "ffoot angle", "fshin", "ffoot"}
    back = found.back.obs(np.array(found.there.obs(np.arange(17.0))))
    np.testing.assert_allclose(back[[3, 4]], [3, 4])  # the shin's angle is shown by itself, and so the foot's is told


def test_without_parts_only_what_is_said_is_joined():
    found = bridge({"observations": {"rooty angle": "rooty angle"}, "actions": {"leg_joint": "fshin"}})
    assert rows(found) == {"rooty angle": ({"rooty angle": 1}, 0)}
    assert rows(found, "action") == {"leg_joint": ({"fshin": 1}, 0)}


def test_names_are_mapped_in_shares_and_factors_in_units():
    """Of motors whose boxes differ, in width and place."""
    pair = "inverted_pendulum", "pusher"  # [-3, 3] and [-2, 2]
    motor = tr.domain("pusher").action_entries[0].name
    lines = {"observations": {"goal x": "slider position"}}
    with pytest.raises(RequestError, match="is in N m, and 'slide' in N: give a factor"):
        bridge({**lines, "actions": {motor: "slide"}}, pair)
    found = bridge({**lines, "actions": {motor: {"slide": 0.5, "offset": -0.25}}}, pair)
    assert rows(found, "action") == {motor: ({"slide": 0.5}, -0.25)}
    np.testing.assert_allclose(found.back.action(found.there.action(np.array([[1.5]]))), [[1.5]])
    pair, pole = ("inverted_pendulum", "inverted_double_pendulum"), {"sin(hinge)": {"hinge angle": 1.0}}
    found = bridge({"observations": pole, "actions": {"slide": "-slide"}}, pair)
    assert rows(found, "action") == {"slide": ({"slide": -0.333333}, 0)}  # [-3, 3] to [-1, 1]


def test_a_sum_comes_back_as_the_nearest_that_would_show_it():
    actions = {"leg_joint": {"bshin": -0.5, "fshin": -0.5}}
    observations = {"leg_joint angle": {"bshin angle": 2.0, "fshin angle": 1.0, "offset": 3.0}}
    found = bridge({**FEW, "actions": actions, "observations": observations})
    np.testing.assert_allclose(found.back.action(np.array([0, 0.4, 0, 0, 0, 0])), [0, -0.4, 0, 0, -0.4, 0])
    seen = found.back.obs(np.array([0, 0, 0, 8.0] + [0] * 13))
    np.testing.assert_allclose(seen[[3, 6]], [2, 1])  # of all angles with 2 a + b = 5 the least
    assert {"bshin", "fshin", "bshin angle", "fshin angle"} <= set(found.lost) and not found.clipped


def test_the_way_back_can_be_told():
    told = {"parts": PARTS, "observations": {"foot_joint angle": "-bshin angle"}}
    assert rows(bridge(told).reversed)["bshin angle"] == ({"leg_joint angle": -0.5, "foot_joint angle": -0.5}, 0)
    back = {"observations": {"bshin angle": "-leg_joint angle", "fshin velocity": None}}
    found = bridge({**told, "back": back})
    seen = rows(found.reversed)
    assert seen["bshin angle"] == ({"leg_joint angle": -1}, 0) and "fshin velocity" not in seen
    assert "fshin velocity" in found.lost and "bshin angle" not in found.lost
    with pytest.raises(RequestError, match="`back` does not give 'bshin angle' as it was: mend its line"):
        bridge({**told, "back": {"observations": {"bshin angle": "leg_joint angle"}}})


def test_columns_without_names_go_by_number():
    pair = "gym:Pendulum-v1", "gym:MountainCarContinuous-v0"
    found = bridge({"observations": {"obs[1]": {"obs[2]": 0.01}}, "actions": {"action[0]": "action[0]"}}, pair)
    assert rows(found) == {"obs[1]": ({"obs[2]": 0.01}, 0)}
    assert rows(found, "action") == {"action[0]": ({"action[0]": 0.5}, 0)}  # [-2, 2] to [-1, 1]
    with pytest.raises(RequestError, match=r"unknown part of gym:MountainCarContinuous-v0 'action\[0\]'"):
        bridge({"parts": {"action[0]": "action[0]"}}, pair)


# -- what crosses --------------------------------------------------------------------------------------------------

SUMS = {
    "parts": PARTS,
    "observations": {"foot_joint angle": {"bfoot angle": -0.5, "bshin angle": -0.5, "offset": 0.1}},
    "actions": {"foot_joint": {"bfoot": 0.5}, "leg_joint": {"bshin": -0.6, "bfoot": 0.3, "offset": 0.05}},
}


def test_steps_are_the_plain_robots_in_other_columns(here):
    found = tr.domain(f"{CHEETAH}@{here(SUMS, 'maps/my-map.v2.json')}({WALKER})")
    assert found.name == "halfcheetah@maps/my-map.v2.json(walker2d)"
    require_maps(found.crossing)
    require_plain_steps(found.plain, found, found.crossing)
    assert "clipped: bshin, bfoot" in found.said()
    assert re.search(r"^foot_joint angle +-0.5 bshin angle - 0.5 bfoot angle \+ 0.1$", found.table(), re.M)


@pytest.mark.parametrize("learner", [SAC(hidden=(8, 8)), PPO(hidden=(8, 8))], ids=lambda learner: learner.name)
def test_an_agent_crosses_exactly(learner):
    some = {there: here for there, here in PARTS.items() if there != "foot_left_joint"}
    require_taken_up(learner, tr.domain(CHEETAH), bridge({"parts": some}))


def test_an_agent_that_does_not_squash_crosses_sums_exactly_too():
    learner, crossing = PPO(hidden=(8, 8)), bridge(SUMS)
    agents = agents_of(learner, tr.domain(CHEETAH))
    taken = take_up(learner, agents, crossing)
    obs = np.random.default_rng(0).normal(1, 2, (2, 7, 17)).astype(np.float32)
    act = jax.vmap(learner.act)
    did = act(agents, np.asarray(crossing.back.obs(obs), np.float32), None)
    np.testing.assert_allclose(act(taken, obs, None), crossing.there.action(np.asarray(did)), atol=1e-5)


def test_a_held_column_is_no_other_at_a_reset(here):
    lines = {"foot_joint angle": {"offset": 0.25}, "foot_left_joint angle": {"offset": 0}}
    found = tr.bridge(*PAIR, here({**FEW, "observations": lines}))
    obs = found.simulate(2, 0, 1).obs
    np.testing.assert_array_equal(obs[:, [4, 7]], [[0.25, 0.0]] * 2)
    assert (obs[:, 6] == found.other.simulate(64, 0, 1).obs.mean(axis=0)[6]).all() and obs[0, 6]


def test_a_request_names_the_file(here):
    name = here({"parts": {"bthigh2": "bthigh"}}, "a/map.yml")
    pair, shift = pair_of(CHEETAH, "halfcheetah:legs=3", {}, name)
    assert pair.source.name == "halfcheetah@a/map.yml(halfcheetah:legs=3)" and shift is None
    assert tr.domain(pair.source.name).crossing.there.action.matrix[6, 0] == 1


@pytest.mark.slow
def test_a_run_crosses_over_a_file_and_opens_again(here):
    small = "--source-steps 320 --target-steps 64 --seeds 1 --controls zero_shot --no-video --learner sac"
    more = "learner.hidden=8 learner.batch=16 learner.robots=4 loop.eval_episodes=1 loop.final_episodes=1"
    name = here({"parts": {"bthigh2": "bthigh"}}, "a/map.yml")
    words = [CHEETAH, "halfcheetah:legs=3", "--bridge", name, "--method", "fine_tune", "--out", "run"]
    cli.main(["transfer", *words, *small.split(), "--set", *more.split()])
    config = json.loads(Path("run/config.json").read_text())
    assert config["source"] == "halfcheetah@a/map.yml(halfcheetah:legs=3)"
    assert tr.load("run").policy(0)(np.zeros(23)).shape == (9,)
    assert {path.name for path in Path().iterdir()} == {"a", "run"}


# -- functions -----------------------------------------------------------------------------------------------------


@pytest.fixture
def functions(here, monkeypatch):
    monkeypatch.syspath_prepend(".")
    here(FUNCTIONS, "brought_maps.py")
    yield "brought_maps:"
    sys.modules.pop("brought_maps")


def test_a_function_tells_lines_or_matrices_that_are_copied(functions):
    found = tr.bridge(*PAIR, f"{functions}matrices")
    assert tr.domain(found.name).name == "halfcheetah@brought_maps:matrices(walker2d)"
    lines = tr.bridge(*PAIR, f"{functions}named")  # and what it told before is another now
    assert found.crossing.there.obs.matrix.trace() == 16 and found.unseen == ("leg_joint angle",)
    assert rows(found.crossing, "action")["thigh_joint"] == ({"ffoot": -1}, 0)
    assert rows(lines.crossing, "action")["thigh_joint"] == ({"bthigh": 1}, 0)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("list_of", "must return a mapping such as {parts: {thigh_joint: -bthigh}}"),
        ("wide", "the matrix of actions that brought_maps:wide returns must be numbers of shape (6, 6), not of shape"),
        ("endless", "the matrix of actions that brought_maps:endless returns must be finite, not inf"),
        ("alone", "must return (matrix, offset), not 1 values"),
        ("breaks", "the bridge 'brought_maps:breaks' failed: KeyError"),
        ("leaves", "the bridge 'brought_maps:leaves' failed: SystemExit: 3"),
        ("nothing", "unknown bridge of brought_maps 'nothing'"),
    ],
)
def test_a_function_that_fails_says_so_in_one_line(functions, name, said):
    with pytest.raises(RequestError, match=re.escape(said)) as caught:
        tr.bridge(*PAIR, functions + name)
    assert "\n" not in str(caught.value)


# -- what is refused -----------------------------------------------------------------------------------------------


def seen(text, name="leg_joint angle"):
    return {**FEW, "observations": {name: text}}


def moved(text):
    return {**FEW, "actions": {"leg_joint": text}}


REFUSED = [
    ({"part": {}}, "unknown key 'part': did you mean parts?"),
    ({"parts": {}}, "it maps nothing: write a mapping such as"),
    ({"parts": ["thigh_joint"]}, "parts must be a mapping of names, not ['thigh_joint']"),
    ({"parts": {"thigh": "bthigh"}}, "unknown part of walker2d 'thigh': did you mean"),
    ({"parts": {"thigh_joint": "-bthig"}}, "unknown part of halfcheetah 'bthig': did you mean bthigh"),
    (
        {"observations": {"rooty angle": "rooty angle"}},
        "no motor of halfcheetah (bthigh, bshin, bfoot, fthigh, ...) is found in walker2d",
    ),
    ({"actions": {"leg_joint": "bshin"}}, "no column of halfcheetah (rootz position, rooty angle, "),
    (seen("bshin angle", "leg_joint angel"), "unknown column of walker2d 'leg_joint angel': did you mean"),
    (seen("bshin angel"), "unknown column of halfcheetah 'bshin angel': did you mean bshin angle"),
    (seen("bshin velocity"), "the column 'leg_joint angle' is in rad, and 'bshin velocity' in rad/s: give a factor"),
    (
        seen(3),
        "'leg_joint angle' shows a column of halfcheetah, minus one, or a mapping of some to their factors",
    ),
    (seen({}), "or a mapping of some to their factors, not {}"),
    (seen({"bshin angle": True}), "'leg_joint angle': the factor of bshin angle must be a finite number, not True"),
    (seen({"bshin angle": "2"}), "must be a finite number, not '2'"),
    (seen("bshin angle", True), "unknown column of walker2d 'True'"),
    (moved({"bshin": 1.5}), "asks more of 'leg_joint' than its box allows, by 0.5: 0.667 times as much would fit"),
    (moved({"bshin": 1, "offset": 0.5}), "asks more of 'leg_joint' than its box allows, by 0.5: 0.5 times as much"),
    (moved({"offset": 3}), "asks more of 'leg_joint' than its box allows, by 2: its offset alone is outside"),
    ({**FEW, "back": {"action": {}}}, "unknown key 'action': did you mean actions?"),
    ({**FEW, "back": {"observations": {"bshin": "leg_joint angle"}}}, "unknown column of halfcheetah 'bshin'"),
]


@pytest.mark.parametrize(("told", "said"), REFUSED)
def test_a_wrong_line_is_one_line(told, said, here):
    with pytest.raises(RequestError, match=re.escape(said)) as caught:
        tr.bridge(*PAIR, here(told))
    assert str(caught.value).startswith("the bridge 'map.yaml'") and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("nowhere.yaml", "cannot read nowhere.yaml"),
        ("list.yaml", "list.yaml must hold a mapping such as {parts: {thigh_joint: -bthigh}}"),
        ("twice.yaml", "twice.yaml does not parse"),
        ("my map.yaml", "'my map.yaml' is no bridge: name one, or a file that ends in .yaml, .yml or .json"),
        ("map.toml", "'map.toml' is no bridge"),
        ("nowhere:map", "there is no module nowhere to import"),
        ("os:abort", "cannot import os: it is Python's own"),
        ("shuffled(lines.yaml)", "only parts can be cloned or shuffled, and it gives observations and actions, too"),
        ("clone(nowhere.json)", "cannot read nowhere.json"),
    ],
)
def test_what_is_no_map_is_refused(how, said, here):
    here("[1]", "list.yaml"), here("parts: {a: b}\nparts: {a: b}", "twice.yaml"), here(SUMS, "lines.yaml")
    with pytest.raises(RequestError, match=re.escape(said)):
        tr.bridge(*PAIR, how)


@pytest.mark.parametrize(
    ("unit", "said"), [("deg", "pole: {hinge: -57.3}"), ("rpm", "pole: {hinge: -2}"), ("rad/s", "pole: {hinge: -2}")]
)
def test_a_name_in_another_unit_is_refused_with_the_factor_between_them(unit, said):
    """Where one is known; else with an example."""
    lines = Lines("column", End("source", [Entry("hinge", "rad")]), End("robot", [Entry("pole", unit)]))
    with pytest.raises(
        RequestError, match=re.escape(f"is in {unit}, and 'hinge' in rad: give a factor, such as {said}")
    ):
        lines.read({"pole": "-hinge"})


def test_motors_that_ask_for_other_things_need_a_factor():
    """A part that joins no motor would be half a map."""
    pair, parts = ("inverted_pendulum", "hopper"), {"thigh_joint": "slider"}
    with pytest.raises(RequestError, match="'thigh_joint' asks for N m, and that of 'slider' for N: say in `actions`"):
        bridge({"parts": parts}, pair)
    lines = {"thigh_joint angle": {"slider position": 1}}
    assert bridge({"parts": parts, "actions": {"thigh_joint": {"slide": 0.3}}, "observations": lines}, pair)


def test_parts_of_a_file_can_be_cloned_and_shuffled(here):
    name = here({"parts": {"bthigh": "bthigh", "bshin": "bshin", "bfoot": "bfoot"}})
    pair = CHEETAH, "halfcheetah:legs=3"
    assert rows(tr.bridge(*pair, f"clone({name})").crossing, "action")["bfoot2"] == ({"bfoot": 1}, 0)
    odd = rows(tr.bridge(*pair, f"shuffled({name})").crossing, "action")
    assert odd.keys() == {"bthigh", "bshin", "bfoot"} and all(name not in row for name, (row, _) in odd.items())


NAMES = st.sampled_from(["parts", "observations", "actions", "back", "thigh_joint", "-bthigh", "bthigh", "rooty angle",
                         "-rooty angle", "leg_joint angle", "offset", "bshin angle", "leg_joint"])  # fmt: skip
ANYTHING = st.recursive(
    NAMES | st.none() | st.booleans() | st.floats(-2, 2) | st.text(max_size=3),
    lambda inner: st.dictionaries(NAMES, inner, max_size=4) | st.lists(inner, max_size=2),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(NAMES, ANYTHING, max_size=4))
def test_whatever_is_told_is_sound_or_refused_in_one_line(told):
    try:
        require_maps(require_sound("told", Given("told", lambda *_: told).across(*sides(PAIR))))
    except RequestError as error:
        assert "\n" not in str(error) and len(str(error)) < 600


# -- ids and the page ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("id", "parts"),
    [
        ("a@map.yaml(b:legs=3)", ("a", "map.yaml", "b:legs=3")),
        ("a:c(d)=2@../x/my-map_2.json(b@named(c))", ("a:c(d)=2", "../x/my-map_2.json", "b@named(c)")),
        ("a@mirrored@/tmp/map.yml(b@history=2)", ("a@mirrored", "/tmp/map.yml", "b@history=2")),
        ("lab:robot@shuffled(lab.maps:Of.this)(lab:robot)", ("lab:robot", "shuffled(lab.maps:Of.this)", "lab:robot")),
        ("a@named(b)@named(c)", ("a@named(b)", "named", "c")),
        ("a@mirrored:gear(x)=0.5@named(b)", ("a@mirrored:gear(x)=0.5", "named", "b")),
        ("a@mirrored:gear(x)", None),
        ("a@mirrored:gear(x)=0.5", None),
        ("a@history=2", None),
        ("a@named()", None),
        ("@named(a)", None),
        ("a@named)(b)", None),
        ("a)", None),
    ],
)
def test_ids_with_a_bridge_of_ones_own(id, parts):
    assert split(id) == parts


def test_a_bridge_is_no_view():
    assert view_of("a@maps/x.yaml(b)") is None and view_of("a@x.y:z(b@mirrored)") is None
    assert view_of("a@mirrored:mass=2@map.yaml(b)") == "mirrored"
    assert plain_id("a@mirrored:mass=2@map.yaml(b)") == "a:mass=2@map.yaml(b)"
    assert plain_id("a@map.yaml(b)") == "a@map.yaml(b)"


def test_the_pages_example(here):
    block = re.search(r"^```yaml\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert block is not None
    found = tr.bridge(*PAIR, here(block[1]))
    assert found.said() in PAGE.read_text()
