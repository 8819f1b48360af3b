"""GitChameleon's command line: `python -m papers.gitchameleon --help`."""

from papers.gitchameleon.cli import app

if __name__ == "__main__":
    app()
