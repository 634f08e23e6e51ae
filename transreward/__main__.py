"""`python -m transreward`, and what the installed command starts."""

from transreward.interruption import ends_at_once


def main() -> None:
    """Run a command; from its first import on an interruption ends it with 130."""
    with ends_at_once():
        from transreward import cli

        cli.main()


if __name__ == "__main__":
    main()
