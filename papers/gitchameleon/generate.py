"""`python -m papers.gitchameleon.generate`: see cli/generate.py."""

import typer

from papers.gitchameleon.cli.generate import main

if __name__ == "__main__":
    typer.run(main)
