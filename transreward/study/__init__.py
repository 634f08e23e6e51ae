"""A study: pairs x methods from one plan, each a command with its own run directory, and one table of all results."""
