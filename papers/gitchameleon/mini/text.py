"""Packages that take text apart or lay it out."""

from papers.gitchameleon.tasks import Side, Task

TASKS = (
    Task(
        name="first-word",
        library="pyparsing",
        change="name change",
        entity="ParserElement.parseString",
        docs="https://pyparsing-docs.readthedocs.io/en/latest/whats_new_in_3_0_0.html",
        statement="Return the first word of letters in text with pyparsing, by the name that its method has now.",
        stub="import pyparsing\n\ndef first_word(text: str) -> str:\n",
        visible="assert first_word('hello world') == 'hello'",
        methods="""
        def test_one(self):
            self.assertEqual(sample.first_word("word"), "word")
        def test_leading_space(self):
            self.assertEqual(sample.first_word("   two words"), "two")
        def test_stops_at_digit(self):
            self.assertEqual(sample.first_word("abc123"), "abc")
        def test_no_word(self):
            import pyparsing
            with self.assertRaises(pyparsing.ParseException):
                sample.first_word("123")
        """,
        old=Side(
            "2.4.7",
            "return pyparsing.Word(pyparsing.alphas).parseString(text)[0]",
            ("AttributeError",),
            released="2020-04",
            calls=("pyparsing.Word",),
            doc="pyparsing 2.4: parseString parses from the start of a text.",
        ),
        new=Side(
            "3.1.1",
            "return pyparsing.Word(pyparsing.alphas).parse_string(text)[0]",
            released="2023-07",
            calls=("pyparsing.Word",),
            doc="pyparsing 3: parse_string parses from the start of a text; the old name still works.",
        ),
    ),
    Task(
        name="version-text",
        library="semver",
        change="function name change",
        entity="VersionInfo.isvalid",
        docs="https://python-semver.readthedocs.io/en/latest/migration/migratetosemver3.html",
        statement="Say whether a text is a semantic version, with semver's own check.",
        stub="import semver\n\ndef is_semantic(text: str) -> bool:\n",
        visible="assert is_semantic('1.2.3')",
        methods="""
        def test_release(self):
            self.assertTrue(sample.is_semantic("1.0.0"))
        def test_pre_release(self):
            self.assertTrue(sample.is_semantic("1.0.0-rc.1+build"))
        def test_short(self):
            self.assertFalse(sample.is_semantic("1.0"))
        def test_words(self):
            self.assertFalse(sample.is_semantic("one"))
        """,
        old=Side(
            "2.13.0",
            "return semver.VersionInfo.isvalid(text)",
            ("AttributeError",),
            released="2020-10",
            calls=("semver.VersionInfo.isvalid",),
            doc="semver 2: VersionInfo.isvalid(text).",
        ),
        new=Side(
            "3.0.2",
            "return semver.Version.is_valid(text)",
            ("AttributeError",),
            released="2023-10",
            calls=("semver.Version.is_valid",),
            doc="semver 3: Version.is_valid(text), formerly VersionInfo.isvalid.",
        ),
    ),
    Task(
        name="text-frame",
        library="tabulate",
        change="new feature",
        entity="tabulate",
        docs="https://github.com/astanin/python-tabulate/blob/master/CHANGELOG",
        statement="Frame rows of words by +, - and |, without lines between rows; use tabulate's format if it has one.",
        stub="import tabulate\n\ndef framed(rows: list[list[str]]) -> str:\n",
        visible="assert framed([['a', 'b']]) == '+---+---+\\n| a | b |\\n+---+---+'",
        methods="""
        def test_two_rows(self):
            self.assertEqual(sample.framed([["a", "b"], ["c", "d"]]), "+---+---+\\n| a | b |\\n| c | d |\\n+---+---+")
        def test_widths(self):
            self.assertEqual(sample.framed([["abc"], ["d"]]), "+-----+\\n| abc |\\n| d   |\\n+-----+")
        def test_single(self):
            self.assertEqual(sample.framed([["x"]]), "+---+\\n| x |\\n+---+")
        def test_lines(self):
            self.assertEqual(len(sample.framed([["x"]] * 5).splitlines()), 7)
        """,
        old=Side(
            "0.8.9",
            """
            widths = [max(len(cell) for cell in column) for column in zip(*rows)]
            rule = "+" + "+".join("-" * (width + 2) for width in widths) + "+"
            lines = ["|" + "|".join(f" {c:<{w}} " for c, w in zip(row, widths)) + "|" for row in rows]
            return "\\n".join([rule, *lines, rule])
            """,
            ("AssertionError",),
            released="2021-02",
            doc="tabulate 0.8 has no framed format without lines between rows: draw the frame yourself.",
        ),
        new=Side(
            "0.9.0",
            'return tabulate.tabulate(rows, tablefmt="outline")',
            released="2022-10",
            calls=("tabulate.tabulate",),
            doc='tabulate 0.9: tablefmt="outline" frames a table without lines between rows; new.',
        ),
    ),
)
