"""The tool agent: a loop of plan, tool, observation, ended by `final_answer`.

Every turn is one JSON object, {"plan", "tool", "arguments"}. Tools are functions that are passed in: a search in
documentation, and optionally a sandbox that runs a program in the problem's environment and returns what it printed.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from papers.gitchameleon.data.parsing import json_object
from papers.gitchameleon.data.problems import Problem
from papers.gitchameleon.models.base import STOP, Completion, Message, Model, Usage
from papers.gitchameleon.protocols.generation import Request, answer_row
from papers.gitchameleon.protocols.prompts import problem_text, render, template_hash
from papers.gitchameleon.protocols.single import SINGLE, TEXT

TEMPLATES = ("agent_system", "problem", "observation")
TURN = {
    "type": "object",
    "properties": {"plan": TEXT, "tool": TEXT, "arguments": {"type": "object"}},
    "required": ["plan", "tool", "arguments"],
}
MAX_OBSERVATION = 4000  # characters


@dataclass(frozen=True)
class Tool:
    """What an agent may call: `run(problem, argument)` returns text."""

    name: str
    description: str  # names the one argument
    argument: str
    run: Callable[[Problem, str], str]


def final_answer() -> Tool:
    """Ends the talk; never run."""
    return Tool("final_answer", 'ends the task; arguments {"answer": the whole module}', "answer", lambda p, a: a)


def search_tool(search: Callable[[str], str]) -> Tool:
    """Grounding: documentation for a query."""
    description = 'looks into documentation; arguments {"query": text}'
    return Tool("search", description, "query", lambda problem, query: search(query))


def sandbox_tool(run: Callable[[Problem, str], str]) -> Tool:
    """Runs a program where the answer will run, and returns what it printed."""
    description = 'runs a Python program in the target environment and returns its output; arguments {"program": text}'
    return Tool("run_python", description, "program", run)


def parse_turn(text: str) -> tuple[str, dict] | None:
    """(tool, arguments) of a turn; None if it is none. A JSON object inside a fence counts too."""
    fenced = re.search(r"```(?:json)?\s*\n(.*?)```", text, re.DOTALL)
    for candidate in (text, fenced.group(1) if fenced else ""):
        content = json_object(candidate)
        if content is not None and isinstance(content.get("arguments"), dict) and "tool" in content:
            return str(content["tool"]), content["arguments"]
    return None


def request_of(problem: Problem, tools: Sequence[Tool], max_steps: int) -> Request:
    """The opening of the talk."""
    listed = [*tools, final_answer()]
    opening = render("agent_system", tools=listed, max_steps=max_steps)
    named = {t.name for t in tools}
    return Request(
        problem=problem,
        messages=(Message("system", opening), Message("user", problem_text(problem))),
        protocol="agent_sandbox" if "run_python" in named else "agent",
        sampling=SINGLE["greedy"].sampling,
        templates=template_hash(*TEMPLATES),
        schema=TURN,
    )


def run_agent(model: Model, request: Request, tools: Sequence[Tool], max_steps: int) -> dict:
    """The row of one problem. Without a final answer within `max_steps` the row's answer is empty: a failure.

    The row keeps the turns, and counts tokens over all of them.
    """
    if max_steps < 1:
        raise ValueError(f"the agent needs at least one step; got {max_steps}")
    by_name, messages, turns = {t.name: t for t in tools}, list(request.messages), []
    prompt_tokens = completion_tokens = 0
    text, reason = "", "budget"
    for step in range(1, max_steps + 1):
        how = request.sampling
        said = model.complete(messages, 1, how.temperature, how.top_p, how.max_tokens, request.seed, request.schema)[0]
        prompt_tokens += said.usage.prompt_tokens or 0
        completion_tokens += said.usage.completion_tokens or 0
        turn = parse_turn(said.text)
        tool, arguments = turn or ("", {})
        turns.append({"text": said.text, "tool": tool})
        if tool == "final_answer" and isinstance(arguments.get("answer"), str):
            text, reason = arguments["answer"], STOP
            break
        seen = _observe(request.problem, tool, arguments, by_name, turn is None)[:MAX_OBSERVATION]
        turns[-1]["observation"] = seen
        observation = render("observation", tool=tool or "none", text=seen, steps_left=max_steps - step)
        messages += [Message("assistant", said.text), Message("user", observation)]
    completion = Completion(text, reason, Usage(prompt_tokens, completion_tokens))
    return answer_row(request, model.name, completion, turns=turns, max_steps=max_steps)


def _observe(problem: Problem, name: str, arguments: dict, tools: dict[str, Tool], malformed: bool) -> str:
    if malformed:
        return 'That was no turn. Reply with one JSON object: {"plan": ..., "tool": ..., "arguments": {...}}.'
    if name not in tools:
        return f"There is no tool '{name}' with these arguments. There are: {', '.join([*tools, 'final_answer'])}."
    argument = arguments.get(tools[name].argument)
    if not isinstance(argument, str):
        return f"{name} needs the argument '{tools[name].argument}', a text."
    return tools[name].run(problem, argument)
