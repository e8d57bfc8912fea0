"""`python -m lawjax`, the same as the command `lawjax`."""

from lawjax.cli import main

if __name__ == "__main__":
    main()
