"""Who is delivered, in words."""

from __future__ import annotations

from transreward.runs.account import estimate
from transreward.runs.delivered import delivered_in_words


def seed(delivered, **candidates):
    """Of a run with candidates, name -> (mean, episodes)."""
    named = [{"name": name, "mean": mean, "episodes": n} for name, (mean, n) in candidates.items()]
    return {"delivered": delivered, "candidates": named}


def test_of_one_seed_all_that_is_known_is_said():
    found = delivered_in_words([seed("auto", source=(32.04, 18), auto=(51.0, 0))])
    assert found == "auto, foreseen 51.0, not tested on the target, rather than source, expected 32.0 after 18 episodes"
    assert delivered_in_words([seed("source", source=(12_345.6, 1))]) == "source, expected 12,346 after 1 episode"


def test_of_several_seeds_how_many_have_which():
    seeds = [seed("auto", source=(3.0, 2), auto=(4.0, 2)), seed("auto", source=(3.0, 2), auto=(4.0, 2))]
    assert delivered_in_words(seeds) == "auto 2 of 2"
    seeds.append(seed("auto", source=(3.0, 2), auto=(4.0, 0)))
    seeds.append(seed("source", source=(3.0, 2), auto=(2.0, 0)))
    assert delivered_in_words(seeds) == "auto 3 of 4, source 1 of 4, 1 of them not tested on the target"


def test_an_estimate_of_one_seed_is_one_number():
    found = {"per_seed": [-0.3959], "discount": 0.99, "log": -3.677}
    assert estimate(found).startswith(
        "about \N{MINUS SIGN}0.40, and \N{MINUS SIGN}3.68 of the policy that took the log; both are estimates"
    )
    assert "about 2.00 (1.00 3.00), and" in estimate({**found, "per_seed": [1.0, 3.0]})
