"""The page of a run between unlike robots draws both, and says what stands for what."""

from __future__ import annotations

import json
import re
import shutil
from html import unescape
from pathlib import Path

import pytest
from test_page import Page, tables

from transreward.reports.page import write_report

RUN = Path(__file__).parents[1] / "data" / "runs" / "1" / "transfer-sac"
LEGS = ["bthigh", "bshin", "bfoot", "fthigh", "fshin", "ffoot"]


def page(tmp_path, source, target, **more):
    """Of a run between other robots."""
    place = Path(shutil.copytree(RUN, tmp_path / "run"))
    for file in (place / "config.json", *place.glob("controls/*/config.json")):
        config = json.loads(file.read_text()) | {"source": source, "target": target, "shift": None} | more
        file.write_text(json.dumps(config))
    return write_report([place]).read_text()


def section(text, name="bridge"):
    return text.partition(f'<section id="{name}"')[2].partition("</section>")[0]


def words(html):
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


def test_both_robots_are_drawn_and_what_does_the_same_has_one_colour(tmp_path):
    text = page(tmp_path, "halfcheetah@named(halfcheetah:legs=3)", "halfcheetah:legs=3")
    found, csv = section(text), tables(text)
    Page(text)  # its tags match
    pictures = re.findall(r'<svg class="chart".*?</svg>', found)
    assert len(pictures) == 2  # for narrow and for wide pages
    for one in pictures:
        assert [one.count(f'class="bone found s{style}"') for style in (0, 1, 2, 4, 5, 6)] == [2] * 6
        assert one.count('class="bone"') == 2 * 2 + 3  # trunk and head of both, and the leg that stands for nothing
        assert re.findall(r'class="mark"[^>]*>(\d)<', one).count("1") == 2
        assert "1 bthigh and bthigh" in one and "bthigh2, bshin2, bfoot2 of the target" in one
    assert "6 of 9 of the target's stand for 6 of 6 of the source's" in words(found)
    assert "unseen: of the target, showing nothing of the source bthigh2 angle" in words(found)
    assert "unshown: of the source, standing for nothing in the target none" in words(found)
    assert {"what": "motor", "target": "bthigh2", "source": ""} in csv["bridge.csv"] and len(csv["bridge.csv"]) == 32
    assert [row["source"] for row in csv["parts.csv"]] == LEGS


def test_the_shift_was_not_measured_since_they_are_other_bodies(tmp_path):
    text = page(tmp_path, "halfcheetah@kinematic(walker2d)", "walker2d")
    said = words(section(text, "shift"))
    assert "not measured: source and target are other bodies" in said and "version" not in said
    assert text.index('<section id="bridge"') < text.index('<section id="shift"')
    assert "4 fthigh and thigh_left_joint" in section(text)


@pytest.mark.parametrize(("source", "why"), [("data:log.npz", "the source is a log"), ("hopper", "by the version")])
def test_another_run_without_a_measure_says_why_and_has_no_bridge(tmp_path, source, why):
    text = page(tmp_path, source, "hopper:gravity=2")
    assert why in words(section(text, "shift")) and '<section id="bridge"' not in text


def test_a_view_before_the_bridge_is_drawn_as_the_robot_is(tmp_path):
    target = "halfcheetah+backward:legs=3"
    text = page(tmp_path, f"halfcheetah@mirrored@named({target})", target)
    assert [row["source"] for row in tables(text)["parts.csv"]] == LEGS[3:] + LEGS[:3]


def test_each_of_several_sources_has_its_bridge(tmp_path):
    sources = [f"halfcheetah{shift}@named(halfcheetah:legs=3)" for shift in ("", ":gravity=2")]
    text = page(tmp_path, sources[0], "halfcheetah:legs=3", sources=sources)
    assert section(text).count("<figure") == 2 and "Left halfcheetah:gravity=2, right" in section(text)


def test_what_cannot_be_drawn_or_made_is_said(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = {"actions": {"action[0]": "action[0]"}, "observations": {"obs[0]": "obs[0]"}}
    Path("map.json").write_text(json.dumps(lines))
    target = "gym:Pendulum-v1"
    found = section(page(tmp_path, f"gym:MountainCarContinuous-v0@map.json({target})", target))
    assert "<figure" not in found and "1 of 3 of the target's stand for 1 of 2 of the source's" in words(found)
    assert "obs[1], obs[2]" in words(found) and "bridge.csv" in found
    shutil.rmtree(tmp_path / "run")
    found = section(page(tmp_path, f"halfcheetah@gone.yaml({target})", target))
    assert "cannot be shown here: cannot read gone.yaml" in words(found)
