"""`python -m runner`: the same command as `message-runner`."""

from runner.cli import main

if __name__ == "__main__":
    main()
