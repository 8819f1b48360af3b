"""What a run needs that no package brings: libraries and commands of the machine, corpora, files of a website.

Looked for are the needs of a problem's reference and tests, and of the answer. Where something is missing the run is
*unavailable*, which is no failure of an answer, and nothing about it is kept. What cannot be read off the text is seen
by how the run failed (`lacking`).
"""

import os
import re
from pathlib import Path

from papers.gitchameleon.data.problems import Problem
from papers.gitchameleon.environments import machine
from papers.gitchameleon.environments.store import Env, Missing

SYSTEM_LIBRARY, CORPUS, WEBSITE = "system-library", "corpus", "website"  # causes
# installed package, below this version -> (library of the machine, Debian's package of it); newer wheels bring it along
LIBRARIES: dict[str, tuple[tuple[int, ...], str, str]] = {
    "soundfile": ((0, 11), "sndfile", "libsndfile1"),
    "rtree": ((0, 9, 4), "spatialindex_c", "libspatialindex-dev"),
}
# library, below this version -> (words of a program, the command that it runs, which is its Debian package's name, too)
COMMANDS = {"librosa": ((0, 7), r"\bload\(|\bstream\(|get_duration\(filename", "ffmpeg")}  # decodes by audioread
# words of a program -> NLTK's folder of the data
CORPORA = {
    r"\bwordnet\b|\bsynsets?\b|\bWordNetLemmatizer\b": "corpora/wordnet",
    r"\bomw-1\.4\b": "corpora/omw-1.4",
    r"\bsinica_treebank\b": "corpora/sinica_treebank",
    r"\bstopwords\b": "corpora/stopwords",
    r"\bpunkt\b|(?<!destructive\.)\b(?:word|sent)_tokenize\((?!.*preserve_line=True)": "tokenizers/punkt",
    r"\baveraged_perceptron_tagger\b|\bpos_tag\(": "taggers/averaged_perceptron_tagger",
}
NEEDS_OMW = ((3, 6, 6), (3, 8))  # versions of NLTK whose WordNet does not open without omw-1.4
PACKAGES = """
averaged_perceptron_tagger brown cmudict conll2000 gazetteers genesis gutenberg inaugural maxent_ne_chunker
movie_reviews names omw omw-1.4 punkt reuters shakespeare sinica_treebank snowball_data stopwords treebank
twitter_samples universal_tagset vader_lexicon wordnet wordnet2021 wordnet31 wordnet_ic words
"""
NLTK_DATA = frozenset(
    PACKAGES.split()
)  # that a failure may be due to; a name that NLTK does not know is the answer's fault
# library -> (from this version on, what loads a file from a website; older packages bring the file along)
FETCHED = {"librosa": ((0, 8), r"example_audio_file|librosa\.example\(")}
RECORDING = "Kevin_MacLeod_-_Vibe_Ace.hq.ogg"  # what example_audio_file() fetches; librosa 0.7 brings it without .hq


def missing_for(problem: Problem, env: Env, code: str = "", mode: str = "visible") -> Missing | None:
    """Why an answer cannot be run under a problem's tests on this machine; None if it can.

    Args:
        code: the answer. mode: the tests are hidden or visible ones.
    """
    versions = {i.name: _numbers(i.version) for i in env.lock}
    for package, (bundled, library, debian) in LIBRARIES.items():
        if package in versions and versions[package] < bundled and not machine.has_library(library):
            return Missing(env.spec, SYSTEM_LIBRARY, f"{package} needs the machine's lib{library} (Debian: {debian})")
    tests = problem.test if mode == "visible" else problem.hidden_test or ""
    text, version = "\n".join((problem.answer, tests, code)), _numbers(problem.version)
    before, words, command = COMMANDS.get(problem.library, ((), "", ""))
    if version < before and re.search(words, text) and not machine.command(command):
        return Missing(env.spec, SYSTEM_LIBRARY, f"it runs the command {command} (Debian: {command})")
    if problem.library == "nltk":
        used = re.sub(r"\bdownload\([^)]*\)", "", text)  # without a network a download goes on with a False
        folders = [folder for words, folder in CORPORA.items() if re.search(words, used)]
        if "corpora/wordnet" in folders and NEEDS_OMW[0] <= version < NEEDS_OMW[1]:
            folders.append("corpora/omw-1.4")
        for folder in folders:
            if not _has_corpus(folder):
                return _no_corpus(env, folder)
    since, words = FETCHED.get(problem.library, ((), ""))
    if words and version >= since and re.search(words, text) and not _has_recording():
        return Missing(
            env.spec, WEBSITE, f"a program fetches a file, and LIBROSA_DATA_DIR names no folder with {RECORDING}"
        )
    return None


def lacking(problem: Problem, env: Env, exception: str | None, trace: str) -> Missing | None:
    """What the machine lacks, by the exception that a run ended with; None if it is for no such reason."""
    resource = re.search(r"Resource (?:\x1b\[\d+m)?'?([\w.-]+)(?:\x1b\[0m)?'? not found", trace)
    if problem.library == "nltk" and exception == "LookupError" and resource and resource[1] in NLTK_DATA:
        return _no_corpus(env, resource[1])
    if problem.library in COMMANDS and exception == "NoBackendError" and not machine.command("ffmpeg"):
        return Missing(env.spec, SYSTEM_LIBRARY, "audioread found no decoder (Debian: ffmpeg)")
    return None


def machine_state(data: dict[str, str]) -> str:
    """State of all that is looked for here; see `machine.state`."""
    libraries, commands = (library for _, library, _ in LIBRARIES.values()), (name for *_, name in COMMANDS.values())
    return machine.state(libraries, commands, data)


def _no_corpus(env: Env, name: str) -> Missing:
    return Missing(env.spec, CORPUS, f"NLTK_DATA names no folder with {name}")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version.split("+")[0])[:3])


def _has_recording() -> bool:
    return Path(os.environ.get("LIBROSA_DATA_DIR") or os.devnull, RECORDING).is_file()


def _has_corpus(folder: str) -> bool:
    root = os.environ.get("NLTK_DATA")
    return bool(root) and any(Path(root, folder + ending).exists() for ending in ("", ".zip"))
