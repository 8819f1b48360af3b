"""A chat model's recorded answer to the question of answers/form.json: which pair to stitch. Nothing is made up."""

from pathlib import Path

from shared.base.errors import nearest_or_all
from shared.base.files import read_json

FIELDS = ("model", "prompt", "image", "text")


def recorded_pick(file: str | None, images: list[str], texts: list[str]) -> dict | None:
    """The answer in `answers/<file>`, {model, prompt, image, text}; None where no file is named: not run.

    Raises:
        ValueError: the file is missing, lacks a field, or names an encoder that the zoo has not.
    """
    if file is None:
        return None
    path = Path(__file__).parent / "answers" / file
    if not path.is_file():
        raise ValueError(f"no recorded answer answers/{file}; record one there, or leave ask_llm out")
    answer = read_json(path)
    lacking = [name for name in FIELDS if not answer.get(name)]
    if lacking:
        raise ValueError(f"answers/{file} lacks '{lacking[0]}'; it needs {', '.join(FIELDS)}")
    for kind, known in (("image", images), ("text", texts)):
        if answer[kind] not in known:
            raise ValueError(f"answers/{file} names '{answer[kind]}'; {nearest_or_all(answer[kind], known)}")
    return {name: answer[name] for name in FIELDS}
