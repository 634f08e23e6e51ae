"""The picture of a log: what a person is to see stands in it, and nothing is drawn outside of it."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from transreward.domains.ids import domain
from transreward.domains.logs import Log
from transreward.domains.logs.summary import summary
from transreward.domains.names import action_entries, entries
from transreward.reports.canvas import fitted, length
from transreward.reports.recording import picture
from transreward.types import RequestError


def log(n=120, episodes=4, obs=4, **more):
    rng = np.random.default_rng(0)
    ends = np.arange(n) % (n // episodes) == n // episodes - 1
    over = ends & (np.arange(n) < n // 2)
    states = rng.normal(size=(n, obs)) * 0.1
    states[:, 1] = 3.5
    action = np.clip(rng.normal(size=(n, 1)) * 3, -3, 3)
    return Log(states, action, rng.normal(size=n), states + 1, over, ends & ~over, source="monday.csv", **more)


def words(path):
    return [element.text for element in ElementTree.parse(path).iter() if element.tag.endswith("text")]


def test_what_is_to_be_seen(tmp_path):
    """Episodes, gaps, bounds of the robot, columns that do not move or sit at their bounds."""
    missing = np.where(np.arange(120) == 59, 0.25, 0.0)
    found, robot = log(rate=25.0, missing=missing), domain("inverted_pendulum")
    about = summary(found, (entries(robot), action_entries(robot)))
    picture(found, about, tmp_path / "log.svg")
    said, drawn = words(tmp_path / "log.svg"), (tmp_path / "log.svg").read_text()
    assert {"monday.csv", "0.25 s missing", "constant", "hinge angle", "slide", "bounds of the robot"} <= set(said)
    assert any("120 steps in 4 episodes" in text and "1 gap in time" in text and "25 Hz" in text for text in said)
    assert f"{about.columns[-1].saturated:.0%} at ends" in said and about.columns[-1].saturated > 0.2
    assert drawn.count("<circle") == 2 * 2 + 1  # two episodes cut off in two charts, and the legend


def test_columns_stand_where_their_numbers_are(tmp_path):
    """A column that has half of its bounds fills half of the strip."""
    found, robot = log(), domain("inverted_pendulum")
    obs = found.obs.copy()
    obs[:, 0] = np.linspace(0, 1, 120)  # the slider's bounds are -1 and 1
    found = Log(*found.transition._replace(obs=obs), source="a")
    picture(found, summary(found, (entries(robot), action_entries(robot))), tmp_path / "log.svg")
    parts = re.findall(r'fill="(#\w+)" d="M([\d.]+) ([\d.]+)h([\d.]+)', (tmp_path / "log.svg").read_text())
    back = next(part for part in parts if part[0] == "#e9edf1" and part != parts[0] and float(part[3]) > 100)
    height = [float(y) for colour, _, y, _ in parts if colour == "#e9edf1"]
    rows = [[float(x) for colour, x, y, _ in parts if colour == "#0060a8" and abs(float(y) - at) < 15] for at in height]
    left, width = float(back[1]), float(back[3])
    assert any(row and abs(min(row) - (left + width / 2)) < 2 for row in rows)


@pytest.mark.parametrize(("n", "episodes", "obs"), [(1, 1, 4), (4000, 2000, 4), (60, 2, 300)])
def test_logs_of_all_sizes(tmp_path, n, episodes, obs):
    found = log(n, episodes, obs)
    picture(found, summary(found), tmp_path / "log.png")
    with Image.open(tmp_path / "log.png") as image:
        assert image.width == 2000 and 800 < image.height < 4000
        edges = [
            image.crop(box) for box in ((0, 0, 2000, 8), (0, image.height - 8, 2000, image.height), (1984, 0, 2000, 99))
        ]
        assert all(edge.getextrema() == ((255, 255),) * 3 for edge in edges)
    picture(found, summary(found), tmp_path / "log.svg")
    assert ("and 181 more columns" in words(tmp_path / "log.svg")) == (obs == 300)


def test_a_log_without_rewards(tmp_path):
    found = Log(*log().transition, source="<&>", rewarded=False)
    picture(found, summary(found), tmp_path / "log.svg")
    assert {"no rewards were recorded", "<&>"} <= set(words(tmp_path / "log.svg"))


def test_other_files_are_refused(tmp_path):
    found = log()
    for name, said in (("log.pdf", "ends in .png or .svg"), ("no/log.png", "in a folder that is there")):
        with pytest.raises(RequestError, match=said):
            picture(found, summary(found), tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_words_that_are_too_long():
    assert fitted("a", 12, 100) == "a"
    assert length(fitted("a" * 500, 12, 100), 12) <= 100 and fitted("a" * 500, 12, 100).endswith("\u2026")
