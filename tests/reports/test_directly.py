"""The page says how many target steps learning directly would take, by the curve in the identified simulator."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from transreward.reports.page import write_report
from transreward.reports.sections.directly import _begins
from transreward.runs.record import Record

RUN = Path(__file__).parents[1] / "data" / "runs" / "1" / "transfer-ppo"


def section(place, returns):
    """Of a run whose evaluations in the simulator returned `returns` by steps, the same for each seed."""
    rows = [json.loads(text) for text in (RUN / "metrics.jsonl").read_text().splitlines()]
    method = json.loads((RUN / "config.json").read_text())["method"]
    own = {row["seed"]: row for row in rows if row["method"] == method}
    for steps, value in returns.items():
        rows += [row | {"identified_steps": steps, "identified_return": value} for row in own.values()]
    (place / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return write_report([place]).read_text().partition('<section id="directly">')[2].partition("</section>")[0]


@pytest.mark.parametrize(
    ("returns", "said"),
    [
        ({2000: -1e6, 4000: 1e6, 6000: 1e6}, "would take about 4,000 steps to reach the return that was delivered"),
        ({2000: 1e6, 4000: 2e6}, "would take at most 2,000 steps to reach the return that was delivered"),
        ({2000: -2e6, 4000: -1e6}, "did not reach the return that was delivered"),
        ({2000: -2e6, 4000: -1e6}, "1,000,000 in the end, a difference that one seed leaves open."),
    ],
)
def test_the_first_steps_at_which_the_mean_is_as_good_as_what_was_delivered(tmp_path, returns, said):
    place = Path(shutil.copytree(RUN, tmp_path / "run"))
    found = section(place, returns)
    assert said in found and "<figcaption>Return in the identified simulator" in found


def test_what_was_delivered_is_the_best_of_the_curve_whatever_other_episodes_return(tmp_path):
    """A figure of five episodes is not held against a table of ten."""
    place = Path(shutil.copytree(RUN, tmp_path / "run"))
    result = json.loads((place / "result.json").read_text())
    (place / "result.json").write_text(json.dumps(result | {"delivered": [result["method"]]}))
    found = section(place, {2000: 10, 4000: 99, 6000: 100, 8000: 98})
    assert "would take about 6,000 steps to become the policy that was delivered" in found and "(100 there" in found
    assert "Its mean is within 5% of that after 4,000 steps." in found and "did not reach" not in found


@pytest.mark.parametrize("delivered", [["source"], None])
@pytest.mark.parametrize(
    ("returns", "said"),
    [
        ({2000: 10}, "This curve has one point: 10.0 after 2,000 steps."),
        ({2000: 10, 4000: 10}, "one point, 2 times: 10.0"),
    ],
)
def test_a_curve_of_one_point_tells_no_steps(tmp_path, returns, said, delivered):
    place = Path(shutil.copytree(RUN, tmp_path / "run"))
    result = json.loads((place / "result.json").read_text())
    own = delivered or [result["method"]]
    (place / "result.json").write_text(json.dumps(result | {"delivered": own}))
    found = section(place, returns)
    assert said in found and "loop.evaluations=" in found
    assert not any(claim in found for claim in ("would take about", "would take at most", "did not reach"))


def test_without_such_evaluations_there_is_no_section(tmp_path):
    assert not section(Path(shutil.copytree(RUN, tmp_path / "run")), {})


@pytest.mark.parametrize(
    ("taken", "run", "said"),
    [(600, "", "after 600 source steps; fine_tune goes on"), (1000, "", ""), (600, "another run", "")],
)
def test_fine_tuning_may_go_on_from_another_agent(taken, run, said):
    one = Record({"method": "auto", "loop": {}}, [{"phase": "source", "source_steps": taken, "method": "auto"}], None)
    subject = SimpleNamespace(records=[one, SimpleNamespace(name="fine_tune", run=run, source_steps=1000)])
    assert said in _begins(one, subject) and bool(said) == bool(_begins(one, subject))
