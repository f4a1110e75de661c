"""``python -m reliability``: the ``reliability`` command, where its script is not on the path."""

from reliability.cli import main

if __name__ == "__main__":
    main()
