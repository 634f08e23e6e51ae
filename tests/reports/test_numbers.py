"""Figures say what was measured, also where a reward does not vary, or where hardly anything differs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from transreward.evaluation.diagnostics import SPREAD
from transreward.reports import notebook
from transreward.reports.figures import csv_text
from transreward.reports.sections import compensation, curves, shift, summary, terms, where
from transreward.reports.subject import Subject
from transreward.runs.record import Record, read

RUN = Path(__file__).parents[1] / "data" / "runs" / "1" / "transfer-ppo"


@pytest.fixture
def record() -> Record:
    return read(RUN)[0]


def of(record: Record, **changed) -> Subject:
    """A page about the run, in whose rows this is otherwise."""
    return Subject.of([replace(record, rows=[{**row, **changed} for row in record.rows])], False)


@pytest.mark.parametrize("spread", [0.0, 2.0])
def test_quantiles_are_in_units_of_reward(record, spread):
    """Of 0.3 a step throughout; where each step pays the same, their unit in a row is as good as 0."""
    told = 0.3 / max(spread, SPREAD)
    rows = {"gap_mean": 0.3, "gap_std": 0.1, "gap_q05": told, "gap_q50": told, "gap_q95": told, "reward_std": spread}
    _, drawn = compensation.content(of(record, **rows))["figures"]
    assert drawn.text == "95% is 0.30; median is 0.30; 5% is 0.30."


def test_an_episodes_time_is_a_share_of_the_longest_that_it_may_take(record):
    rows = {"gap_std": 0.1, "gap_by_time": [0.5, *[None] * 9]}
    subject = of(record, **rows, gap_by_obs=[0.1] * 4, gap_by_action=[0.1])
    found = where.content(subject)
    assert found is not None and "% of an episode&#x27;s time limit" in found["when"].svg


def test_few_states_that_differ_are_not_rounded_to_none(record):
    measured = {"obs": 0.1, "relative": 0.2, "entries": [[0, 0.2]], "reward": 0.0, "share": 2 / 1024, "states": 1024}
    subject = Subject.of(
        [replace(record, config={**record.config, "shift": {**measured, "target_steps": 4096}})], False
    )
    assert ("states in which anything differs", "2 of 1,024") in shift.content(subject)["facts"]


def test_a_csv_has_numbers_that_read_back_also_of_numpy():
    text = csv_text(("what", "x"), [("a", np.float64(0.1)), ("b", 0.1), ("c", np.int64(3)), ("d", "")])
    assert text == "what,x\na,0.1\nb,0.1\nc,3\nd,\n"


def test_a_table_in_a_notebook_shows_brackets_as_they_are(record):
    named = replace(record, config={**record.config, "target": "halfcheetah:mass([bf]thigh)=2"})
    assert "halfcheetah:mass([bf]thigh)=2" in " ".join(notebook.table([named], False, 200).split())


@pytest.mark.parametrize(("agent", "compared"), [("theirs", 16.0), ("ours", 20.0)])
def test_the_unchanged_source_policy_is_the_one_that_a_run_started_from(record, agent, compared):
    """Beside another run's `zero_shot`, whose source agent may be another learner's, or of fewer steps."""
    theirs = read(RUN.with_name("transfer-sac"))[1]
    assert theirs.name == "zero_shot" and theirs.result is not None
    theirs = replace(theirs, agent=agent, result={**theirs.result, "target_return": {"per_seed": [20.0]}})
    (found,) = Subject.of([replace(record, agent="ours"), theirs], True).controls_of(replace(record, agent="ours"))
    assert (found.name, found.mean, found.agent) == ("zero_shot", compared, "ours")


@pytest.mark.parametrize(("agent", "said"), [("theirs", ""), ("ours", "zero_shot stands at 20.0: ")])
def test_why_a_curve_begins_elsewhere_is_said_of_its_own_source_agent_alone(record, agent, said):
    """Of another run's it is no question: they were one policy then, \"evaluated in other episodes\"."""
    theirs = read(RUN.with_name("transfer-sac"))[1]
    assert theirs.result is not None
    theirs = replace(theirs, agent=agent, result={**theirs.result, "target_return": {"per_seed": [20.0]}})
    found = curves.content(Subject.of([replace(record, agent="ours"), theirs], True))["start"]
    assert said in found and bool(found) == bool(said)


def test_the_head_of_a_page_has_the_learners_and_budgets_of_all_its_runs(record):
    other = replace(record, config={**record.config, "learner": {"name": "sac"}, "target_steps": 20_000})
    facts = dict(summary.content(Subject.of([record, other, record], True))["facts"])
    assert (facts["learner"], facts["target budget"]) == ("ppo, sac", "32 or 20,000 steps a seed")
    assert facts["source budget"] == "64 steps a seed"
    facts = dict(summary.content(Subject.of([record, other], False))["facts"])
    assert (facts["learner"], facts["target budget"]) == ("ppo", "32 steps a seed"), "of a run its own"


def test_a_term_that_some_evaluations_lack_is_drawn_where_it_was_seen(record):
    """As of a run whose file was put together of two, or made by another version."""
    (row,) = record.own
    unseen = {**row, "target_steps": 16, "target_terms": {}}
    rows = [unseen, {**row, "target_terms": {"alive": 3.0}}]
    figures = terms.content(Subject.of([replace(record, rows=rows)], False))["figures"]
    assert "alive is 3.00." in [one.text for one in figures]


def test_a_curve_has_its_seeds_in_the_runs_order_whatever_that_of_the_rows(record):
    """Each seed's line ends at its own final return, which result.json has in the order of seeds."""
    rows = [{"method": "darc", "seed": seed, "target_steps": steps, "target_return": 10.0 * seed + steps}
            for steps, order in ((1, (0, 1, 2)), (2, (2, 0, 1)), (3, (0, 1))) for seed in order]  # fmt: skip
    several = Record({**record.config, "seed": 0, "seeds": 3}, rows, None)
    x, y = several.curve(lambda row: row["target_return"])
    assert x == [1.0, 2.0] and y.tolist() == [[1.0, 11.0, 21.0], [2.0, 12.0, 22.0]]
