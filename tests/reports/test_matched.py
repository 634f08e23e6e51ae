"""The picture of a bridge: what does the same has the same colour in both halves."""

from __future__ import annotations

import colorsys
import json

import numpy as np
import pytest
from drawing import draws
from PIL import Image

import transreward as tr
from transreward.reports.films.matched import GREY, apart, coloured, drawn, hue, matched, picture
from transreward.reports.films.take import Film
from transreward.types import RequestError

SMALL = Film(160, 120)
LEGS = ("bthigh", "bshin", "bfoot", "fthigh", "fshin", "ffoot")


def hues(half):
    """The hue of each pixel that is coloured, not grey."""
    found = [colorsys.rgb_to_hsv(*(pixel / 255)) for pixel in half.reshape(-1, 3)]
    return np.array([h for h, s, v in found if s > 0.6 and v > 0.2])


def pixels(half, colour):
    """How many have the colour's hue, in whatever light."""
    return int((np.abs((hues(half) - colorsys.rgb_to_hsv(*colour)[0] + 0.5) % 1 - 0.5) < 0.03).sum())


@draws
@pytest.mark.parametrize("pair", [("halfcheetah", "halfcheetah:legs=3"), ("ant", "ant:legs=5")])
def test_matched_parts_have_their_colour_in_both_halves_and_nothing_else_has_one(pair):
    one = tr.bridge(*pair)
    image = drawn(one, SMALL)[24 : 24 + 120]
    halves = image[:, :160], image[:, 160:]
    colours = matched(one)[0]
    assert len(colours.source) == one.plain.spaces.action and colours.source.items() <= colours.target.items()
    for part, colour in colours.source.items():
        assert min(pixels(half, colour) for half in halves) > 4, part
    for half in halves:  # but where light or an edge shifts a hue
        assert sum(pixels(half, colour) for colour in colours.source.values()) > 0.85 * len(hues(half))


@draws
def test_it_is_a_png(tmp_path):
    file = tr.picture(tr.bridge("halfcheetah", "walker2d", "kinematic"), tmp_path / "map.png")
    with Image.open(file) as found:
        assert found.size[0] == 960 and found.format == "PNG"


def test_joints_of_one_body_and_clones_share_a_colour(tmp_path):
    colours, words = matched(tr.bridge("halfcheetah", "halfcheetah:legs=3", "clone(named)"))
    assert colours.target["bshin2"] == colours.target["bshin"] == colours.source["bshin"] == hue(1)
    assert ("bshin", "bshin, bshin2", hue(1)) in words and len(words) == 6
    colours, words = matched(tr.bridge("humanoid", "humanoid:without=left_shin"))
    assert colours.source["right_hip_x"] == colours.source["right_hip_y"] != colours.source["left_hip_x"]
    assert words[-1] == ("left_knee", "", GREY) and "left_knee" not in colours.source
    file = tmp_path / "map.json"
    lines = {"actions": {"leg_joint": {"bshin": -0.5, "bfoot": -0.5}}, "observations": {"rooty angle": "rooty angle"}}
    file.write_text(json.dumps(lines))
    assert matched(tr.bridge("halfcheetah", "walker2d", str(file)))[1][0][:2] == ("bshin, bfoot", "leg_joint")


def test_a_joints_colour_is_that_of_what_it_moves():
    model = tr.domain("ant").model
    before = model.geom_rgba.copy()
    found = coloured(model, {"hip_1": (1.0, 0.0, 0.0)})
    red = [found.geom(i).name for i in range(found.ngeom) if tuple(found.geom_rgba[i, :3]) == (1.0, 0.0, 0.0)]
    assert red == ["left_leg_geom"]  # and not the stub before it, which is the trunk's
    assert np.array_equal(model.geom_rgba, before) and found.geom_matid[0] == model.geom_matid[0] >= 0  # the floor's


def test_legs_that_hide_each_other_are_drawn_apart():
    walker, ant = tr.domain("walker2d"), tr.domain("ant")
    turned = np.flatnonzero(apart(walker) != walker.model.qpos0)
    assert [walker.model.joint("thigh_left_joint").qposadr[0]] == turned.tolist()
    assert np.array_equal(apart(ant), ant.model.qpos0)


def test_what_cannot_be_drawn_is_refused(tmp_path):
    (tmp_path / "map.json").write_text(
        json.dumps({"actions": {"action[0]": "action[0]"}, "observations": {"obs[0]": "obs[0]"}})
    )
    pair = "gym:Pendulum-v1", "gym:MountainCarContinuous-v0"
    with pytest.raises(RequestError, match="no picture: 'gym:Pendulum-v1' has no model to draw"):
        picture(tr.bridge(*pair, str(tmp_path / "map.json")), tmp_path / "map.png")
    with pytest.raises(RequestError, match=r"must name a file that ends in .png"):
        picture(tr.bridge("halfcheetah", "halfcheetah:legs=3"), tmp_path / "map.jpg")
