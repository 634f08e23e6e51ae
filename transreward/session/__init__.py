"""A robot that asks for its actions, in this process or another, in any language, and a learner beside it."""
