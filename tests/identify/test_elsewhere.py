"""Identification reads steps and no model: a robot in another process is identified as one that is simulated here."""

import sys
from functools import partial
from pathlib import Path

import pytest

import transreward as tr
from transreward.domains.gym import GymDomain

sys.path.insert(0, str(Path(__file__).parents[2]))
from benchmarks.elsewhere import Elsewhere


@pytest.mark.slow
def test_a_robot_in_another_process_is_identified_to_the_same_figures():
    id = "halfcheetah:gravity=2"
    target = GymDomain("elsewhere", partial(Elsewhere, id))
    there, here = (tr.identify("halfcheetah", domain).as_json() for domain in (target, id))
    assert [row["name"] for row in there["parameters"]] == [row["name"] for row in here["parameters"]]
    assert [row["value"] for row in there["parameters"]] == pytest.approx([2], rel=1e-3)
    for figure in ("value", "low", "high"):
        assert [row[figure] for row in there["parameters"]] == pytest.approx(
            [row[figure] for row in here["parameters"]], abs=1e-3
        )
    assert there["explained"] == pytest.approx(here["explained"], abs=1e-3) == pytest.approx(1, abs=1e-3)
    assert there["words"][0] == here["words"][0]
