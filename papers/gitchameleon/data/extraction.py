"""From a model's text to the module that is run.

The authors take the first block fenced as ```python, else the raw text. That rule is `first_python_block`;
`extract_code` also reads what models really send: other spellings of the fence, fences amid a line, a closing fence
that is cut short or runs on, fences inside a docstring, several blocks, an unterminated block, single backticks, line
ends written as two characters, a JSON object.
"""

import json
import re
import textwrap
from collections.abc import Iterator
from itertools import islice

from papers.gitchameleon.data.parsing import json_object, parsed

_OPENING = re.compile(
    r"^(?:(?P<indent>[ \t]*)(?P<fence>`{3,}|~{3,})[ \t]*(?P<kind>[\w+-]*)[^\n`]*"
    r"|[^\n`]*?(?P<after_prose>`{3,})(?P<named>py(?:thon)?[23]?)[ \t]*)\n",
    re.MULTILINE | re.IGNORECASE,
)
_PYTHON = {"python", "py", "python3", "python2", ""}
_MOST_BLOCKS, _MOST_ENDS = 100, 50  # that are looked at; of a block's ends so many of each kind


def first_python_block(text: str) -> str:
    """The authors' rule: the first ```python block, else the text as it is."""
    match = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    return match.group(1) if match else text


def extract_code(text: str, stub: str = "") -> str:
    """The module in a completion.

    Text that is a module already is taken as it is, whatever fences its docstrings hold. Among several fenced blocks of
    Python, the one that defines what the stub defines wins, else the longest that names its language. Where that is no
    module, other readings are tried, the authors' first. A JSON object's `answer` is read first. Text without a fence
    is returned as it is: it is code, or fails as such.

    Args:
        stub: the starting code, whose names tell the right block.
    Returns:
        Code with Unix line ends and no byte-order mark; empty if there is none.
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    text = _json_answer(text)
    block = _right_block(text, stub)
    readings = (text, block, first_python_block(text), *_odd_readings(text, stub))
    return next((code for code in readings if code.strip() and parses(code)), block)


def _right_block(text: str, stub: str) -> str:
    """The block that is the answer; the text, if there is none."""
    found = islice(fenced_blocks(text), _MOST_BLOCKS)
    blocks = [(kind, body) for kind, body in found if kind.lower() in _PYTHON]
    names = re.findall(r"^\s*(?:async\s+def|def|class)\s+(\w+)", stub, re.MULTILINE)
    defining = [body for _, body in blocks if names and all(re.search(rf"\b{name}\b", body) for name in names)]
    labelled = [body for kind, body in blocks if kind]
    return max(defining or labelled or [body for _, body in blocks] or [text], key=len)


def _odd_readings(text: str, stub: str) -> Iterator[str]:
    """Lines in single backticks at the text's start; a text of one line whose line ends are written as backslash n."""
    if lines := re.match(r"\s*`([^`]*\n[^`]*)`", text):
        yield lines[1]
    if "\n" not in text.strip() and r"\n" in text:
        quoted = re.sub(r'(?<!\\)"', r"\"", text.strip())
        try:
            yield _right_block(json.loads(f'"{quoted}"', strict=False), stub)
        except ValueError:
            return


def fenced_blocks(text: str) -> Iterator[tuple[str, str]]:
    """(language, body) of each block, in order.

    A block ends at the first place where its body is a module. Tried are, in this order, fences of its kind alone on
    their line, at the end of a line of code, and at the start of a line, then the text's end, then fences anywhere. If
    none makes a module, the first of them is taken.
    """
    start = 0
    while opening := _OPENING.search(text, start):
        fence, kind = opening["fence"] or opening["after_prose"], opening["kind"] or opening["named"] or ""
        ends = ((_body(text[opening.end() : a], opening["indent"]), b) for a, b in _ends(text, opening.end(), fence))
        first = next(ends)
        body, start = first if parses(first[0]) else next((end for end in ends if parses(end[0])), first)
        yield kind, body


def _ends(text: str, start: int, fence: str) -> Iterator[tuple[int, int]]:
    """Where a block's body may end, and where its closing fence ends."""
    closing = rf"{fence}{fence[0]}*"
    for pattern in (rf"^[ \t]*{closing}[ \t]*$", rf"{closing}[ \t]*$", rf"^[ \t]*{closing}", "", closing):
        if pattern:
            found = re.compile(pattern, re.MULTILINE).finditer(text, start)
            yield from (match.span() for match in islice(found, _MOST_ENDS))
        else:  # a closing fence that was cut short is none of the code
            yield len(re.sub(rf"{fence[0]}+\s*$", "", text[start:])) + start, len(text)


def _body(text: str, indent: str | None) -> str:
    """A block's text; what an indented fence is indented by goes."""
    text = text.rstrip(" \t") if text.rpartition("\n")[2].strip() == "" else text
    return textwrap.dedent(text) if indent else text


def parses(text: str) -> bool:
    """Whether the text is a module of this interpreter's grammar."""
    return parsed(text)[0] is not None


def _json_answer(text: str) -> str:
    if not text.lstrip().startswith("{"):
        return text
    content = json_object(text)
    answer = content.get("answer") if content else None
    return answer.replace("\r\n", "\n") if isinstance(answer, str) else text
