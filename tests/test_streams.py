"""No two draws of a run are made of the same random numbers."""

from __future__ import annotations

from itertools import combinations

import jax
import numpy as np
import pytest
from quick import robots
from test_grid import agent, move  # noqa: F401

from transreward.draws import PURPOSES, stream, word
from transreward.engine.programs import Programs
from transreward.types import Spaces
from transreward.uses.robust import Robust

pytestmark = pytest.mark.usefixtures("hurry")


def data(keys):
    return {tuple(np.ravel(row)) for row in np.asarray(jax.random.key_data(keys)).reshape(-1, 2)}


def test_the_words_of_all_purposes_are_apart_and_above_any_part_of_a_key():
    assert len({word(purpose) for purpose in PURPOSES}) == len(PURPOSES)
    assert all(2**31 <= word(purpose) < 2**32 for purpose in PURPOSES)
    keys = jax.random.split(jax.random.key(0), 3)
    drawn = [data(stream(keys, purpose)) for purpose in PURPOSES]
    drawn += [data(jax.vmap(lambda key: jax.random.split(key, 100))(keys)), data(keys)]
    assert all(not a & b for a, b in combinations(drawn, 2))


@pytest.mark.parametrize("name", ["paired", "paired_branched"])
def test_all_streams_of_a_run_are_pairwise_different(agent, monkeypatch, name):  # noqa: F811
    drawn, noises = [], []
    for part in ("noise", "visited", "compensate", "improve"):
        plain = getattr(Programs, part)

        def spy(self, *given, plain=plain, part=part, **more):
            keys = given[{"noise": 0, "visited": 1, "compensate": 2, "improve": 3}[part]]
            if part == "noise":  # a draw a step
                steps = np.arange(given[1])
                keys = jax.vmap(lambda key: jax.vmap(lambda i: jax.random.fold_in(key, i))(steps))(keys)
            found = plain(self, *given, **more)
            drawn.append((part, data(keys)))
            if part == "noise":
                noises.extend(np.asarray(found)[:, :, 0, 0].ravel())
            return found

        monkeypatch.setattr(Programs, part, spy)
    move(name, source_run=agent)
    assert len(drawn) > 8 and {part for part, _ in drawn} >= {"noise", "compensate", "improve"}
    assert all(not a & b for (_, a), (_, b) in combinations(drawn, 2))
    assert len(set(noises)) == len(noises)


def test_uniform_actions_differ_between_the_domains_and_from_the_resets():
    spaces, made = Spaces(1, 2, -np.ones(2), np.ones(2)), []

    class Still:
        name = "still"

        def simulate(self, n, seeds, threads):
            return None

    Still.spaces = spaces
    for whose in ("source", "target", "partner"):
        walk = robots(Still(), [3], 1, whose=whose)
        made.append(walk._uniform[0].uniform())
    resets = [np.random.Generator(np.random.PCG64(np.random.SeedSequence((3, row)))).uniform() for row in range(64)]
    assert len({*made, *resets}) == 3 + 64


def test_the_networks_of_a_robust_reward_start_apart():
    asked = []

    class Asked:
        def init(self, key, spaces):
            asked.append(data(jax.random.split(key, 8)) | data(key))

    class Robustly(Robust):
        discriminator = Asked()

    Robustly().init(Asked(), jax.random.key(0), Spaces(1, 1, -np.ones(1), np.ones(1)))
    assert not asked[0] & asked[1]
