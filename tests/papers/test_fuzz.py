"""Whatever is done to a paper's files or to a command line: a valid plan, or one sentence with file and key.

`make test` tries 30 mutations of each kind, `make fuzz` as many as FUZZ_EXAMPLES says, over all papers; records are
those of papers that are built here at scale smoke.
"""

import copy
import itertools
import math
import os
import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from shared.artifacts.claims import claims_of, judge
from shared.artifacts.config import load_config, load_shards, scales_of
from shared.artifacts.csv_files import read_csv, to_csv
from shared.artifacts.paper import artifact_csv, load_paper
from shared.artifacts.paths import PaperPaths, paper_slugs
from shared.artifacts.records import read_record, write_record
from shared.artifacts.tables import build_tables
from shared.artifacts.workflow import check_request, check_targets
from shared.base.paths import repo_root

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "30"))
pytestmark = [pytest.mark.fuzz, pytest.mark.timeout(0 if EXAMPLES > 30 else 600)]  # thousands of mutations take longer
MANY = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize=EXAMPLES <= 30,
    phases=[Phase.generate],  # shrinking such large examples ends in "inconsistent data" and hides what failed
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the ones in C, where PyYAML has them, take a tenth of the time
DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
AGES = itertools.count(1)  # nanoseconds
JUNK = [None, True, False, 0, -1, 1, 10**9, 0.5, -0.5, math.nan, math.inf, -math.inf, "", "x", "cpu", "exact", [], {}]
JUNK += [[None], [[]], [True], [math.nan], {"x": 1}, {1: 2}, {"": []}, ["x", 1], "../x", "{shard}", "a b", "\\u0000"]


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """A checkout whose papers are links, but for the files that a mutation writes."""
    root = tmp_path_factory.mktemp("fuzz")
    for slug in paper_slugs():
        folder = root / "papers" / slug
        folder.mkdir(parents=True)
        for source in (repo_root() / "papers" / slug).iterdir():
            if source.name in ("config.yaml", "paper.yaml"):
                shutil.copyfile(source, folder / source.name)
            elif source.name not in ("results", "reference"):
                (folder / source.name).symlink_to(source)
        reference = repo_root() / "papers" / slug / "reference"
        if reference.is_dir():
            shutil.copytree(reference, folder / "reference", ignore=shutil.ignore_patterns("*.png"))
    return root


def plain(content: object) -> object:
    """Content whose aliases have become copies: a mutation of one place leaves the others."""
    if isinstance(content, dict):
        return {key: plain(value) for key, value in content.items()}
    return [plain(value) for value in content] if isinstance(content, list) else content


def places(content: object, path: tuple = ()) -> list[tuple]:
    """Where a value stands in nested mappings and lists; the first three entries of a list stand for it."""
    found = [path] if path else []
    if isinstance(content, dict):
        for key, value in content.items():
            found += places(value, (*path, key))
    elif isinstance(content, list):
        for index, value in enumerate(content[:3]):
            found += places(value, (*path, index))
    return found


def mutated(content: dict, data: st.DataObject) -> dict:
    """A copy with one to three values replaced, removed, renamed, wrapped or doubled."""
    content = plain(content)
    for _ in range(data.draw(st.integers(1, 3))):
        known = places(content)
        if not known:
            return content
        *outer, last = data.draw(st.sampled_from(known))
        holder = content
        for part in outer:
            holder = holder[part]
        kind = data.draw(st.sampled_from(["replace", "replace", "remove", "rename", "wrap", "add"]))
        if kind == "replace":
            holder[last] = copy.deepcopy(data.draw(st.sampled_from(JUNK)))
        elif kind == "remove":
            del holder[last]
        elif kind == "rename" and isinstance(holder, dict):
            holder[f"{last}x"] = holder.pop(last)
        elif kind == "wrap":
            holder[last] = [holder[last]]
        elif isinstance(holder, dict):
            holder[data.draw(st.sampled_from(["zzz", 1, "lr", "exact", "scales"]))] = copy.deepcopy(holder[last])
    return content


def rewrite(file: Path, text: str) -> None:
    """Write a file with an age of its own: what was read of it before is kept by age and size, and ages are coarse."""
    file.write_text(text, encoding="utf-8")
    os.utime(file, ns=(0, next(AGES)))


def plan_or_sentence(call, *named: str) -> None:
    """`call` succeeds, or ends in one line that names one of `named`."""
    try:
        call()
    except ValueError as error:
        told = str(error)
        assert told and "\n" not in told and "Traceback" not in told, told
        assert any(name in told for name in named), told


@pytest.fixture(scope="module")
def originals(root) -> dict[tuple[str, str], str]:
    """Text of each file."""
    files = ("config.yaml", "paper.yaml")
    return {(s, f): (root / "papers" / s / f).read_text(encoding="utf-8") for s in paper_slugs() for f in files}


@pytest.fixture(scope="module")
def contents(originals) -> dict[tuple[str, str], dict]:
    """What each file holds."""
    return {key: plain(yaml.load(text, Loader=LOADER)) for key, text in originals.items()}


