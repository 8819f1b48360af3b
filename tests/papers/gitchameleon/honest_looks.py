"""Statements of right answers: their libraries look into the interpreter, or they look at what is their own."""

HONEST = {
    "formatted-trace": "import traceback\ntry:\n    1 / 0\nexcept ZeroDivisionError:\n    traceback.format_exc()\n",
    "printed-stack": "import traceback\ntraceback.print_stack()\ntraceback.format_stack()\n",
    "logged-trace": "import logging\ntry:\n    1 / 0\nexcept ZeroDivisionError:\n"
    "    logging.exception('x', stack_info=True)\n",
    "caller-of-a-log": "import logging\nlogging.basicConfig(format='%(funcName)s')\nlogging.warning('x')\n",
    "named-tuple": "import collections, typing, enum\nP = collections.namedtuple('P', 'x')\n"
    "class Q(typing.NamedTuple):\n    x: int\nenum.Enum('E', 'a b')\nT = typing.TypeVar('T')\n",
    "warning": "import warnings\nwarnings.warn('x')\nwarnings.warn('x', DeprecationWarning, stacklevel=2)\n",
    "state-of-a-generator": "import inspect\ninspect.getgeneratorstate(x for x in ())\n",
    "own-source": "import inspect\ndef f(x=1): return x\ninspect.getsource(f)\n"
    "inspect.signature(f)\nf.__code__.co_argcount\n",
    "threads": "from concurrent.futures import ThreadPoolExecutor\n"
    "with ThreadPoolExecutor(2) as pool:\n    list(pool.map(str, range(9)))\n",
    "tasks": "import asyncio\nasync def f():\n    t = asyncio.ensure_future(asyncio.sleep(0))\n"
    "    await t\n    return repr(t)\n"
    "asyncio.run(f())\n",
    "data-class": "import dataclasses, json\n@dataclasses.dataclass\nclass P:\n    x: int = 1\n"
    "assert json.loads(json.dumps(dataclasses.asdict(P()))) == {'x': 1}\n",
    "context": "import contextlib\n@contextlib.contextmanager\ndef c():\n    yield\nwith c():\n    pass\n",
    "own-doctest": "import doctest, sys\ndoctest.testmod(sys.modules[__name__])\n",
    "template": "import string\nstring.Formatter().format('{0.real}', 1)\n",
    "own-mock": "from unittest import mock\nm = mock.Mock()\nm(1)\nm.assert_called_once_with(1)\n",
}
