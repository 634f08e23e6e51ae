"""Policies that another library trained, as source agents."""
