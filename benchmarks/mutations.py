"""Core formulas, each made wrong in a copy of the project; the nearest tests must notice.

    python benchmarks/mutations.py [WORD]     those whose file or place has the word; all without one

Prints a line for each: killed, SURVIVED (no test failed), or STALE (the formula is no longer written so).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent.parent
SAC, TRANSFORMS, USES = "learners/sac.py", "gates/transforms.py", "uses"
OF_SAC = "learners/test_sac.py -k"
OF_GATES, OF_ADVICE, OF_CUP = "gates/test_transforms.py", "uses/test_advice.py -k", "uses/test_cup.py -k"
OF_USES = "uses/test_uses.py -k not like_the_demonstrations"
OF_PAIRED = "gaps/test_paired.py -k bellman or gains or closed"

MUTATIONS = (  # file of the package, what is written there, what is put in its place, the tests that must fail
    (SAC, "(q - jnp.exp(state.log_alpha) * log_prob)", "(q + jnp.exp(state.log_alpha) * log_prob)", f"{OF_SAC} lower"),
    (SAC, "(q - jnp.exp(state.log_alpha) * log_prob)", "q", f"{OF_SAC} lower"),
    (SAC, "jnp.mean(jnp.exp(state.log_alpha) * log_prob - q)", "jnp.mean(-q)", f"{OF_SAC} actors_loss"),
    (SAC, "return -log_alpha * (log_prob", "return log_alpha * (log_prob", f"{OF_SAC} temperature"),
    (SAC, "log_alpha=state.log_alpha + step", "log_alpha=state.log_alpha - step", f"{OF_SAC} polyak"),
    (SAC, "batch.next_obs, action).min(axis=0)", "batch.next_obs, action).max(axis=0)", f"{OF_SAC} lower"),
    (SAC, "else q.min(axis=0)", "else q.max(axis=0)", f"{OF_SAC} actors_loss"),
    (SAC, "self._drawn(state.slow_critics,", "self._drawn(state.critics,", f"{OF_SAC} polyak"),
    (SAC, "s + self.polyak * (c - s)", "c + self.polyak * (s - c)", f"{OF_SAC} polyak"),
    (SAC, "weight=weight[:, 0]", "weight=weight[:, -1]", f"{OF_SAC} fold"),
    (SAC, "(1.0 - w.terminated[rows, last])", "(1.0 - ended[rows, last])", f"{OF_SAC} fold"),
    (SAC, "q = q - size * shaping.draw", "q = q + size * shaping.draw", f"{OF_ADVICE} kickstart_draws"),
    (SAC, "peer.share * own / jnp", "peer.share * its / jnp", f"{OF_SAC} peer"),
    (SAC, "(1.0 - share) * q + share * its", "share * q + (1.0 - share) * its", f"{OF_SAC} peer"),
    (SAC, "jnp.maximum(q, shaping.floor(", "jnp.minimum(q, shaping.floor(", f"{OF_ADVICE} floor"),
    (SAC, "        q = _advised(shaping, q, batch", "        _advised(shaping, q, batch", f"{OF_ADVICE} shift_of"),
    (SAC, "batch.obs, action).max(axis=0)", "batch.obs, action).min(axis=0)", f"{OF_CUP} critics_choose"),
    (SAC, "q = q - guides.cost", "q = q + guides.cost", f"{OF_CUP} drawn_to_the_guide"),
    (f"{USES}/cup.py", "theirs.argmax(axis=0)", "theirs.argmin(axis=0)", f"{OF_CUP} best_guide"),
    (f"{USES}/cup.py", "jnp.clip(theirs - own, 0.0,", "jnp.minimum(theirs - own,", f"{OF_CUP} best_guide"),
    ("networks.py", "jnp.tanh(raw), log_density - log_slope", "jnp.tanh(raw), log_density", f"{OF_SAC} lower"),
    ("networks.py", "+ delta**2 * self.count * n / total", "", "gaps/test_features.py"),
    ("gaps/reward.py", "mean(axis=0) - pessimism", "mean(axis=0) + pessimism", "gaps/test_reward.py -k care"),
    ("gaps/reward.py", "state.rewards.scaled(reward)", "state.rewards(reward)", "gaps/test_reward.py -k far"),
    ("gaps/paired.py", "return d if source_model is None else d + ", "return d if source_model is None else d - ",
     "gaps/test_paired.py -k cancels"),
    ("gaps/paired.py", "alive = discount * (1.0 - batch.terminated)", "alive = discount", OF_PAIRED),
    (TRANSFORMS, "return delta - own.mean", "return delta + own.mean", OF_GATES),
    (TRANSFORMS, 'jnp.maximum(own["delta"].std, self.floor)', 'jnp.minimum(own["delta"].std, self.floor)', OF_GATES),
    (TRANSFORMS, 'jnp.minimum(extra["done"] / self.over', 'jnp.maximum(extra["done"] / self.over', OF_GATES),
    (TRANSFORMS, "return self.size(extra) * delta", "return (1.0 - self.size(extra)) * delta", OF_USES),
    (TRANSFORMS, "(self.var + rate * delta**2)", "self.var", OF_GATES),
    (f"{USES}/penalty.py", '"source", score(gap', '"source", -score(gap', OF_GATES),
    (f"{USES}/potential.py", "jnp.where(t.terminated.astype(bool), 0.0, value(t.next_obs))", "value(t.next_obs)",
     OF_USES),
    (f"{USES}/imitation.py", "likeness = -score(", "likeness = score(", OF_USES),
    (f"{USES}/weight.py", "return weight / jnp.maximum(weight.mean(), 1e-8)", "return weight", OF_USES),
    (f"{USES}/filter.py", "jnp.quantile(found, 1.0 - self.keep)", "jnp.quantile(found, self.keep)", OF_USES),
    (f"{USES}/robust.py", "(1.0 - w) * (g - source.reward)", "w * (g - source.reward)", OF_USES),
    (f"{USES}/trust.py", "share += (1.0 - weight).sum()", "share += weight.sum()", OF_PAIRED),
    (f"{USES}/advice.py", "jnp.exp(-0.5 * self", "jnp.exp(-self", f"{OF_ADVICE} likelihood"),
    (f"{USES}/dpba.py", "return _alive(after, t, extra) - before", "return _alive(after, t, extra) + before",
     f"{OF_ADVICE} in_expectation"),
    (f"{USES}/dpba.py", "t, extra) - added(inside", "t, extra) + added(inside",
     f"{OF_ADVICE} learned_from_steps"),
    ("learners/ppo.py", "discount * jnp.where(terminated, 0.0", "discount * jnp.where(terminated | truncated, 0.0",
     "learners/test_ppo.py -k gae or successors"),
    ("replay.py", " + jnp.where(place < HELD_OUT_FIRST, 0, HELD_OUT_STEPS)", "", "test_replay.py -k held_out"),
    ("replay.py", "jnp.where(place == replay.size - 1, 1.0, windows.truncated)", "windows.truncated",
     "test_replay.py -k windows"),
    ("domains/mujoco.py", "self.obs = t.next_obs.copy()\n", "self.obs = t.next_obs\n",
     "domains/test_mujoco.py -k successor"),
    ("streams/walk.py", "self.episode_return[seed, robot], self._led[seed, robot] = 0.0, False",
     "self._led[seed, robot] = False", "test_grid.py -k guide_began"),
    ("engine/stop.py", "return reference - (1 - loop.aligned)", "return reference + (1 - loop.aligned)",
     "test_transfer.py -k counts_as"),
    ("evaluation/statistics.py", "per_seed.std(ddof=1)", "per_seed.std()", "evaluation/test_statistics.py"),
    ("evaluation/statistics.py", "y[..., None, :], 0.5)", "y[..., None, :], 1.0)", "evaluation/test_statistics.py"),
    ("wrapper.py", "delta, weight = np.where(real, delta, 0.0), np.where(real, weight, 0.0)", "",
     "test_wrapper.py -k row_is"),
)  # fmt: skip


def run(copy: Path, tests: str) -> bool:
    """Whether the tests pass in the copy; `tests` are files under tests/, and after -k which of theirs."""
    files, _, which = tests.partition(" -k ")
    command = [sys.executable, "-m", "pytest", "-x", "-q", *(f"tests/{file}" for file in files.split())]
    command += ["-k", which] if which else []
    done = subprocess.run(command, cwd=copy, env={**os.environ, "PYTHONPATH": str(copy)}, capture_output=True)
    if done.returncode not in (0, 1):
        raise SystemExit(f"pytest could not run {tests}:\n{done.stdout.decode()[-2000:]}")
    return done.returncode == 0


def main(word: str = "") -> None:
    """Try them one by one, each in the same copy of the project."""
    with tempfile.TemporaryDirectory() as place:
        copy = Path(place)
        for part in ("transreward", "tests", "docs", "benchmarks", "examples"):
            shutil.copytree(HERE / part, copy / part, ignore=shutil.ignore_patterns("__pycache__", "results"))
        for file in ("pyproject.toml", "README.md"):
            shutil.copy(HERE / file, copy / file)
        survived = 0
        for file, old, new, tests in MUTATIONS:
            path = copy / "transreward" / file
            text = path.read_text()
            if word not in f"{file} {old}":
                continue
            if text.count(old) != 1:
                found = "STALE"
            else:
                path.write_text(text.replace(old, new))
                found = "SURVIVED" if run(copy, tests) else "killed"
                path.write_text(text)
            survived += found != "killed"
            print(f"{found:8}  {file}: {old.strip()}  ->  {new.strip() or 'nothing'}", flush=True)
    sys.exit(bool(survived))


if __name__ == "__main__":
    main(*sys.argv[1:])
