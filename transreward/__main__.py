"""`python -m transreward`."""

from transreward.cli import main

if __name__ == "__main__":
    main()
