"""From a model's text to the module that is run.

The authors take the first block fenced as ```python, else the raw text. That rule is `first_python_block`;
`extract_code` also reads what models really send: other spellings of the fence, a closing fence at the end of a line of
code, fences inside a docstring, several blocks, an unterminated block, a JSON object.
"""

import ast
import json
import re
import textwrap
import warnings
from collections.abc import Iterator

_OPENING = re.compile(r"^(?P<indent>[ \t]*)(?P<fence>`{3,}|~{3,})[ \t]*(?P<kind>[\w+-]*)[^\n`]*\n", re.MULTILINE)
_PYTHON = {"python", "py", "python3", "python2", ""}


def first_python_block(text: str) -> str:
    """The authors' rule: the first ```python block, else the text as it is."""
    match = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    return match.group(1) if match else text


def extract_code(text: str, stub: str = "") -> str:
    """The module in a completion.

    Text that is a module already is taken as it is, whatever fences its docstrings hold. Among several fenced blocks of
    Python, the one that defines what the stub defines wins, else the longest that names its language. A JSON object's
    `answer` is read first. Text without a fence is returned as it is: it is code, or fails as such.

    Args:
        stub: the starting code, whose names tell the right block.
    Returns:
        Code with Unix line ends and no byte-order mark; empty if there is none.
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    text = _json_answer(text)
    if parses(text):
        return text
    blocks = [(kind, body) for kind, body in fenced_blocks(text) if kind.lower() in _PYTHON]
    if not blocks:
        return text
    names = re.findall(r"^\s*(?:async\s+def|def|class)\s+(\w+)", stub, re.MULTILINE)
    defining = [body for _, body in blocks if names and all(re.search(rf"\b{name}\b", body) for name in names)]
    labelled = [body for kind, body in blocks if kind]
    return max(defining or labelled or [body for _, body in blocks], key=len)


def fenced_blocks(text: str) -> Iterator[tuple[str, str]]:
    """(language, body) of each block, in order.

    A block ends at the first fence of its kind after which its body is a module: alone on its line, or at the end of a
    line of code. If none makes one, it ends at the first fence alone on its line, else at the first one, else with the
    text.
    """
    start = 0
    while opening := _OPENING.search(text, start):
        fence, rest = opening["fence"], text[opening.end() :]
        closing = list(re.finditer(rf"{re.escape(fence)}[{fence[0]}]*[ \t]*$", rest, re.MULTILINE))
        bodies = [(_body(rest[: end.start()], opening["indent"]), end) for end in closing]
        alone = [pair for pair in bodies if not rest[: pair[1].start()].rpartition("\n")[2].strip()]
        chosen = next((pair for pair in bodies if parses(pair[0])), None) or next(iter(alone or bodies), None)
        if chosen is None:
            yield opening["kind"], _body(rest, opening["indent"])
            return
        yield opening["kind"], chosen[0]
        start = opening.end() + chosen[1].end()


def _body(text: str, indent: str) -> str:
    """A block's text; what an indented fence is indented by goes."""
    text = text.rstrip(" \t") if text.rpartition("\n")[2].strip() == "" else text
    return textwrap.dedent(text) if indent else text


def parses(text: str) -> bool:
    """Whether the text is a module of this interpreter's grammar."""
    try:
        with warnings.catch_warnings(action="ignore"):  # of escapes in the text's literals
            ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _json_answer(text: str) -> str:
    if not text.lstrip().startswith("{"):
        return text
    try:
        content = json.loads(text)
    except (json.JSONDecodeError, RecursionError):
        return text
    answer = content.get("answer") if isinstance(content, dict) else None
    return answer.replace("\r\n", "\n") if isinstance(answer, str) else text
