"""The data set's rows, pins, categories and solution files: what is read, and what is refused in one sentence."""

import itertools
import json
import time
from collections import Counter
from pathlib import Path

import pytest

from papers.gitchameleon.data.categories import CATEGORIES, perf_category, stats_category
from papers.gitchameleon.data.extraction import extract_code, first_python_block, parses
from papers.gitchameleon.data.json_lines import append_lines, read_rows, read_whole_lines
from papers.gitchameleon.data.pins import conflicts, normal_version, parse_pins, same_version
from papers.gitchameleon.data.problems import data_digest, load_benchmark, parse_ids, read_problems, select
from papers.gitchameleon.data.solutions import read_solutions, write_solutions
from papers.gitchameleon.environments.spec import group_by_env, spec_of, upstream_key
from papers.gitchameleon.suites.loader import load_suite
from shared.base.paths import repo_root

ROW = {
    "example_id": "7",
    "python_version": "3.10",
    "library": "jinja2",
    "version": "2.11",
    "problem": "Do it.",
    "starting_code": "def f():\n",
    "solution": "    return 1\n",
    "test": "assert f() == 1",
    "type_of_change": "Name change",
    "additional_dependencies": "markupsafe==2.0.1",
    "functional": "1",
    "webdev": 0,
    "release_date": "2020-01",
}


def write(path: Path, *rows: object) -> Path:
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def benchmark():
    mirror = repo_root().parent / "shared" / "mirror"
    folders = [f for f in (mirror, repo_root().parent.parent / "shared" / "mirror") if (f / "gitchameleon").is_dir()]
    if not folders:
        pytest.skip("no mirror of the benchmark's data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ARTIFACTS_MIRROR", str(folders[0]))
        return load_benchmark()


def test_mixed_types_become_numbers(tmp_path):
    (problem,) = read_problems(write(tmp_path / "d.jsonl", ROW))
    assert (problem.example_id, problem.functional, problem.webdev) == (7, 1, 0)
    assert problem.pins == (("jinja2", "2.11.0"), ("markupsafe", "2.0.1"))
    assert problem.answer == "def f():\n    return 1\n"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"type_of_change": "naming change"}, "line 1: 'type_of_change': unknown type_of_change"),
        ({"python_version": "2.7"}, "unsupported python_version"),
        ({"additional_dependencies": "numpy>=1"}, "is not an exact pin"),
        ({"additional_dependencies": "numpy=="}, "is not a requirement"),
        ({"functional": 3}, "'functional'"),
        ({"colour": "red"}, "unknown key 'colour'"),
        ({"example_id": None}, "example_id"),
    ],
)
def test_a_wrong_row_is_refused_with_file_line_and_field(tmp_path, change, message):
    with pytest.raises(ValueError, match=r"d\.jsonl, line 1") as error:
        read_problems(write(tmp_path / "d.jsonl", ROW | change))
    assert message in str(error.value)


def test_files_that_are_no_data_are_refused(tmp_path):
    for rows, message in ((["{"], "line 1: not JSON"), ([], "is empty"), (["[1]"], "expected an object")):
        with pytest.raises(ValueError, match=message):
            read_problems(write(tmp_path / "d.jsonl", *rows))
    with pytest.raises(ValueError, match="is that of line 1 too"):
        read_problems(write(tmp_path / "d.jsonl", ROW, ROW))


def test_versions_compare_after_zero_padding():
    assert normal_version("2") == normal_version("2.0") == normal_version("2.0.0.0") == "2.0.0"
    assert same_version("1.16", "1.16.0") and not same_version("2.11", "2.1.1")
    assert same_version("1.13", "1.13.0+cpu")
    assert parse_pins("NumPy==1.16 scikit_learn==0.21") == (("numpy", "1.16.0"), ("scikit-learn", "0.21.0"))
    assert conflicts((("a", "1.0.0"), ("a", "2.0.0"), ("b", "1.0.0"))) == ["a"]


def test_an_environment_does_not_depend_on_the_order_or_spelling_of_pins():
    (problem, *_) = load_suite("builtin")
    one = spec_of(problem.model_copy(update={"additional_dependencies": "b==1 a==2.0"}))
    other = spec_of(problem.model_copy(update={"additional_dependencies": "A==2", "extra_dependencies": "b==1.0.0"}))
    assert one.key == other.key != spec_of(problem).key
    assert one.key != spec_of(problem.model_copy(update={"additional_dependencies": "b==1 a==2.1"})).key


def test_every_category_has_both_groupings():
    assert len(CATEGORIES) == 20  # the 21 spellings of the data, one of which differs by case alone
    assert stats_category(" New Func/Method/Class") == "Function Name"
    assert perf_category("other library") is None


