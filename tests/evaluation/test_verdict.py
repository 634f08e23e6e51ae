"""The verdict's sentence claims what the intervals over seeds support, and nothing else."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from scipy import stats

from transreward.evaluation.statistics import difference
from transreward.evaluation.verdict import ALIKE, ENOUGH, Kind, Outcome, best, certain, number, verdict
from transreward.reports.sections.verdict import WORDS


def outcome(name, per_seed, steps=1000, **more):
    agent = None if name == "target_only" else "run"
    per_seed = np.array(per_seed, float)
    return Outcome(name, per_seed, tuple(range(len(per_seed))), steps, 1000, **{"agent": agent, **more})


def judged(per_seed, zero_shot=None, fine_tune=None, target_only=None, **more):
    given = {"zero_shot": zero_shot, "fine_tune": fine_tune, "target_only": target_only}
    controls = [outcome(name, r, 0 if name == "zero_shot" else 1000) for name, r in given.items() if r is not None]
    return verdict(outcome("darc", per_seed, **more), controls)


NEAR = np.array([-4.0, 2, 0, 3, -1])  # of five seeds
OTHER = np.array([3.0, -2, 4, -5, 0])
WIDE = np.array([-400.0, 300, -100, 500, -300])

MINUS = "\N{MINUS SIGN}"

CASES = {  # name -> (verdict, kind, words that must stand there, words that must not)
    "clear gain": (
        judged(900 + NEAR, 500 + OTHER, 600 + OTHER[::-1], 100 + NEAR[::-1]),
        "helped", ["At 95% confidence the transfer helped", "zero_shot (by +400", "1,000 target steps a seed"],
        ["not certain", "less than", "seeds"],
    ),
    "in a simulator that stands for a log": (
        judged(900 + NEAR, 500 + OTHER, 600 + OTHER[::-1], 100 + NEAR[::-1], judge="hopper:gravity=0.5"),
        "helped", ["darc returned 900 in hopper:gravity=0.5 after"], ["in the target"],
    ),
    "clear loss": (
        judged(300 + NEAR, 500 + OTHER, 600 + OTHER[::-1], 100 + NEAR[::-1]),
        "hurt", ["the transfer hurt", f"less than zero_shot (by {MINUS}200", "more than target_only"], ["helped"],
    ),
    "beaten by fine-tuning alone": (
        judged(550 + NEAR, 500 + OTHER, 600 + OTHER[::-1]),
        "beaten", ["did not pay", "less than fine_tune", "though more than zero_shot"], ["helped", "hurt"],
    ),
    "a gain beside one control, not beside another": (
        judged(900 + WIDE / 4, 500 + OTHER, 890 + WIDE[::-1] / 4),
        "partly", ["the transfer beat zero_shot, but not certainly fine_tune", "fine_tune (by +10.0"], ["hurt"],
    ),
    "a gain beside one control, and the same as another": (
        judged(900 + NEAR, 900 + NEAR, 500 + OTHER[::-1]),
        "partly",
        ["beat fine_tune, but made no difference that matters to zero_shot, which costs no target steps: darc"],
        ["not certain", "surely"],
    ),
    "a gain beside learning from scratch alone": (
        judged(600 + WIDE / 4, 610 + WIDE[::-1] / 4, target_only=100 + OTHER[::-1]),
        "unknown",
        ["returned no less, and costs no target steps; at 95% confidence the transfer beat target_only alone: darc",
         "while the difference to zero_shot"],
        ["helped"],
    ),
    "the most that there is, unchanged": (
        judged([1000, 1000], [1000, 1000], target_only=[20, 30]),
        "same", ["The unchanged source policy already does as well", "the same for every seed"], ["more", "5 seeds"],
    ),
    "no difference": (
        judged(1000 + NEAR, 1000 + OTHER, 1001 + OTHER[::-1]),
        "same", ["made no difference that matters", "within 5% of", "costs no target steps"], ["helped", "hurt"],
    ),
    "overlapping": (
        judged(620 + WIDE, 500 + WIDE[::-1], 450 + WIDE[[2, 0, 4, 1, 3]]),
        "unknown", ["5 seeds do not tell whether the transfer helped", "none of its differences is certain"],
        ["At 95% confidence", "hurt"],
    ),
    "huge variance": (
        judged([9000, -5000, 100, 8000, 20], [10, 12, 11, 9, 10], [20, 22, 19, 21, 20]),
        "unknown", ["do not tell"], ["At 95% confidence"],
    ),
    "zero-shot already as good": (
        judged(600 + WIDE, 640 + WIDE[::-1], 450 + WIDE[[2, 0, 4, 1, 3]]),
        "unknown", ["The unchanged source policy returned no less, and costs no target steps"], ["At 95% confidence"],
    ),
    "a gain that pairs of seeds alone show": (
        judged(600 + WIDE + NEAR, 550 + WIDE, 560 + WIDE + OTHER),
        "helped", ["zero_shot (by +50.0"], ["not certain"],
    ),
    "one seed": (
        judged([900], [100], [200], [50]),
        "too_few", ["One seed cannot tell whether", "zero_shot 100", "run 5 seeds or more"], ["95%", "confidence"],
    ),
    "two seeds": (
        judged([900, 901], [100, 101], [200, 201], [50, 51]),
        "too_few", ["2 seeds cannot tell whether"], ["95%", "confidence"],
    ),
    "three seeds": (
        judged([900, 901, 899], [100, 102, 101], [200, 203, 201]),
        "helped", ["At 95% confidence", "(3 seeds; 5 or more are safer)."], [],
    ),
    "one seed of a control alone": (
        judged(900 + NEAR, [100.0]), "too_few", ["One seed cannot tell"], ["confidence"],
    ),
    "no controls": (
        judged(900 + NEAR), "no_controls", ["No verdict", "no control was run: ", "900 in the target"],
        ["helped", "confidence"],
    ),
    "stopped early": (
        judged(900 + NEAR, 500 + OTHER, stopped="aligned", steps=320),
        "helped", ["after 320 of 1,000 target steps a seed, where it stopped (aligned)"], [],
    ),
    "cut short": (
        judged([900.0] * 5, 500 + OTHER, finished=False, steps=320),
        "unfinished", ["cut short", "320 of 1,000 target steps", "its latest evaluation returned 900"], ["confidence"],
    ),
    "cut short before anything was seen": (
        judged([], 500 + OTHER, finished=False, steps=0), "unfinished", ["nothing was evaluated"], ["nan"],
    ),
    "negative returns": (
        judged(-200 + NEAR, -900 + OTHER), "helped", [f"returned {MINUS}200", "zero_shot (by +700"], ["-2"],
    ),
    "equal to the bit": (
        judged([1000.0] * 5, [1000.0] * 5), "same", ["no difference that matters"], ["helped"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_sentence(name):
    found, kind, there, absent = CASES[name]
    assert found.kind == kind, found.sentence
    assert [words for words in there if words not in found.sentence] == [], found.sentence
    assert [words for words in absent if words in found.sentence] == [], found.sentence
    assert found.sentence.endswith(".") and "nan" not in found.sentence and "inf" not in found.sentence


def test_a_ceiling_is_no_transfer():
    assert verdict(outcome("oracle", [900.0] * 5, breaks_budget=True), []).kind == "ceiling"
    over = [outcome("oracle", 2000 + NEAR, breaks_budget=True), outcome("zero_shot", 500 + OTHER)]
    assert verdict(outcome("darc", 900 + NEAR), over).kind == "helped"  # nobody is compared with the oracle


def test_the_sentence_is_that_of_the_t_tests():
    """On random returns: what it calls certain is what Hochberg's procedure rejects of SciPy's p-values."""
    rng, kinds = np.random.default_rng(0), set()
    for _ in range(200):
        seeds = int(rng.integers(3, 8))
        mine, start, alone = (rng.normal(rng.normal(100, 20), rng.uniform(5, 25), seeds) for _ in range(3))
        found = judged(mine, zero_shot=start, target_only=alone)
        tests = (
            stats.ttest_rel(mine, start),
            stats.ttest_ind(mine, alone, equal_var=False),
        )
        level = 0.05 if max(t.pvalue for t in tests) < 0.05 else 0.025
        signs = [int(np.sign(t.statistic)) if t.pvalue < level else 0 for t in tests]
        assert [certain(d) for d in found.differences.values()] == (signs if found.kind != "same" else [0, 0])
        assert (found.kind == "helped") == (signs == [1, 1])
        assert (found.kind in ("hurt", "beaten")) == (min(signs) < 0)
        assert (found.kind == "hurt") == (signs[0] < 0)
        assert ("(by" in found.sentence.partition("is not certain")[0]) or found.kind in ("unknown", "same")
        assert (f"{seeds} seeds" in found.sentence) == (seeds < ENOUGH or "do not tell" in found.sentence)
        if found.kind == "same":
            ends = [abs(x) for d in found.differences.values() for x in d["interval"] or ()]
            assert max(ends) <= ALIKE * max(start.mean(), alone.mean())
        kinds.add(found.kind)
    assert {"helped", "partly", "hurt", "beaten", "unknown"} <= kinds


TRIALS = 400
AT_MOST = 0.06 * TRIALS + 2 * (0.06 * 0.94 * TRIALS) ** 0.5  # false claims: 5%, 6 by Welch's of three, and chance


def nothing(names, seeds, unequal, seed):
    """Outcomes of methods of one mean, which share their source agents but for target_only."""
    rng = np.random.default_rng(seed)
    spreads = np.geomspace(1, 10, len(names)) if unequal else np.ones(len(names))
    return [
        outcome(name, 100 + spread * rng.standard_normal(seeds)) for name, spread in zip(names, spreads, strict=True)
    ]


@pytest.mark.parametrize(("seeds", "unequal"), [(3, False), (3, True), (10, True)])
def test_where_nothing_differs_a_twentieth_of_the_sentences_claims_a_difference(seeds, unequal):
    """Beside three controls; without a correction for their number it is 11 to 15%."""
    names = ("darc", "zero_shot", "fine_tune", "target_only")
    found = [verdict(one, rest).kind for one, *rest in (nothing(names, seeds, unequal, i) for i in range(TRIALS))]
    assert sum(kind in ("helped", "partly", "hurt", "beaten") for kind in found) <= AT_MOST


@pytest.mark.parametrize(("methods", "seeds", "unequal"), [(9, 5, False), (9, 10, False), (4, 3, True)])
def test_where_nothing_differs_a_twentieth_of_the_leads_seems_certain(methods, seeds, unequal):
    """With a correction for the leader's pairs alone it is 5 to 12%: that it was chosen counts, too."""
    names = [*(f"m{i}" for i in range(methods - 1)), "target_only"]
    found = [best(nothing(names, seeds, unequal, i)) for i in range(TRIALS)]
    assert sum("it beats" in text for text in found) <= AT_MOST


