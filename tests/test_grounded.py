"""The method `identified`: evidence by the source policy, a simulator for each seed, and training in it."""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "golden"))
import bits

import transreward as tr
from transreward.domains.varied import Varied
from transreward.engine import state
from transreward.plan.compile import compile
from transreward.request.resolve import resolve

SETTINGS = {f"loop.{name}": value for name, value in bits.LOOP.items()}
LEARNER = tr.learner("sac", **bits.LEARNERS["sac"])


def config(target=bits.TARGET, **more):
    request = {**bits.REQUEST, "target_steps": 400, **more}
    return resolve(
        "hopper", target, "identified", learner=LEARNER, settings=SETTINGS, controls=(), source_run=None, **request
    )


def test_the_first_target_steps_are_taken_by_the_source_policy():
    (track,) = compile(config()).tracks
    first, then = track.stages
    assert (first.name, first.budget, first.schedule.updates) == ("identified-evidence", tr.Pair(0, 400), 0)
    assert first.schedule.warm == first.schedule.rounds and then.after == first.name
    assert then.budget.target == 0 and then.budget.source > 0 and then.ground == track.method.ground


@pytest.mark.slow
def test_each_seed_trains_in_what_its_own_steps_show(tmp_path, monkeypatch):
    sources, kept = [], state.grounded

    def grounded(*given):
        found = kept(*given)
        sources.append(found[0])
        return found

    monkeypatch.setattr(state, "grounded", grounded)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        result = tr.transfer(
            "hopper", bits.TARGET, "identified", learner=LEARNER, settings=SETTINGS, out=tmp_path / "run",
            **{**bits.REQUEST, "target_steps": 400},
        )  # fmt: skip
    (source,) = sources
    assert isinstance(source, Varied) and source.by == "seed" and len(source.variants) == 2
    assert [v.model.opt.gravity[2] for v in source.variants] == pytest.approx([-9.81 / 2] * 2, rel=0.02)
    said = [str(one.message) for one in told if str(one.message).startswith("seed")]
    assert [line.partition(" (")[0].partition(";")[0] for line in said] == [
        "seed 4: gravity x 0.5", "seed 5: gravity x 0.5"
    ]  # fmt: skip
    assert result.steps.target == 400 and result.updates > 0
    found = json.loads((tmp_path / "run" / "identification.json").read_text())
    assert found["id"] == found["ids"][0] == "hopper:gravity=0.5"


def test_too_few_target_steps_are_refused():
    with pytest.raises(tr.RequestError, match="from its first steps, and 40 are too few: raise `target_steps` to 60"):
        config(target_steps=40)


@pytest.mark.parametrize(("steps", "least"), [(10, 0.2), (500, 2.0)])
def test_settings_out_of_range_are_refused(steps, least):
    with pytest.raises(tr.RequestError, match=r"ground\.(steps|least) must be"):
        resolve(
            "hopper", bits.TARGET, "identified", learner=LEARNER, controls=(), source_run=None,
            settings=SETTINGS | {"ground.steps": steps, "ground.least": least}, **bits.REQUEST,
        )  # fmt: skip
