"""Twelve tasks on the built-in libraries; four kinds of change each."""

from papers.gitchameleon.tasks import Side, Task

TEXTKIT = (
    Task(
        name="join-with-bar",
        library="textkit",
        change="argument change",
        entity="join_lines",
        statement="Join the lines with a vertical bar, through textkit's join_lines and its keyword for the separator.",
        stub="import textkit\n\ndef join_with_bar(lines: list[str]) -> str:\n",
        visible="assert join_with_bar(['a', 'b']) == 'a|b'",
        methods="""
        def test_two(self):
            self.assertEqual(sample.join_with_bar(["x", "y"]), "x|y")
        def test_one(self):
            self.assertEqual(sample.join_with_bar(["x"]), "x")
        def test_none(self):
            self.assertEqual(sample.join_with_bar([]), "")
        def test_bars_inside_stay(self):
            self.assertEqual(sample.join_with_bar(["a|", "b"]), "a||b")
        """,
        old=Side(
            "1.0.0",
            'return textkit.join_lines(lines, sep="|")',
            ("TypeError",),
            calls=("textkit.join_lines",),
            released="2020-01",
            doc="textkit 1.0: join_lines(lines, sep) joins lines; sep stands between them.",
        ),
        new=Side(
            "2.0.0",
            'return textkit.join_lines(lines, joiner="|")',
            ("TypeError",),
            calls=("textkit.join_lines",),
            released="2023-01",
            doc="textkit 2.0: join_lines(lines, joiner) joins lines; joiner replaces sep.",
        ),
    ),
    Task(
        name="page-address",
        library="textkit",
        change="name change",
        entity="slugify",
        statement="Return the address of a page: '/' and the slug that textkit makes of the title.",
        stub="import textkit\n\ndef page_address(title: str) -> str:\n",
        visible="assert page_address('Hello World') == '/hello-world'",
        methods="""
        def test_words(self):
            self.assertEqual(sample.page_address("One Two"), "/one-two")
        def test_punctuation(self):
            self.assertEqual(sample.page_address("What? Now!"), "/what-now")
        def test_empty(self):
            self.assertEqual(sample.page_address(""), "/")
        def test_digits(self):
            self.assertEqual(sample.page_address("Top 10"), "/top-10")
        """,
        old=Side(
            "1.0.0",
            'return "/" + textkit.slugify(title)',
            ("AttributeError",),
            calls=("textkit.slugify",),
            released="2020-01",
            doc="textkit 1.0: slugify(text) gives lower-case words joined by hyphens.",
        ),
        new=Side(
            "2.0.0",
            'return "/" + textkit.slug(title)',
            ("AttributeError",),
            calls=("textkit.slug",),
            released="2023-01",
            doc="textkit 2.0: slug(text), formerly slugify, gives words joined by hyphens.",
        ),
    ),
    Task(
        name="first-place",
        library="textkit",
        change="output behaviour",
        entity="positions",
        statement="Return where part first occurs in text, counted from 0, by textkit's positions; -1 if nowhere.",
        stub="import textkit\n\ndef first_place(text: str, part: str) -> int:\n",
        visible="assert first_place('banana', 'an') == 1",
        methods="""
        def test_start(self):
            self.assertEqual(sample.first_place("abc", "a"), 0)
        def test_inside(self):
            self.assertEqual(sample.first_place("abcabc", "ca"), 2)
        def test_nowhere(self):
            self.assertEqual(sample.first_place("abc", "x"), -1)
        def test_agrees_with_find(self):
            self.assertEqual(sample.first_place("mississippi", "ss"), "mississippi".find("ss"))
        """,
        old=Side(
            "1.0.0",
            "found = textkit.positions(text, part)\nreturn found[0] - 1 if found else -1",
            ("AssertionError",),
            calls=("textkit.positions",),
            released="2020-01",
            doc="textkit 1.0: positions(text, part) lists where part begins, counted from 1.",
        ),
        new=Side(
            "2.0.0",
            "found = textkit.positions(text, part)\nreturn found[0] if found else -1",
            ("AssertionError",),
            calls=("textkit.positions",),
            released="2023-01",
            doc="textkit 2.0: positions(text, part) lists where part begins, now counted from 0.",
        ),
    ),
    Task(
        name="monogram",
        library="textkit",
        change="new feature",
        entity="initials",
        statement="Return the initials of a name; use textkit where this version has a function for it.",
        stub="import textkit\n\ndef monogram(name: str) -> str:\n",
        visible="assert monogram('ada lovelace') == 'AL'",
        methods="""
        def test_two(self):
            self.assertEqual(sample.monogram("Grace Hopper"), "GH")
        def test_lower_case(self):
            self.assertEqual(sample.monogram("alan mathison turing"), "AMT")
        def test_spaces(self):
            self.assertEqual(sample.monogram("  a   b "), "AB")
        def test_empty(self):
            self.assertEqual(sample.monogram(""), "")
        """,
        old=Side(
            "1.0.0",
            'return "".join(word[0].upper() for word in name.split())',
            ("AttributeError",),
            released="2020-01",
            doc="textkit 1.0 has no function for initials: use str.split.",
        ),
        new=Side(
            "2.0.0",
            "return textkit.initials(name)",
            calls=("textkit.initials",),
            released="2023-01",
            doc="textkit 2.0: initials(name) gives the first letters of a name, upper case; new.",
        ),
    ),
)