def test_methods_that_are_judged_side_by_side_hold_all_together():
    """Six methods beside three controls: a twentieth of the pages has a false sentence, not a third."""
    names = (*(f"m{i}" for i in range(6)), "zero_shot", "fine_tune", "target_only")
    false = 0
    for i in range(TRIALS // 4):
        every = nothing(names, 5, False, i)
        kinds = {verdict(one, every[6:], together=6).kind for one in every[:6]}
        false += bool(kinds & {"helped", "partly", "hurt", "beaten"})
    assert false <= AT_MOST / 3
    gain = verdict(outcome("darc", 900 + NEAR), [outcome("zero_shot", 500 + OTHER)], together=6)
    assert gain.kind == "helped" and "At 95% confidence for all 6 methods together" in gain.sentence
    assert "99.17% interval" in gain.sentence


def test_among_three_controls_one_has_to_differ_by_more():
    """p = 0.04: enough for the only control, and for one of three where the others differ, too."""
    start = 100 + OTHER
    mine = start + np.array([3.0, 0.2, 4.0, 1.0, 2.0])
    alone = judged(mine, start)
    assert alone.kind == "helped" and "95% interval" in alone.sentence
    beside = judged(mine, start, 101 + WIDE / 10, 102 + WIDE[::-1] / 10)
    assert beside.kind == "unknown" and "98.33% interval" in beside.sentence
    assert judged(mine, start, 50 + OTHER, 40 + OTHER).kind == "helped"


def test_seeds_are_paired_where_they_share_a_source_agent():
    mine, start = outcome("darc", [1.0, 2, 3]), outcome("zero_shot", [0.0, 1, 2])
    assert mine.over(start)["paired"] and mine.over(start)["interval"] == [1.0, 1.0]
    assert not mine.over(outcome("target_only", [0.0, 1, 2]))["paired"]
    assert not mine.over(outcome("zero_shot", [0.0, 1, 2], agent="another run"))["paired"]
    assert not mine.over(Outcome("zero_shot", start.per_seed, (7, 8, 9), 0, 1000, agent="run"))["paired"]


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("level", [0.95, 0.99])
def test_the_interval_of_a_difference_is_scipys(paired, level):
    x, y = np.random.default_rng(1).normal((3, 2), (1, 4), (6, 2)).T
    theirs = stats.ttest_rel(x, y) if paired else stats.ttest_ind(x, y, equal_var=False)
    bounds = theirs.confidence_interval(level)
    found = difference(x, y, paired, level)
    assert found["interval"] == pytest.approx([bounds.low, bounds.high]) and found["level"] == level
    assert found["mean"] == pytest.approx(x.mean() - y.mean())


def test_a_difference_of_one_seed_or_of_no_spread():
    assert difference(np.array([3.0]), np.array([1.0])) == {
        "mean": 2.0, "interval": None, "level": 0.95, "paired": False,
    }  # fmt: skip
    assert difference(np.ones(3), np.zeros(4))["interval"] == [1.0, 1.0]


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (12345.6, "12,346"),
        (-99.96, f"{MINUS}100.0"),
        (3.14159, "3.14"),
        (-0.0123, f"{MINUS}0.0123"),
        (2e-5, f"2.0e{MINUS}05"),
        (0.0, "0"),
        (-0.0, "0"),
    ],
)
def test_numbers_are_short_and_never_minus_nothing(x, text):
    assert number(x) == text


