"""GitChameleon's command line: `python -m papers.gitchameleon --help`."""

from papers.gitchameleon.cli.app import app

if __name__ == "__main__":
    app()
