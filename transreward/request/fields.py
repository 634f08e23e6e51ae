"""The fields of a request, once: as arguments of `transfer`, as keys of a config file, as options."""

from __future__ import annotations

# In the order in which config.json has them; settings by path stand beside them.
FIELDS = (
    "source", "target", "method", "controls", "learner", "source_steps", "target_steps", "seeds", "seed", "source_run",
    "cotrain", "imports", "log",
)  # fmt: skip
COUNTS = ("source_steps", "target_steps", "seeds", "seed")  # those that are whole numbers
SECTIONS = ("feed", "gap", "use", "gate")  # the parts of a method that have settings
