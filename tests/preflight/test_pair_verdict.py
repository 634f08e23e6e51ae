"""From figures to a verdict, without a simulation."""

from __future__ import annotations

from dataclasses import replace

import pytest

from transreward.preflight.verdict import (
    COMPENSATE,
    NO_HELP,
    SAME,
    SHAPE,
    THRESHOLDS,
    TRANSFER,
    VERDICTS,
    Coverage,
    Figures,
    decide,
)

ALIKE = Coverage(gap=0.0, target_covers_source=1.0, source_covers_target=1.0)
FIGURES = Figures(
    null=False, random=ALIKE, policy=None, noise=0.0, answer=0.6, agreement=1.0, auc=0.5, reward_distance=0.0,
    tasks_differ=False, relabels=True,
)  # fmt: skip


def covers(gap: float, target: float, source: float) -> Coverage:
    """Figures of one kind of actions."""
    return Coverage(gap, target, source)


@pytest.mark.parametrize(
    ("changed", "verdict"),
    [
        ({"null": True}, SAME),
        ({}, TRANSFER),
        ({"random": covers(0.019, 1, 1)}, TRANSFER),
        ({"random": covers(0.021, 1, 1)}, COMPENSATE),
        ({"random": covers(0.01, 1, 1), "auc": 0.7}, COMPENSATE),
        ({"random": covers(0.03, 1, 1), "noise": 0.1, "auc": 0.9}, TRANSFER),
        ({"random": covers(0.3, 1, 1), "noise": 0.1}, COMPENSATE),
        ({"noise": 0.7}, NO_HELP),
        ({"agreement": 0.0, "random": covers(0.6, 0, 1)}, NO_HELP),
        ({"agreement": -1.0}, NO_HELP),
        ({"random": covers(0.8, 0.1, 0.1)}, NO_HELP),
        ({"random": covers(0.3, 0.3, 0.95)}, COMPENSATE),
        ({"random": covers(0.3, 0.95, 0.3)}, SHAPE),
        ({"random": covers(0.3, 0.95, 0.95)}, COMPENSATE),
        ({"random": covers(0.2, 0.5, 0.5)}, COMPENSATE),
        ({"random": covers(0.2, 0.7, 0.3)}, SHAPE),
        ({"random": covers(0.2, 0.3, 0.7)}, COMPENSATE),
        ({"tasks_differ": True}, COMPENSATE),
        ({"tasks_differ": True, "reward_distance": 0.99}, COMPENSATE),
        ({"tasks_differ": True, "reward_distance": 0.99, "relabels": False}, NO_HELP),
        ({"tasks_differ": True, "reward_distance": 0.5, "relabels": False}, SHAPE),
        ({"tasks_differ": True, "random": covers(0.3, 0.9, 0.3)}, SHAPE),
        ({"policy": covers(0.2, 0.9, 0.9)}, COMPENSATE),
        ({"policy": covers(0.2, 0.9, 0.3)}, SHAPE),
    ],
)
def test_each_case(changed, verdict):
    assert decide(replace(FIGURES, **changed)).verdict == verdict


def test_a_task_over_the_same_terms_is_relabelled_and_physics_are_not():
    assert decide(replace(FIGURES, tasks_differ=True)).relabel
    assert not decide(replace(FIGURES, random=covers(0.3, 0.3, 0.95))).relabel


def test_more_support_in_the_source_never_speaks_for_shaping():
    """Along the source's share, the verdict goes from hopeless or shaping to compensating, and not back."""
    for target in (0.0, 0.3, 0.6, 0.9):
        found = [decide(replace(FIGURES, random=covers(0.3, target, s / 100))).verdict for s in range(101)]
        order = [v for i, v in enumerate(found) if i == 0 or v != found[i - 1]]
        assert order in ([NO_HELP, COMPENSATE], [NO_HELP, SHAPE, COMPENSATE], [SHAPE, COMPENSATE])


def test_every_verdict_has_a_reason_and_is_reached():
    found = {decide(replace(FIGURES, null=n, random=c)).verdict: 1 for n in (True, False) for c in
             (ALIKE, covers(0.3, 0.3, 1), covers(0.3, 1, 0.3), covers(1, 0, 0))}  # fmt: skip
    assert set(found) == set(VERDICTS)


def test_what_is_not_known_is_said():
    assert any("Only random actions" in limit for limit in decide(FIGURES).limits)
    assert not decide(replace(FIGURES, policy=ALIKE)).limits
    assert any("guess" in limit for limit in decide(replace(FIGURES, explained=0.5)).limits)
    unseen = decide(replace(FIGURES, tasks_differ=True)).limits
    assert any("pay alike" in limit for limit in unseen)
    assert not any("pay alike" in x for x in decide(replace(FIGURES, tasks_differ=True, reward_distance=0.5)).limits)
    assert decide(replace(FIGURES, reward_distance=0.05)).verdict == TRANSFER
    assert any("not the same function" in x for x in decide(replace(FIGURES, reward_distance=0.05)).limits)


def test_thresholds_decide():
    """Each of them can change a verdict: none is dead."""
    cases = {
        "near": None,  # acts on the shares; see test_check
        "small": ({"random": covers(0.05, 1, 1)}, 0.1),
        "chance": ({"random": covers(0.05, 1, 1), "noise": 0.1}, 0.9),
        "detectable": ({"auc": 0.7}, 0.8),
        "enough": ({"random": covers(0.2, 0.75, 0.7)}, 0.72),
        "little": ({"random": covers(0.2, 0.1, 0.1)}, 0.05),
        "even": ({"random": covers(0.2, 0.55, 0.5)}, 0.01),
        "deaf": ({"agreement": 0.2}, 0.1),
        "reward": None,  # acts on whether the tasks differ; see test_check
        "apart": None,  # the same
        "opposed": ({"tasks_differ": True, "reward_distance": 0.9, "relabels": False}, 0.95),
        "explained": None,  # acts on the limits
    }
    assert set(cases) == set(vars(THRESHOLDS))
    for name, case in cases.items():
        if case is not None:
            figures = replace(FIGURES, **case[0])
            assert decide(figures) != decide(figures, replace(THRESHOLDS, **{name: case[1]})), name
