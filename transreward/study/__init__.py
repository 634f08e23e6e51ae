"""A study: pairs x methods from one plan, each a command with a run directory of its own, and one table of them all."""
