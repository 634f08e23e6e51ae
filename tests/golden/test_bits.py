"""The bits of the table's rows are those written down; a change that means to change them writes them anew."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BITS = Path(__file__).with_name("bits.py")
SHARDS, QUARTER = 4, 4


def bits(*arguments):
    return subprocess.run([sys.executable, BITS, *arguments], capture_output=True, text=True, check=False)


def names():
    return bits("list").stdout.split()


def check(cases, isa):
    done = bits("check", *cases, "--isa", isa)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr[-2000:]}"
    compared = len(cases[::QUARTER] if "computes otherwise" in done.stdout else cases)
    assert f"{compared} cases, equal to the bit" in done.stdout


def test_every_row_has_written_bits():
    for isa in ("AVX2", "SSE4_2"):
        written = BITS.with_name(f"{isa}.json").read_text()
        missing = [name for name in names() if f'"{name}"' not in written]
        assert not missing, (
            f"write the bits of {missing}: python tests/golden/bits.py write {' '.join(missing)} --isa {isa}"
        )


@pytest.mark.slow
@pytest.mark.parametrize("shard", range(SHARDS))
def test_all_rows_have_the_written_bits(shard):
    check(names()[shard::SHARDS], "AVX2")


@pytest.mark.slow
def test_some_rows_have_the_bits_of_another_instruction_set():
    check(["darc-ppo", "paired_branched-sac", "cotrain-sac"], "SSE4_2")
