"""Step: prepare a study's corpus and record what it is.

python -m papers.gidd.data --scale cpu --shard text
"""

from papers.gidd.settings import StudyShard
from papers.gidd.study import CorpusData
from shared.artifacts.step import step


@step
def data(settings: StudyShard) -> list[dict]:
    """Prepare the corpus of one study."""
    return [{"study": settings.study} | CorpusData(settings.corpus).facts()]


if __name__ == "__main__":
    data.main()