# -- several methods -----------------------------------------------------------------------------------------------


def test_the_best_of_several_is_named_with_what_is_certain():
    three = [outcome("par", 900 + NEAR), outcome("darc", 899 + OTHER), outcome("zero_shot", 100 + OTHER[::-1])]
    text = best([*three, outcome("oracle", 5000 + NEAR, breaks_budget=True)])
    assert text.startswith("Highest mean of 3 methods: par, 900 in the target after 1,000 target steps a seed")
    assert (
        "; at 95% confidence for all 6 pairs together it beats zero_shot (by +800, 99.17% interval" in text
        and "; darc returned the same, within 5%" in text
    )
    assert text.index("zero_shot") < text.index("darc") and "oracle" not in text


def test_the_best_is_held_to_more_where_it_was_chosen_among_more():
    """A lead that a single test would call certain is not, among many."""
    lead = np.array([1.0, 3.0, 4.0, 0.5, 2.5])
    mine, other = 100 + OTHER + lead, 100 + OTHER
    assert "it beats zero_shot" in best([outcome("darc", mine), outcome("zero_shot", other)])
    crowd = [outcome(f"m{i}", other - 1e-3 * i) for i in range(20)]
    assert "it beats" not in best([outcome("darc", mine), *crowd])


def test_few_seeds_have_no_best():
    assert "2 seeds cannot tell" in best([outcome("darc", [9.0, 10]), outcome("zero_shot", [1.0, 2])])
    assert "Nothing to compare" in best([outcome("darc", [9.0, 10])])


@pytest.mark.parametrize("seeds", [1, 2])
def test_a_session_whose_episodes_were_the_source_policys_has_no_verdict(seeds):
    """Those are listed below it, so the sentence says of whose there are none."""
    none = Outcome("auto", np.zeros(0), tuple(range(seeds)), 500, 500, eval_target="training")
    text = verdict(none, []).sentence
    assert "no training episode of the policy that learns, and of it alone, ended there" in text
    assert ("for every seed" in text) == (seeds > 1)


def test_every_kind_has_a_word_on_the_page():
    assert set(WORDS) == set(get_args(Kind))
