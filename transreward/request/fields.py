"""The fields of a request: arguments of `transfer`, keys of a config file, and options of the command line."""

from __future__ import annotations

# In the order of config.json. Settings by path come in addition.
FIELDS = (
    "source", "target", "method", "controls", "learner", "source_steps", "target_steps", "seeds", "seed", "source_run",
    "bridge", "evaluate", "cotrain", "imports", "log",
)  # fmt: skip
COUNTS = ("source_steps", "target_steps", "seeds", "seed")  # whole numbers
