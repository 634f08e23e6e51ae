"""Robots from files: `mjcf:arm.xml`, `urdf:arm.urdf`, `menagerie:unitree_go1`, each a row like those of the table.

What a row needs beside the model is found by convention, and may be said in a YAML file beside the model: see
`said.Said`. What a robot is, of those that this knows, is asked in the order of `made.BODIES`.
"""
