"""What a run will do, as data: a request is compiled once, before the run, into stages that the engine executes."""