TABLEKIT = (
    Task(
        name="cheapest",
        library="tablekit",
        change="argument change",
        entity="sort_rows",
        statement="Return the row with the lowest price, through tablekit's sort_rows, the column given by keyword.",
        stub="import tablekit\n\ndef cheapest(rows: list[dict]) -> dict:\n",
        visible="assert cheapest([{'price': 3}, {'price': 1}]) == {'price': 1}",
        methods="""
        def test_lowest(self):
            self.assertEqual(sample.cheapest([{"price": 5}, {"price": 2}, {"price": 9}]), {"price": 2})
        def test_single(self):
            self.assertEqual(sample.cheapest([{"price": 5}]), {"price": 5})
        def test_first_of_equals(self):
            self.assertEqual(sample.cheapest([{"price": 1, "n": 1}, {"price": 1, "n": 2}])["n"], 1)
        def test_negative(self):
            self.assertEqual(sample.cheapest([{"price": 0}, {"price": -1}]), {"price": -1})
        """,
        old=Side(
            "1.0.0",
            'return tablekit.sort_rows(rows, by="price")[0]',
            ("TypeError",),
            calls=("tablekit.sort_rows",),
            released="2021-06",
            doc="tablekit 1.0: sort_rows(rows, by) orders rows by the column named by.",
        ),
        new=Side(
            "2.0.0",
            'return tablekit.sort_rows(rows, key="price")[0]',
            ("TypeError",),
            calls=("tablekit.sort_rows",),
            released="2022-06",
            doc="tablekit 2.0: sort_rows(rows, key) orders rows; key replaces by.",
        ),
    ),
    Task(
        name="ages",
        library="tablekit",
        change="function name change",
        entity="transpose",
        statement="Return the values of the column 'age', through tablekit's mapping of column names to values.",
        stub="import tablekit\n\ndef ages(rows: list[dict]) -> list[int]:\n",
        visible="assert ages([{'age': 1}, {'age': 2}]) == [1, 2]",
        methods="""
        def test_order_stays(self):
            self.assertEqual(sample.ages([{"age": 9}, {"age": 3}]), [9, 3])
        def test_other_columns(self):
            self.assertEqual(sample.ages([{"age": 9, "name": "x"}]), [9])
        def test_repeated(self):
            self.assertEqual(sample.ages([{"age": 1}, {"age": 1}]), [1, 1])
        def test_is_a_list(self):
            self.assertIsInstance(sample.ages([{"age": 1}]), list)
        """,
        old=Side(
            "1.0.0",
            'return tablekit.transpose(rows)["age"]',
            ("AttributeError",),
            calls=("tablekit.transpose",),
            released="2021-06",
            doc="tablekit 1.0: transpose(rows) maps column names to lists of values.",
        ),
        new=Side(
            "2.0.0",
            'return tablekit.columns(rows)["age"]',
            ("AttributeError",),
            calls=("tablekit.columns",),
            released="2022-06",
            doc="tablekit 2.0: columns(rows), formerly transpose, maps names to values.",
        ),
    ),
    Task(
        name="sorted-totals",
        library="tablekit",
        change="output behaviour",
        entity="totals",
        statement="Return pairs of column name and sum as a list sorted by name, from tablekit's totals.",
        stub="import tablekit\n\ndef sorted_totals(rows: list[dict]) -> list[tuple]:\n",
        visible="assert sorted_totals([{'b': 1, 'a': 2}]) == [('a', 2), ('b', 1)]",
        methods="""
        def test_sums(self):
            self.assertEqual(sample.sorted_totals([{"x": 1}, {"x": 2}]), [("x", 3)])
        def test_order(self):
            self.assertEqual([n for n, _ in sample.sorted_totals([{"z": 1, "a": 1, "m": 1}])], ["a", "m", "z"])
        def test_floats(self):
            self.assertEqual(sample.sorted_totals([{"x": 0.5}, {"x": 0.25}]), [("x", 0.75)])
        def test_is_a_list(self):
            self.assertIsInstance(sample.sorted_totals([{"x": 1}]), list)
        """,
        old=Side(
            "1.0.0",
            "return sorted(tablekit.totals(rows).items())",
            ("AssertionError", "ValueError"),
            calls=("tablekit.totals",),
            released="2021-06",
            doc="tablekit 1.0: totals(rows) is a dictionary from column name to sum.",
        ),
        new=Side(
            "2.0.0",
            "return sorted(tablekit.totals(rows))",
            ("AttributeError",),
            calls=("tablekit.totals",),
            released="2022-06",
            doc="tablekit 2.0: totals(rows) is a list of pairs of column name and sum.",
        ),
    ),
    Task(
        name="middle-price",
        library="tablekit",
        change="new func/method/class",
        entity="median",
        statement="Return the median price of the rows; use tablekit where this version has a function for it.",
        stub="import tablekit\n\ndef middle_price(rows: list[dict]) -> float:\n",
        visible="assert middle_price([{'price': 1}, {'price': 2}, {'price': 9}]) == 2",
        methods="""
        def test_odd(self):
            self.assertEqual(sample.middle_price([{"price": p} for p in (7, 1, 3)]), 3)
        def test_even(self):
            self.assertEqual(sample.middle_price([{"price": p} for p in (1, 2, 3, 4)]), 2.5)
        def test_single(self):
            self.assertEqual(sample.middle_price([{"price": 4}]), 4)
        def test_other_columns(self):
            self.assertEqual(sample.middle_price([{"price": 4, "n": 1}]), 4)
        """,
        old=Side(
            "1.0.0",
            'import statistics\nreturn statistics.median(row["price"] for row in rows)',
            ("AttributeError",),
            calls=("statistics.median",),
            released="2021-06",
            doc="tablekit 1.0 has no median: use the standard library's statistics.",
        ),
        new=Side(
            "2.0.0",
            'return tablekit.median(rows, "price")',
            calls=("tablekit.median",),
            released="2022-06",
            doc="tablekit 2.0: median(rows, name) is the median of a column; new.",
        ),
    ),
)

