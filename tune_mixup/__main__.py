"""`python -m tune_mixup` is the command `tune-mixup`, for where the environment's scripts are not on the path."""

from tune_mixup.cli import main

if __name__ == "__main__":
    main()
