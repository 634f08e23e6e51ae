"""Videos of policies, and the viewer."""
