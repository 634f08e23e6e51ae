"""Where steps come from: robots that walk, and the source put where the target was."""
