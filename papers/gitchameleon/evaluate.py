"""`python -m papers.gitchameleon.evaluate`: see cli/evaluate.py."""

import typer

from papers.gitchameleon.cli.evaluate import main

if __name__ == "__main__":
    typer.run(main)
