"""`python -m leapai`: the command `leapai`."""

from leapai.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
