"""Twenty-five tasks on small pure-Python packages of PyPI whose interface really changed; both versions were run."""

from papers.gitchameleon.mini import checks, commands, containers, counting, data, plugins, text, tools

# the order gives the problems their ids: what is new comes last
TASKS = data.TASKS + text.TASKS + tools.TASKS + containers.TASKS
TASKS += commands.TASKS + plugins.TASKS + checks.TASKS + counting.TASKS
