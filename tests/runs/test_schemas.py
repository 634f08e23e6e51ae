"""Run directories as each schema has them are read by this version: see tests/data/runs/make.py."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import transreward as tr
from transreward.reports.export import export
from transreward.reports.page import page
from transreward.runs import record
from transreward.types import RequestError

pytestmark = pytest.mark.usefixtures("hurry")
RUNS = sorted(path for path in (Path(__file__).parents[1] / "data" / "runs").glob("*/*") if path.is_dir())
named = pytest.mark.parametrize("place", RUNS, ids=lambda path: "/".join(path.parts[-2:]))


@named
def test_it_is_loaded(place):
    found = tr.load(place)
    assert found.stopped == ("unfinished" if place.name in ("unfinished", "checkpoint") else "budget")
    assert found.target_return.shape[0] == 1 and np.isfinite(found.target_return).all()
    assert np.isfinite(found.policy()(np.zeros((3, 4)))).all()
    assert (found.partner is not None) == (place.name == "cotrain")
    assert set(found.controls) == {
        "compare": {"zero_shot", "fine_tune", "target_only"}, "transfer-sac": {"zero_shot"},
    }.get(place.name, set())  # fmt: skip


@named
def test_it_is_reported(place):
    runs = record.read(place)
    assert "</html>" in page(record.in_order(runs, place), comparison=(place / "comparison.json").exists())


@pytest.mark.parametrize("place", [p for p in RUNS if p.name == "transfer-ppo"], ids=lambda path: path.parts[-2])
def test_what_its_compensation_learned_is_there(place):
    compensation, state = tr.load(place).compensation()
    assert compensation is not None and state is not None


@pytest.mark.parametrize("place", [p for p in RUNS if p.name == "checkpoint"], ids=lambda path: path.parts[-2])
def test_it_goes_on(place, tmp_path):
    out = Path(shutil.copytree(place, tmp_path / "run"))
    for stage, seconds in (("source-36/1", 1_000.0), ("mix/4", 2_000.0)):  # that it took until then
        file = out / "state" / f"{stage}.json"
        kept = json.loads(file.read_text())
        about = json.loads(kept["about"])
        about["runs"][-1]["seconds"] = seconds
        kept["about"] = json.dumps(about)
        file.write_text(json.dumps(kept | {"sha256": hashlib.sha256(kept["about"].encode()).hexdigest()}))
    found = tr.resume(out)
    assert found.steps == (64, 32) and 3_000 < found.wall_seconds < 3_600


@pytest.mark.parametrize("place", [p for p in RUNS if p.name == "transfer-sac"], ids=lambda path: path.parts[-2])
def test_its_source_agent_is_taken_up(place):
    learner = tr.load(place).learner
    found = tr.transfer(
        "inverted_pendulum", "inverted_pendulum:gravity=1.5", "zero_shot", learner=learner, source_run=place,
        source_steps=64, target_steps=32, seeds=1, seed=3, settings={"loop.final_episodes": 1},
    )  # fmt: skip
    assert found.zero_shot.shape == (1, 1)


@named
def test_it_is_exported(place, tmp_path):
    pytest.importorskip("onnxruntime")
    out = Path(shutil.copytree(place, tmp_path / "run"))
    if place.name in ("transfer-ppo", "unfinished"):
        export(out, tmp_path / "policy.onnx")
        assert (tmp_path / "policy.onnx").exists()


@pytest.mark.parametrize("place", [p for p in RUNS if p.name == "transfer-ppo"], ids=lambda path: path.parts[-2])
def test_more_steps_than_it_can_go_on_with_are_refused_in_a_line(place):
    """What docs/first-edition.md says of runs that kept no state."""
    with pytest.raises(RequestError, match="kept no state to go on from") as caught:
        tr.resume(place, target_steps=10_000)
    assert len(str(caught.value).splitlines()) == 1