@MANY
@given(data=st.data())
def test_any_config_yaml_is_a_plan_or_a_sentence(root, originals, contents, data):
    slug = data.draw(st.sampled_from(paper_slugs()))
    file = root / "papers" / slug / "config.yaml"
    content = mutated(contents[slug, "config.yaml"], data)
    rewrite(file, yaml.dump(content, Dumper=DUMPER, sort_keys=False))
    scale = data.draw(st.sampled_from(["smoke", "cpu"]))

    def plan():
        scales_of(slug, root)
        load_config(slug, scale, root)
        load_shards(slug, scale, root)

    try:
        plan_or_sentence(plan, f"papers/{slug}/config.")
    finally:
        rewrite(file, originals[slug, "config.yaml"])


@MANY
@given(data=st.data())
def test_any_paper_yaml_is_a_list_of_artifacts_or_a_sentence(root, originals, contents, data):
    slug = data.draw(st.sampled_from(paper_slugs()))
    file = root / "papers" / slug / "paper.yaml"
    content = mutated(contents[slug, "paper.yaml"], data)
    rewrite(file, yaml.dump(content, Dumper=DUMPER, sort_keys=False))
    try:
        plan_or_sentence(lambda: load_paper(slug, root).artifacts("cpu"), f"papers/{slug}/paper.yaml")
    finally:
        rewrite(file, originals[slug, "paper.yaml"])


@MANY
@given(data=st.data())
def test_any_command_line_is_a_request_or_a_sentence(data):
    words = [*paper_slugs(), "papers", "all", "dif", "", "x", "..", "smoke", "-n", "results", "é"]
    target = "/".join(data.draw(st.lists(st.sampled_from(words), min_size=1, max_size=4)))
    keys = st.sampled_from(["scale", "records", "scal", "x"])
    values = st.one_of(st.sampled_from(["smoke", "cpu", "gpu", "own", "dvc", "nope", ""]), st.sampled_from(JUNK))
    request = data.draw(st.dictionaries(keys, values, max_size=2))

    def ask():
        scale, _ = check_request(request)
        check_targets([target], scale)

    plan_or_sentence(ask, "scale", "records", "papers", "--config")


def damaged(frame: pd.DataFrame, column: str, change: str) -> pd.DataFrame:
    """A frame with a column dropped or made one value throughout, or with other rows."""
    values = {"empty": None, "word": "x", "inf": math.inf, "negative": -1.0}
    rows = {"no rows": frame.iloc[:0], "one row": frame.iloc[:1], "drop": frame.drop(columns=column)}
    return rows[change] if change in rows else frame.assign(**{column: values[change]})


CHANGES = ["drop", "empty", "word", "inf", "negative", "no rows", "one row", "cut"]


@MANY
@given(data=st.data())
def test_claims_on_any_table_are_judged_or_a_sentence(root, data):
    built = [slug for slug in paper_slugs() if PaperPaths(slug, "smoke", root).reference.is_dir()]
    slug = data.draw(st.sampled_from(built))
    claim = data.draw(st.sampled_from(claims_of(slug)))
    paths = PaperPaths(slug, "smoke", root)
    tables = [t for t in claim.tables if artifact_csv(paths, t, reference=True).is_file()]
    if not tables:
        return
    file = artifact_csv(paths, data.draw(st.sampled_from(tables)), reference=True)
    before = file.read_text(encoding="utf-8")
    frame = read_csv(file)
    column = data.draw(st.sampled_from(list(frame.columns)))
    change = data.draw(st.sampled_from(CHANGES))
    cut = before[: data.draw(st.integers(0, len(before)))]
    text = cut if change == "cut" else to_csv(damaged(frame, column, change))
    file.write_text(text, encoding="utf-8")
    try:
        plan_or_sentence(lambda: judge(claim, paths, reference=True), f"papers/{slug}/", file.name)
    finally:
        file.write_text(before, encoding="utf-8")


@pytest.fixture(scope="module")
def built(root) -> list[str]:
    """Papers that are built here at scale smoke; their records are copied."""
    found = []
    for slug in paper_slugs():
        runs = PaperPaths(slug, "smoke").runs
        if PaperPaths(slug, "smoke").summary.is_file():
            shutil.copytree(runs, PaperPaths(slug, "smoke", root).runs)
            found.append(slug)
    return found or pytest.skip("no paper is built at scale smoke here; make smoke builds all")


@settings(MANY, max_examples=max(1, EXAMPLES // 10))  # all tables of a paper take a second or more
@given(data=st.data())
def test_tables_of_any_record_are_built_or_a_sentence(root, built, data):
    slug = data.draw(st.sampled_from(built))
    file = data.draw(st.sampled_from(sorted(PaperPaths(slug, "smoke", root).runs.glob("*/*.parquet"))))
    before, frame = file.read_bytes(), read_record(file)
    column, change = data.draw(st.sampled_from(list(frame.columns))), data.draw(st.sampled_from(CHANGES))
    if change == "cut":
        file.write_bytes(before[: data.draw(st.integers(0, len(before) - 1))])
    else:
        write_record(file, damaged(frame, column, change))
    try:
        plan_or_sentence(lambda: build_tables(slug, "smoke", root=root), f"papers/{slug}/", file.name)
    finally:
        file.write_bytes(before)
