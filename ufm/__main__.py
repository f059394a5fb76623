"""`python -m ufm` is `ufm`."""

from ufm.cli import main

if __name__ == "__main__":
    main()