def test_ids_and_libraries_select(tmp_path):
    problems = load_suite("builtin")
    assert [p.example_id for p in select(problems, "1000,1003-1004")] == [1000, 1003, 1004]
    assert {p.library for p in select(problems, libraries=["storekit"])} == {"storekit"}
    assert parse_ids("0,5-9") == [(0, 0), (5, 9)]
    for wrong, message in (("a", "is not an id"), ("5-2", "is empty")):
        with pytest.raises(ValueError, match=message):
            parse_ids(wrong)
    with pytest.raises(ValueError, match="no problem has an id"):
        select(problems, "1-9")
    with pytest.raises(ValueError, match="no problem of library"):
        select(problems, libraries=["torch"])


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("```python\nx = 1\n```", "x = 1\n"),
        ("Here:\n```py\nx = 1\n```\nbye", "x = 1\n"),
        ("```\nx = 1\n```", "x = 1\n"),
        ("```Python3\nx = 1\n```", "x = 1\n"),
        ("```python\ny = 2\n```\n```python\ndef f(): pass\n```", "def f(): pass\n"),
        ("```python\nx = 1\n```\n```python\nlonger = 12345\n```", "longer = 12345\n"),
        ("```python\nx = 1\n", "x = 1\n"),
        ("x = 1", "x = 1"),
        ('{"answer": "x = 1", "explanation": "so"}', "x = 1"),
        ("```python\r\nx = 1\r\n```", "x = 1\n"),
        ("\ufeffx = 1\n", "x = 1\n"),
        ("```bash\nls\n```\n```python\nx = 1\n```", "x = 1\n"),
        ("```python\nprint('x')```", "print('x')"),
        ("```python\nx = '''a\n'''```\nbye", "x = '''a\n'''"),
        (
            'def f():\n    """Use:\n    ```python\n    f()\n    ```\n    """\n',
            'def f():\n    """Use:\n    ```python\n    f()\n    ```\n    """\n',
        ),
        (
            '```python\ndef f():\n    """Use:\n    ```\n    f()\n    ```\n    """\n```',
            'def f():\n    """Use:\n    ```\n    f()\n    ```\n    """\n',
        ),
        ("~~~python\nx = 1\n~~~", "x = 1\n"),
        ("````python\nx = '```'\n````", "x = '```'\n"),
        ("1. So:\n   ```python\n   def f():\n       return 1\n   ```\n", "def f():\n    return 1\n"),
        ("```python\nx = (\n```", "x = (\n"),
        ("```python\nx = 1\n```\n\n```\nls -l | x\n```", "x = 1\n"),
        ("```python title='a'\nx = 1\n``` \n", "x = 1\n"),
        ("No code at all, sorry.", "No code at all, sorry."),
        ("```python\nx = {1: 2}\n```}", "x = {1: 2}\n"),
        ("```python\nx = 1\n```</answer>\n", "x = 1\n"),
        ('```python\nx = 1\n```json\n{"why": "so"}\n```', "x = 1\n"),
        ("```python\nx = 1``` That is all.\n", "x = 1"),
        ("```python\nx = 1\n``", "x = 1\n"),
        ("```python\n# not ```y``` but\nx = 1\n```}", "# not ```y``` but\nx = 1\n"),
        ("```python\nx = 1  # not ```y```\nz = 2\n```", "x = 1  # not ```y```\nz = 2\n"),
        ("Sure ```python\nx = 1\n```", "x = 1\n"),
        ("1. Run:```Py\nx = 1\n``` and be glad", "x = 1\n"),
        ("Sure ```bash\nls\n```\n```python\nx = 1\n```", "x = 1\n"),
        ("`import this\nx = 1`", "import this\nx = 1"),
        ("`import this\nx = 1`\n\nTry it:\nx + 1\n", "import this\nx = 1"),
        ("`iloc` changes the frame in place.", "`iloc` changes the frame in place."),
        (r"```python\nx = 'a'\ny = \"b\"\n```", "x = 'a'\ny = \"b\"\n"),
        (r"```python\nprint('a\\nb')\n```", "print('a\\nb')\n"),
        ("```python\nx = (\n```}", "x = (\n"),
        ("```python\n```", ""),
    ],
)
def test_code_is_found_in_what_models_send(text, code):
    assert extract_code(text, "def f():\n" if "def f" in text else "") == code


@pytest.mark.parametrize(
    "code", ["x = 1\n", "def f():\n    return {}\n", "s = '''\n```\n'''\n", "# a ``` b\nx = `1`\n"]
)
def test_where_the_authors_rule_gives_a_module_there_is_one(code):
    """Whatever stands before and after a block, and on the line of its fences."""
    for before, after in itertools.product(
        ("", "So: ", "```json\n{}\n```\n", "`x` is\n"), ("", "}", ">", "json\n{}", " `y`")
    ):
        text = f"{before}```python\n{code}```{after}"
        assert parses(extract_code(text)) or not parses(first_python_block(text))


def test_a_text_of_nothing_but_fences_is_soon_read():
    for text in ("```\n" * 20000, "```python\n" * 20000, "``` x\n" * 20000):
        start = time.monotonic()
        extract_code(text)
        assert time.monotonic() - start < 20


def test_the_authors_rule_takes_the_first_python_block():
    assert first_python_block("a ```python\nx\n``` ```python\ny\n```") == "x\n"
    assert first_python_block("no fence") == "no fence"


