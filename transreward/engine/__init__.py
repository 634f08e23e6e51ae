"""Executes a plan: the five steps, the state they change, and how a run survives an interruption."""
