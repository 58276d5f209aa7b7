"""``python -m pipeline.cli`` is ``neurons``."""

from pipeline.cli.entry import main

if __name__ == "__main__":
    main()