STOREKIT = (
    Task(
        name="dotted-store",
        library="storekit",
        change="argument or attribute change",
        entity="Store",
        statement="Return an empty storekit Store whose paths are separated by dots; give the separator by keyword.",
        stub="import storekit\n\ndef dotted_store() -> storekit.Store:\n",
        visible="assert dotted_store().paths() == []",
        methods="""
        def test_is_a_store(self):
            import storekit
            self.assertIsInstance(sample.dotted_store(), storekit.Store)
        def test_is_empty(self):
            self.assertEqual(sample.dotted_store().paths(), [])
        def test_separator(self):
            store = sample.dotted_store()
            self.assertIn(".", vars(store).values())
        def test_stores_are_distinct(self):
            self.assertIsNot(sample.dotted_store(), sample.dotted_store())
        """,
        old=Side(
            "1.0.0",
            'return storekit.Store(sep=".")',
            ("TypeError",),
            calls=("storekit.Store",),
            released="2022-03",
            doc="storekit 1.0: Store(sep) keeps values by path; sep stands between parts.",
        ),
        new=Side(
            "2.0.0",
            'return storekit.Store(separator=".")',
            ("TypeError",),
            calls=("storekit.Store",),
            released="2023-03",
            doc="storekit 2.0: Store(separator) keeps values by path; sep is gone.",
        ),
    ),
    Task(
        name="remember",
        library="storekit",
        change="name change",
        entity="Store.put",
        statement="Keep value under the path with the given parts in the storekit store, and return the store.",
        stub="import storekit\n\ndef remember(store: storekit.Store, parts: list[str], value) -> storekit.Store:\n",
        visible="assert remember(storekit.Store(), ['a', 'b'], 1).paths() == ['a/b']",
        methods="""
        def setUp(self):
            import storekit
            self.store = storekit.Store()
        def test_path(self):
            self.assertEqual(sample.remember(self.store, ["x"], 1).paths(), ["x"])
        def test_value(self):
            self.assertEqual(sample.remember(self.store, ["x", "y"], 7).get("x/y"), 7)
        def test_same_store(self):
            self.assertIs(sample.remember(self.store, ["x"], 1), self.store)
        def test_overwrites(self):
            sample.remember(self.store, ["x"], 1)
            self.assertEqual(sample.remember(self.store, ["x"], 2).get("x"), 2)
        """,
        old=Side(
            "1.0.0",
            "store.put(parts, value)\nreturn store",
            ("AttributeError",),
            calls=("store.put",),
            released="2022-03",
            doc="storekit 1.0: Store.put(parts, value) keeps a value under a path.",
        ),
        new=Side(
            "2.0.0",
            "store.set(parts, value)\nreturn store",
            ("AttributeError",),
            calls=("store.set",),
            released="2023-03",
            doc="storekit 2.0: Store.set(parts, value), formerly put, keeps a value.",
        ),
    ),
    Task(
        name="look-up",
        library="storekit",
        change="breaking change",
        entity="Store.get",
        statement="Return the value at path in the storekit store, or 'unknown' where there is none.",
        stub="import storekit\n\ndef look_up(store: storekit.Store, path: str) -> str:\n",
        visible="assert look_up(storekit.Store(), 'x') == 'unknown'",
        methods="""
        def setUp(self):
            import storekit
            self.store = storekit.Store().load({"a": "one", "b/c": "two"})
        def test_present(self):
            self.assertEqual(sample.look_up(self.store, "a"), "one")
        def test_deeper(self):
            self.assertEqual(sample.look_up(self.store, "b/c"), "two")
        def test_absent(self):
            self.assertEqual(sample.look_up(self.store, "z"), "unknown")
        def test_absent_in_empty(self):
            import storekit
            self.assertEqual(sample.look_up(storekit.Store(), "a"), "unknown")
        """,
        old=Side(
            "1.0.0",
            'value = store.get(path)\nreturn "unknown" if value is None else value',
            ("AssertionError",),
            calls=("store.get",),
            released="2022-03",
            doc="storekit 1.0: Store.get(path) is None if absent.",
        ),
        new=Side(
            "2.0.0",
            'try:\n    return store.get(path)\nexcept KeyError:\n    return "unknown"',
            ("KeyError",),
            calls=("store.get",),
            released="2023-03",
            doc="storekit 2.0: Store.get(path) raises KeyError if absent.",
        ),
    ),
    Task(
        name="count-below",
        library="storekit",
        change="new feature",
        entity="Store.paths_under",
        statement="Count the store's paths that begin with prefix; use storekit's function if it has one.",
        stub="import storekit\n\ndef count_below(store: storekit.Store, prefix: str) -> int:\n",
        visible="assert count_below(storekit.Store(), 'x') == 0",
        methods="""
        def setUp(self):
            import storekit
            self.store = storekit.Store().load({"a/b": 1, "a/c": 2, "d": 3})
        def test_some(self):
            self.assertEqual(sample.count_below(self.store, "a/"), 2)
        def test_one(self):
            self.assertEqual(sample.count_below(self.store, "d"), 1)
        def test_none(self):
            self.assertEqual(sample.count_below(self.store, "z"), 0)
        def test_all(self):
            self.assertEqual(sample.count_below(self.store, ""), 3)
        """,
        old=Side(
            "1.0.0",
            "return sum(path.startswith(prefix) for path in store.paths())",
            ("AttributeError",),
            calls=("store.paths",),
            released="2022-03",
            doc="storekit 1.0 finds no paths by prefix: filter Store.paths().",
        ),
        new=Side(
            "2.0.0",
            "return len(store.paths_under(prefix))",
            calls=("store.paths_under",),
            released="2023-03",
            doc="storekit 2.0: Store.paths_under(prefix) lists paths by prefix; new.",
        ),
    ),
)

TASKS = TEXTKIT + TABLEKIT + STOREKIT
