"""From a model's text to the module that is run.

The authors take the first block fenced as ```python, else the raw text. That rule is `first_python_block`;
`extract_code` also reads what models really send: other spellings of the fence, several blocks, an unterminated
block, a JSON object.
"""

import json
import re

_FENCE = re.compile(r"^[ \t]*```[ \t]*([\w+-]*)[^\n]*\n(.*?)(?:^[ \t]*```[ \t]*$|\Z)", re.MULTILINE | re.DOTALL)
_PYTHON = {"python", "py", "python3", "python2", ""}


def first_python_block(text: str) -> str:
    """The authors' rule: the first ```python block, else the text as it is."""
    match = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    return match.group(1) if match else text


def extract_code(text: str, stub: str = "") -> str:
    """The module in a completion.

    Among several fenced blocks of Python, the one that defines what the stub defines wins, else the longest. A JSON
    object's `answer` is read first. Text without a fence is returned as it is: it is code, or fails as such.

    Args:
        stub: the starting code, whose names tell the right block.
    Returns:
        Code with Unix line ends and no byte-order mark; empty if there is none.
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    text = _json_answer(text)
    blocks = [body for kind, body in _FENCE.findall(text) if kind.lower() in _PYTHON]
    if not blocks:
        return text
    names = re.findall(r"^\s*(?:async\s+def|def|class)\s+(\w+)", stub, re.MULTILINE)
    defining = [b for b in blocks if names and all(re.search(rf"\b{name}\b", b) for name in names)]
    return max(defining or blocks, key=len)


def _json_answer(text: str) -> str:
    if not text.lstrip().startswith("{"):
        return text
    try:
        content = json.loads(text)
    except json.JSONDecodeError:
        return text
    answer = content.get("answer") if isinstance(content, dict) else None
    return answer.replace("\r\n", "\n") if isinstance(answer, str) else text
