"""What is asked for: from arguments, files and `section.field=value` to a checked request, before anything is spent."""
