"""Robots, tasks and shifts, and how an id becomes a domain."""
