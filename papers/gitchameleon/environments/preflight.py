"""What a problem needs that no package brings: libraries of the machine, corpora, files of a website.

Where that is missing a problem is *unavailable*, which is not a failure of an answer, and nothing about it is kept.
"""

import ctypes.util
import os
import re
from pathlib import Path

from papers.gitchameleon.data.problems import Problem
from papers.gitchameleon.environments.store import Env, Missing

SYSTEM_LIBRARY, CORPUS, WEBSITE = "system-library", "corpus", "website"  # causes
# installed package, below this version -> (library of the machine, Debian's package of it); newer wheels bring it along
LIBRARIES: dict[str, tuple[tuple[int, ...], str, str]] = {
    "soundfile": ((0, 11), "sndfile", "libsndfile1"),
    "rtree": ((0, 9, 4), "spatialindex_c", "libspatialindex-dev"),
}
# word in a problem's reference or visible test -> NLTK's folder of the corpus
CORPORA = {r"\bwordnet\b|\bsynset": "corpora/wordnet", r"sinica_treebank": "corpora/sinica_treebank"}
# library -> (from this version on, what loads a file from a website; older packages bring the file along)
FETCHED = {"librosa": ((0, 8), r"example_audio_file|librosa\.example\(")}
RECORDING = "Kevin_MacLeod_-_Vibe_Ace.hq.ogg"  # what example_audio_file() fetches; librosa 0.7 brings it without .hq


def missing_for(problem: Problem, env: Env) -> Missing | None:
    """Why a problem cannot be run in its environment on this machine; None if it can."""
    versions = {i.name: _numbers(i.version) for i in env.lock}
    for package, (bundled, library, debian) in LIBRARIES.items():
        if package in versions and versions[package] < bundled and not _has_library(library):
            return Missing(env.spec, SYSTEM_LIBRARY, f"{package} needs the machine's lib{library} (Debian: {debian})")
    text = problem.answer + problem.test
    for words, folder in CORPORA.items():
        if problem.library == "nltk" and re.search(words, text) and not _has_corpus(folder):
            return Missing(env.spec, CORPUS, f"NLTK_DATA names no folder with {folder}")
    since, words = FETCHED.get(problem.library, ((), ""))
    if words and _numbers(problem.version) >= since and re.search(words, problem.test) and not _has_recording():
        return Missing(
            env.spec, WEBSITE, f"its test fetches a file, and LIBROSA_DATA_DIR names no folder with {RECORDING}"
        )
    return None


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version.split("+")[0])[:3])


def _has_library(name: str) -> bool:
    return ctypes.util.find_library(name) is not None


def _has_recording() -> bool:
    return Path(os.environ.get("LIBROSA_DATA_DIR") or os.devnull, RECORDING).is_file()


def _has_corpus(folder: str) -> bool:
    root = os.environ.get("NLTK_DATA")
    return bool(root) and any(Path(root, folder + ending).exists() for ending in ("", ".zip"))
