"""The page says how many target steps learning directly would take, by the curve in the identified simulator."""

import json
import shutil
from pathlib import Path

import pytest

from transreward.reports.page import write_report

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
        ({2000: 1e6, 4000: 1e6}, "would take at most 2,000 steps to reach the return that was delivered"),
        ({2000: -1e6, 4000: -1e6}, "did not reach the return that was delivered"),
    ],
)
def test_the_first_steps_at_which_the_mean_is_as_good_as_what_was_delivered(tmp_path, returns, said):
    place = Path(shutil.copytree(RUN, tmp_path / "run"))
    found = section(place, returns)
    assert said in found and "<figcaption>Return in the identified simulator" in found


def test_without_such_evaluations_there_is_no_section(tmp_path):
    assert not section(Path(shutil.copytree(RUN, tmp_path / "run")), {})
