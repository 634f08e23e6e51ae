"""The request: from arguments, files and `section.field=value` to a checked `Config`, before any step is taken."""
