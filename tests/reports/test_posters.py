"""Several runs in one film, and strips for paper: what is written has the runs' pictures, in their places and times."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from drawing import draws
from PIL import Image

from transreward import cli
from transreward.reports.films import grid, poster, video
from transreward.reports.films.panel import BACKGROUND, HEADING

RUNS = Path(__file__).parents[1] / "data" / "runs" / "1"
SHORT = ["--seconds", "0.4", "--size", "64x64"]


def film(value: int, n: int, shape=(10, 8, 3)):
    """Pictures of one colour that counts up."""
    return (np.full(shape, value + i, np.uint8) for i in range(n))


def test_films_are_side_by_side_each_at_its_own_speed():
    found = list(grid.tiled([film(100, 4), film(200, 2)], [20.0, 10.0], ["a", "b"], 2))
    assert [x.shape for x in found] == [(10 + HEADING, 16, 3)] * 4
    assert [(int(x[-1, 0, 0]), int(x[-1, -1, 0])) for x in found] == [(100, 200), (101, 200), (102, 201), (103, 201)]


def test_what_is_over_stands_still():
    found = list(grid.tiled([film(100, 1), film(200, 3)], [20.0, 20.0], ["a", "b"], 1))
    assert [int(x[HEADING, 0, 0]) for x in found] == [100] * 3
    assert [int(x[-1, 0, 0]) for x in found] == [200, 201, 202]


def test_an_empty_place_is_dark():
    (found,) = grid.tiled([film(100, 1)] * 1 + [film(150, 1), film(200, 1)], [1.0] * 3, ["a", "b", "c"], 2)
    assert found.shape == (2 * (10 + HEADING), 16, 3) and tuple(found[-1, -1]) == BACKGROUND


@draws
@pytest.mark.parametrize("ending", ["png", "pdf"])
def test_a_strip(ending, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    runs = [str(RUNS / "transfer-ppo"), str(RUNS / "transfer-sac")]
    cli.main(["play", *runs, "--out", f"strip.{ending}", "--pictures", "3", *SHORT])
    size = Path(f"strip.{ending}").stat().st_size
    assert capsys.readouterr().out == f"strip  strip.{ending} ({size / 1e3:.0f} kB)\n"
    if ending == "png":
        with Image.open("strip.png") as picture:
            assert picture.size[0] == 3 * 64 + 2 * 4 and picture.info["dpi"] == pytest.approx((300, 300), abs=1)
            pixels = np.asarray(picture.convert("RGB"))
        top = poster.TITLE + poster.LINE
        assert (pixels[top : top + 64, 65] == 255).all(), "paper between the pictures"
        assert np.ptp(pixels[top : top + 40, :64]) > 50, "a robot in the first"
        assert list(tmp_path.iterdir()) == [tmp_path / "strip.png"]
    else:
        assert Path("strip.pdf").read_bytes().startswith(b"%PDF")


@draws
def test_one_film_of_several_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runs = [str(RUNS / name) for name in ("transfer-ppo", "transfer-sac", "transfer-ppo")]
    cli.main(["play", *runs, "--out", "grid.gif", *SHORT])
    with Image.open("grid.gif") as picture:
        assert picture.size[0] == 2 * 2 * 64 and picture.n_frames > 2  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["D", "D"], "name the file of several runs, or of a strip, by --out"),
        (["D", "--pictures", "4"], "name the file of several runs, or of a strip, by --out"),
        (["D", "D", "--out", "a.avi"], "must name a file that ends in .mp4, .gif, .webp, .png, .pdf"),
        (["D", "D", "--out", "a.mp4", "--pictures", "4"], "are 2 to 20 of a .png or .pdf"),
        (["D", "--out", "a.png", "--pictures", "1"], "are 2 to 20 of a .png or .pdf"),
        (["D", "--out", "a.png", "--episodes", "2"], "shows one episode: leave --episodes away"),
        (["D", "D", "--live"], "are of one DIR, and no strip"),
        (["D", "D", "--before-after"], "are of one DIR, and no strip"),
    ],
)
def test_wrong_strips_are_refused_in_a_line(arguments, why, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(video, "require_tools", lambda: None)
    with pytest.raises(SystemExit) as caught:
        cli.main(["play", *(str(RUNS / "transfer-ppo") if one == "D" else one for one in arguments)])
    said = capsys.readouterr().err
    assert caught.value.code == 2 and why in said and said.count("\n") == 1
    assert not list(tmp_path.iterdir())
