"""`python -m transreward`, and what the installed command starts."""

from transreward.interruption import arm, with_parent


def main() -> None:
    """Run a command; from its first import to the process's end an interruption ends it with 130."""
    arm()
    with_parent()
    from transreward import cli

    cli.main()


if __name__ == "__main__":
    main()
