"""Counting, batching and writing numbers."""

from papers.gitchameleon.tasks import Side, Task

TASKS = (
    Task(
        name="squares-and-hits",
        library="cachetools",
        change="argument change",
        entity="cachetools.cached",
        docs="https://cachetools.readthedocs.io/en/stable/",
        statement=(
            "Return the squares of the numbers, each computed once through a function that cachetools memoises, and how"
            " often its cache had the answer; let cachetools count if it can."
        ),
        stub="import cachetools\n\ndef squares_and_hits(numbers: list[int]) -> tuple[list[int], int]:\n",
        visible="assert squares_and_hits([2, 3, 2]) == ([4, 9, 4], 1)",
        methods="""
        def test_no_hit(self):
            self.assertEqual(sample.squares_and_hits([1, 2, 3]), ([1, 4, 9], 0))
        def test_hits(self):
            self.assertEqual(sample.squares_and_hits([5, 5, 5]), ([25, 25, 25], 2))
        def test_order(self):
            self.assertEqual(sample.squares_and_hits([3, -1, 3, -1]), ([9, 1, 9, 1], 2))
        def test_empty(self):
            self.assertEqual(sample.squares_and_hits([]), ([], 0))
        """,
        old=Side(
            "4.2.4",
            """
            cache, squares, hits = cachetools.LRUCache(128), [], 0
            square = cachetools.cached(cache)(lambda number: number * number)
            for number in numbers:
                before = len(cache)
                squares.append(square(number))
                hits += len(cache) == before
            return squares, hits
            """,
            ("TypeError",),
            released="2021-09",
            calls=("cachetools.LRUCache", "cachetools.cached"),
            doc="cachetools 4.2: cached(cache) memoises a function and counts nothing.",
        ),
        new=Side(
            "5.3.3",
            """
            square = cachetools.cached(cachetools.LRUCache(128), info=True)(lambda number: number * number)
            return [square(number) for number in numbers], square.cache_info().hits
            """,
            released="2024-02",
            calls=("cachetools.LRUCache", "cachetools.cached", "square.cache_info"),
            doc="cachetools 5.3: cached(cache, info=True) gives the function a cache_info() with hits and misses; new.",
        ),
    ),
    Task(
        name="batches",
        library="more-itertools",
        change="new func/method/class",
        entity="more_itertools.batched",
        docs="https://more-itertools.readthedocs.io/en/stable/versions.html",
        statement="Cut items into tuples of n, the last one shorter; use more_itertools' batched if it has it.",
        stub="import more_itertools\n\ndef batches(items: list, n: int) -> list[tuple]:\n",
        visible="assert batches([1, 2, 3], 2) == [(1, 2), (3,)]",
        methods="""
        def test_even(self):
            self.assertEqual(sample.batches(list("abcd"), 2), [("a", "b"), ("c", "d")])
        def test_rest(self):
            self.assertEqual(sample.batches(list(range(7)), 3), [(0, 1, 2), (3, 4, 5), (6,)])
        def test_one_batch(self):
            self.assertEqual(sample.batches([1], 5), [(1,)])
        def test_nothing(self):
            self.assertEqual(sample.batches([], 2), [])
        """,
        old=Side(
            "8.14.0",
            "return [tuple(batch) for batch in more_itertools.chunked(items, n)]",
            ("AttributeError",),
            released="2022-08",
            calls=("more_itertools.chunked",),
            doc="more-itertools 8: chunked cuts an iterable into lists of n.",
        ),
        new=Side(
            "10.1.0",
            "return list(more_itertools.batched(items, n))",
            released="2023-08",
            calls=("more_itertools.batched",),
            doc="more-itertools 10: batched cuts an iterable into tuples of n; new.",
        ),
    ),
    Task(
        name="si-number",
        library="humanize",
        change="new feature",
        entity="humanize.metric",
        docs="https://github.com/python-humanize/humanize/releases",
        statement=(
            "Write a number from 1 to below 10^12 with three significant digits, a space, an SI prefix and its unit, as"
            " in '1.50 kV'; use humanize's function for it if it has one."
        ),
        stub="import humanize\n\ndef with_prefix(value: float, unit: str) -> str:\n",
        visible="assert with_prefix(1500, 'V') == '1.50 kV'",
        methods="""
        def test_mega(self):
            self.assertEqual(sample.with_prefix(2.5e7, "W"), "25.0 MW")
        def test_giga(self):
            self.assertEqual(sample.with_prefix(123e9, "Hz"), "123 GHz")
        def test_no_prefix(self):
            self.assertEqual(sample.with_prefix(220, "V"), "220 V")
        def test_small(self):
            self.assertEqual(sample.with_prefix(4, "m"), "4.00 m")
        """,
        old=Side(
            "3.14.0",
            """
            steps = 0
            while value >= 1000:
                value, steps = value / 1000, steps + 1
            digits = 2 if value < 10 else 1 if value < 100 else 0
            return f"{value:.{digits}f} {('', 'k', 'M', 'G')[steps]}{unit}"
            """,
            ("AttributeError",),
            pins="setuptools==68.2.2",  # its pkg_resources is imported
            released="2022-02",
            doc="humanize 3.14 writes no SI prefixes: divide by 1000 and format yourself.",
        ),
        new=Side(
            "4.9.0",
            "return humanize.metric(value, unit)",
            released="2023-11",
            calls=("humanize.metric",),
            doc="humanize 4: metric(value, unit, precision=3) writes a number with its SI prefix; new.",
        ),
    ),
)