def test_solution_files_are_read_by_their_keys_in_order(tmp_path):
    problems = load_suite("builtin")
    path = write(
        tmp_path / "s.jsonl",
        {"example_id": "1000", "output": "c", "solution": "b"},
        {"example_id": 1001, "answer": "a"},
    )
    assert [s.code for s in read_solutions(path, problems)] == ["b", "a"]
    write_solutions(path, {1001: "x = 1", 1000: "y"})
    assert [s.example_id for s in read_solutions(path, problems)] == [1000, 1001]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"answer": "x"}], "'example_id' is missing"),
        ([{"example_id": 9, "answer": "x"}], "is not in the data set"),
        ([{"example_id": 1000, "answer": "x"}] * 2, "more answers than expected"),
        ([{"example_id": 1000, "answer": 3}], "has to be text"),
        ([{"example_id": 1000}], "no answer"),
        ([], "is empty"),
    ],
)
def test_a_wrong_solution_file_is_refused(tmp_path, rows, message):
    with pytest.raises(ValueError, match=message):
        read_solutions(write(tmp_path / "s.jsonl", *rows), load_suite("builtin"))


def test_every_bad_line_is_reported_and_the_rest_can_run(tmp_path):
    lines = [
        b'{"example_id": 1000, "answer": "x = 1"}',
        b"no json",
        b'{"example_id": "\xc2\xb2", "answer": "x"}',
        '{"example_id": 1001, "answer": "\xe4"}'.encode("latin-1"),
        b'{"example_id": 1001, "answer": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"example_id": 1002, "answer": "\\ud800"}',
        b'{"answer": "x"}',
        b'{"example_id": ' + b"9" * 5000 + b', "answer": "x"}',
        b'{"example_id": ' + b"9" * 4000 + b', "answer": "x"}',
        b'{"example_id": [[1000]], "answer": "x"}',
    ]
    path = tmp_path / "s.jsonl"
    path.write_bytes(b"\n".join(lines))
    with pytest.raises(ValueError) as error:
        read_solutions(path, load_suite("builtin"))
    sentences = str(error.value).splitlines()
    reasons = [
        "not JSON (Expecting",
        "is not in the data set",
        "not UTF-8",
        "nested too deeply",
        "'example_id' is missing",
        "a number of too many digits",
        "4000 characters, is not in the data set",
        "has to be a number or text, found list",
    ]
    for sentence, number, reason in zip(sentences, (2, 3, 4, 5, 7, 8, 9, 10), reasons, strict=True):
        assert sentence.startswith(f"{path}, line {number}: ") and reason in sentence, sentence
        assert len(sentence) < len(str(path)) + 150
    skipped = []
    assert [s.example_id for s in read_solutions(path, load_suite("builtin"), skipped=skipped)] == [1000, 1002]
    assert skipped == sentences


SEPARATORS = "a\u2028b\u2029c\x85d\x0be\x0cf\x1cg"


def test_lines_end_at_a_line_feed_and_nowhere_else(tmp_path):
    path = tmp_path / "rows.jsonl"
    append_lines(path, [json.dumps({"example_id": 1000, "answer": SEPARATORS}, ensure_ascii=False)] * 2)
    assert [row["answer"] for row in read_whole_lines(path)] == [SEPARATORS] * 2
    assert [number for number, _ in read_rows(path)] == [1, 2]
    write_solutions(path, {1000: SEPARATORS})
    assert [s.text for s in read_solutions(path, load_suite("builtin"))] == [SEPARATORS]


def test_the_benchmark_has_the_known_counts(benchmark):
    assert len(benchmark) == 328 and len({p.example_id for p in benchmark}) == 328
    assert Counter(p.python_version for p in benchmark) == {"3.10": 219, "3.7": 67, "3.9": 42}
    stats = Counter(stats_category(p.type_of_change) for p in benchmark)
    assert stats == {"Argument": 108, "Function Name": 106, "New Feature": 53, "Semantics": 34, "Other": 27}
    perf = Counter(perf_category(p.type_of_change) for p in benchmark)
    assert perf == {"Argument": 108, "New Feature": 99, "Function Name": 60, "Semantics": 53, None: 8}
    assert len({p.library_pin for p in benchmark}) == 81 and sum(len(p.docs) for p in benchmark) == 536


def test_the_benchmarks_environments_have_the_known_names_and_number(benchmark):
    by_id = {p.example_id: p for p in benchmark}
    assert upstream_key(by_id[0]) == "927f7310e738"
    assert len({upstream_key(p) for p in benchmark}) == 99
    assert len({(p.python_version, p.pins) for p in benchmark}) == 100
    assert upstream_key(by_id[304]) == upstream_key(by_id[306])
    assert by_id[304].pins != by_id[306].pins and len(group_by_env(benchmark)) == 99  # joblib 0.12 gives way
    assert list(group_by_env(benchmark))[-1].library[0] in ("torch", "kymatio", "spacy", "lightgbm", "gradio")


def test_data_of_other_content_have_another_digest():
    problems = load_suite("builtin")
    assert data_digest(problems) == data_digest(list(reversed(problems))) != data_digest(problems[1:])
