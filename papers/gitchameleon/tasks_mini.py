"""Sixteen tasks on small pure-Python packages of PyPI whose interface really changed; both versions were run."""

from papers.gitchameleon.tasks import Side, Task

DATA_FORMATS = (
    Task(
        name="legacy-version",
        library="packaging",
        change="output behaviour",
        entity="packaging.version.parse",
        docs="https://packaging.pypa.io/en/stable/changelog.html",
        statement="Say whether a text is NOT a version after PEP 440, by what packaging's parse makes of it.",
        stub="import packaging.version\n\ndef is_legacy(text: str) -> bool:\n",
        visible="assert is_legacy('not a version')\nassert not is_legacy('1.0')",
        methods="""
        def test_words(self):
            self.assertIs(sample.is_legacy("a nice release"), True)
        def test_release(self):
            self.assertIs(sample.is_legacy("1.2.3"), False)
        def test_pre_release(self):
            self.assertIs(sample.is_legacy("2.0rc1"), False)
        def test_dashes(self):
            self.assertIs(sample.is_legacy("1.0-beta-gamma"), True)
        """,
        old=Side(
            "21.3",
            "return isinstance(packaging.version.parse(text), packaging.version.LegacyVersion)",
            ("AssertionError",),
            pins="pyparsing==3.0.9",
            released="2021-11",
            calls=("packaging.version.parse",),
            doc="packaging 21.3: version.parse gives a LegacyVersion for text that is no PEP 440 version.",
        ),
        new=Side(
            "23.2",
            """
            try:
                packaging.version.parse(text)
            except packaging.version.InvalidVersion:
                return True
            return False
            """,
            ("AttributeError", "InvalidVersion"),
            released="2023-10",
            calls=("packaging.version.parse",),
            doc="packaging 23.2: version.parse raises InvalidVersion for other text; LegacyVersion is gone.",
        ),
    ),
    Task(
        name="settings-from-stream",
        library="tomli",
        change="argument or attribute change",
        entity="tomli.load",
        docs="https://github.com/hukkin/tomli/blob/master/CHANGELOG.md",
        statement="Read TOML from a text stream.",
        stub="from typing import TextIO\n\nimport tomli\n\ndef read_settings(stream: TextIO) -> dict:\n",
        visible="import io\nassert read_settings(io.StringIO('a = 1')) == {'a': 1}",
        methods="""
        def read(self, text):
            import io
            return sample.read_settings(io.StringIO(text))
        def test_table(self):
            self.assertEqual(self.read("[t]\\nx = 'y'"), {"t": {"x": "y"}})
        def test_empty(self):
            self.assertEqual(self.read(""), {})
        def test_list(self):
            self.assertEqual(self.read("a = [1, 2]"), {"a": [1, 2]})
        def test_error(self):
            import tomli
            with self.assertRaises(tomli.TOMLDecodeError):
                self.read("a = ")
        """,
        old=Side(
            "1.2.3",
            "return tomli.load(stream)",
            released="2021-12",
            calls=("tomli.load",),
            doc="tomli 1.2: load takes a binary stream and, deprecated, a text stream.",
        ),
        new=Side(
            "2.0.1",
            "return tomli.loads(stream.read())",
            ("TypeError",),
            released="2022-02",
            calls=("tomli.loads",),
            doc="tomli 2.0: load takes binary streams only; give text to loads.",
        ),
    ),
    Task(
        name="plain-dictionaries",
        library="xmltodict",
        change="output behaviour",
        entity="xmltodict.parse",
        docs="https://github.com/martinblech/xmltodict/blob/master/CHANGELOG.md",
        statement="Parse XML with xmltodict to dictionaries that are exactly of type dict, at every depth.",
        stub="import xmltodict\n\ndef to_dict(text: str) -> dict:\n",
        visible="assert type(to_dict('<a><b>1</b></a>')) is dict",
        methods="""
        def test_outer(self):
            self.assertIs(type(sample.to_dict("<a><b>1</b></a>")), dict)
        def test_inner(self):
            self.assertIs(type(sample.to_dict("<a><b>1</b></a>")["a"]), dict)
        def test_content(self):
            self.assertEqual(sample.to_dict("<a><b>1</b><b>2</b></a>"), {"a": {"b": ["1", "2"]}})
        def test_attributes(self):
            self.assertEqual(sample.to_dict('<a x="1"/>'), {"a": {"@x": "1"}})
        """,
        old=Side(
            "0.12.0",
            "import json\nreturn json.loads(json.dumps(xmltodict.parse(text)))",
            ("AssertionError",),
            released="2019-02",
            calls=("xmltodict.parse", "json.loads", "json.dumps"),
            doc="xmltodict 0.12: parse gives OrderedDict at every depth.",
        ),
        new=Side(
            "0.13.0",
            "return xmltodict.parse(text)",
            released="2022-05",
            calls=("xmltodict.parse",),
            doc="xmltodict 0.13: parse gives plain dict on Python 3.7 and later.",
        ),
    ),
    Task(
        name="default-on-load",
        library="marshmallow",
        change="argument change",
        entity="marshmallow.fields.Field",
        docs="https://marshmallow.readthedocs.io/en/stable/changelog.html",
        statement="Return a schema class with an integer field 'count' that is 3 where the input has none.",
        stub="from marshmallow import Schema, fields\n\ndef counting_schema() -> type[Schema]:\n",
        visible="assert counting_schema()().load({}) == {'count': 3}",
        methods="""
        def test_default(self):
            self.assertEqual(sample.counting_schema()().load({}), {"count": 3})
        def test_given(self):
            self.assertEqual(sample.counting_schema()().load({"count": 5}), {"count": 5})
        def test_text(self):
            self.assertEqual(sample.counting_schema()().load({"count": "7"}), {"count": 7})
        def test_invalid(self):
            from marshmallow import ValidationError
            with self.assertRaises(ValidationError):
                sample.counting_schema()().load({"count": "x"})
        """,
        old=Side(
            "3.12.2",
            "class Counting(Schema):\n    count = fields.Integer(missing=3)\nreturn Counting",
            ("AssertionError",),
            released="2021-07",
            calls=("marshmallow.fields.Integer",),
            doc="marshmallow 3.12: missing is the value of a field that the input lacks.",
        ),
        new=Side(
            "4.0.0",
            "class Counting(Schema):\n    count = fields.Integer(load_default=3)\nreturn Counting",
            ("TypeError",),
            released="2025-04",
            calls=("marshmallow.fields.Integer",),
            doc="marshmallow 4.0: load_default is the value of a field that the input lacks; missing is gone.",
        ),
    ),
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

TOKENS_AND_TOOLS = (
    Task(
        name="token-bytes",
        library="pyjwt",
        change="output behaviour",
        entity="jwt.encode",
        docs="https://pyjwt.readthedocs.io/en/stable/changelog.html",
        statement="Return the signed token (HS256) of a payload as bytes.",
        stub="import jwt\n\ndef token_bytes(payload: dict, key: str) -> bytes:\n",
        visible="assert isinstance(token_bytes({'a': 1}, 'secret'), bytes)",
        methods="""
        def test_type(self):
            self.assertIsInstance(sample.token_bytes({"a": 1}, "k" * 32), bytes)
        def test_parts(self):
            self.assertEqual(sample.token_bytes({"a": 1}, "k" * 32).count(b"."), 2)
        def test_round_trip(self):
            import jwt
            token = sample.token_bytes({"user": "x"}, "k" * 32)
            self.assertEqual(jwt.decode(token, "k" * 32, algorithms=["HS256"]), {"user": "x"})
        def test_keys_matter(self):
            self.assertNotEqual(sample.token_bytes({"a": 1}, "k" * 32), sample.token_bytes({"a": 1}, "l" * 32))
        """,
        old=Side(
            "1.7.1",
            'return jwt.encode(payload, key, algorithm="HS256")',
            ("AttributeError",),
            released="2018-12",
            calls=("jwt.encode",),
            doc="PyJWT 1.7: encode gives bytes.",
        ),
        new=Side(
            "2.8.0",
            'return jwt.encode(payload, key, algorithm="HS256").encode("ascii")',
            ("AssertionError", "TypeError"),
            released="2023-07",
            calls=("jwt.encode",),
            doc="PyJWT 2: encode gives text, no longer bytes.",
        ),
    ),
    Task(
        name="read-unverified",
        library="pyjwt",
        change="argument change",
        entity="jwt.decode",
        docs="https://pyjwt.readthedocs.io/en/stable/changelog.html",
        statement="Return the payload of a token without checking its signature.",
        stub="import jwt\n\ndef read_unverified(token: str) -> dict:\n",
        visible="assert read_unverified(jwt.encode({'a': 1}, 'secret', algorithm='HS256')) == {'a': 1}",
        methods="""
        def token(self, payload, key="k" * 32):
            import jwt
            return jwt.encode(payload, key, algorithm="HS256")
        def test_payload(self):
            self.assertEqual(sample.read_unverified(self.token({"user": "x"})), {"user": "x"})
        def test_any_key(self):
            self.assertEqual(sample.read_unverified(self.token({"a": 1}, "z" * 40)), {"a": 1})
        def test_empty(self):
            self.assertEqual(sample.read_unverified(self.token({})), {})
        def test_no_token(self):
            import jwt
            with self.assertRaises(jwt.DecodeError):
                sample.read_unverified("nothing")
        """,
        old=Side(
            "1.7.1",
            "return jwt.decode(token, verify=False)",
            released="2018-12",
            calls=("jwt.decode",),
            doc="PyJWT 1.7: decode(token, verify=False) skips the signature.",
        ),
        new=Side(
            "2.8.0",
            'return jwt.decode(token, options={"verify_signature": False})',
            ("DecodeError",),
            released="2023-07",
            calls=("jwt.decode",),
            doc='PyJWT 2: decode(token, options={"verify_signature": False}); the argument verify is gone.',
        ),
    ),
    Task(
        name="signed-when",
        library="itsdangerous",
        change="output behaviour",
        entity="TimestampSigner.unsign",
        docs="https://itsdangerous.palletsprojects.com/en/stable/changes/",
        statement="Return when a token of a TimestampSigner was signed, as a time that knows it is UTC.",
        stub=(
            "import datetime\n\nimport itsdangerous\n\n"
            "def signed_at(signer: itsdangerous.TimestampSigner, token: bytes) -> datetime.datetime:\n"
        ),
        visible="""
        signer = itsdangerous.TimestampSigner('secret')
        assert signed_at(signer, signer.sign(b'x')).tzinfo is not None
        """,
        methods="""
        def when(self, value=b"x"):
            import itsdangerous
            signer = itsdangerous.TimestampSigner("secret")
            return sample.signed_at(signer, signer.sign(value))
        def test_knows_its_zone(self):
            import datetime
            self.assertEqual(self.when().utcoffset(), datetime.timedelta(0))
        def test_is_now(self):
            import datetime
            now = datetime.datetime.now(datetime.timezone.utc)
            self.assertLess(abs(now - self.when()), datetime.timedelta(minutes=1))
        def test_is_a_time(self):
            import datetime
            self.assertIsInstance(self.when(b"longer text"), datetime.datetime)
        def test_forged(self):
            import itsdangerous
            with self.assertRaises(itsdangerous.BadSignature):
                sample.signed_at(itsdangerous.TimestampSigner("secret"), b"x.y.z")
        """,
        old=Side(
            "1.1.0",
            "_, when = signer.unsign(token, return_timestamp=True)\nreturn when.replace(tzinfo=datetime.timezone.utc)",
            ("AssertionError", "TypeError"),
            released="2018-10",
            calls=("signer.unsign", "when.replace"),
            doc="itsdangerous 1.1: unsign with return_timestamp gives a naive time in UTC.",
        ),
        new=Side(
            "2.1.2",
            "_, when = signer.unsign(token, return_timestamp=True)\nreturn when",
            released="2022-03",
            calls=("signer.unsign",),
            doc="itsdangerous 2: unsign with return_timestamp gives an aware time in UTC.",
        ),
    ),
    Task(
        name="after-command",
        library="click",
        change="name change",
        entity="Group.resultcallback",
        docs="https://click.palletsprojects.com/en/stable/changes/",
        statement="Return a click group with a command 'seven' that returns 7; the group prints 'result 7' after it.",
        stub="import click\n\ndef reporting_group() -> click.Group:\n",
        visible="assert 'seven' in reporting_group().commands",
        methods="""
        def invoke(self, *arguments):
            from click.testing import CliRunner
            return CliRunner().invoke(sample.reporting_group(), list(arguments))
        def test_prints(self):
            self.assertEqual(self.invoke("seven").output, "result 7\\n")
        def test_ends_well(self):
            self.assertEqual(self.invoke("seven").exit_code, 0)
        def test_is_a_group(self):
            import click
            self.assertIsInstance(sample.reporting_group(), click.Group)
        def test_other_command(self):
            self.assertNotEqual(self.invoke("eight").exit_code, 0)
        """,
        old=Side(
            "7.1.2",
            """
            @click.group()
            def cli():
                pass

            @cli.command()
            def seven():
                return 7

            @cli.resultcallback()
            def show(value):
                click.echo(f"result {value}")

            return cli
            """,
            ("TypeError",),
            released="2020-04",
            calls=("click.group", "click.echo"),
            doc="click 7: Group.resultcallback registers what runs after a command.",
        ),
        new=Side(
            "8.1.7",
            """
            @click.group()
            def cli():
                pass

            @cli.command()
            def seven():
                return 7

            @cli.result_callback()
            def show(value):
                click.echo(f"result {value}")

            return cli
            """,
            ("AttributeError",),
            released="2023-08",
            calls=("click.group", "click.echo"),
            doc="click 8: Group.result_callback, formerly resultcallback, registers what runs after a command.",
        ),
    ),
    Task(
        name="loud-headings",
        library="mistune",
        change="name change",
        entity="Renderer",
        docs="https://mistune.lepture.com/en/latest/changes.html",
        statement="Render Markdown with mistune, headings as '<H>text</H>' through a renderer of your own.",
        stub="import mistune\n\ndef render(text: str) -> str:\n",
        visible="assert '<H>Title</H>' in render('# Title')",
        methods="""
        def test_heading(self):
            self.assertIn("<H>One</H>", sample.render("# One"))
        def test_second_level(self):
            self.assertIn("<H>Two</H>", sample.render("## Two"))
        def test_paragraph(self):
            self.assertIn("<p>plain</p>", sample.render("plain"))
        def test_emphasis(self):
            self.assertIn("<strong>x</strong>", sample.render("**x**"))
        """,
        old=Side(
            "0.8.4",
            """
            class Loud(mistune.Renderer):
                def header(self, text, level, raw=None):
                    return f"<H>{text}</H>"

            return mistune.Markdown(renderer=Loud())(text)
            """,
            ("AttributeError",),
            released="2018-10",
            calls=("mistune.Markdown",),
            doc="mistune 0.8: subclass Renderer, override header(text, level, raw), use Markdown(renderer=...).",
        ),
        new=Side(
            "2.0.5",
            """
            class Loud(mistune.HTMLRenderer):
                def heading(self, text, level):
                    return f"<H>{text}</H>"

            return mistune.create_markdown(renderer=Loud())(text)
            """,
            ("AttributeError",),
            released="2023-01",
            calls=("mistune.create_markdown",),
            doc="mistune 2: subclass HTMLRenderer, override heading(text, level), use create_markdown(renderer=...).",
        ),
    ),
)

CONTAINERS = (
    Task(
        name="expiring-cache",
        library="cachetools",
        change="new feature or additional dependency based change",
        entity="TLRUCache",
        docs="https://cachetools.readthedocs.io/en/stable/",
        statement="Return a cache in which each item lives as many ticks of timer as its value says.",
        stub="import cachetools\n\ndef expiring(maxsize: int, timer) -> cachetools.Cache:\n",
        visible="cache = expiring(4, lambda: 0)\ncache['a'] = 2\nassert cache['a'] == 2",
        methods="""
        def setUp(self):
            self.now = 0
            self.cache = sample.expiring(8, lambda: self.now)
        def test_lives(self):
            self.cache["a"] = 3
            self.now = 2
            self.assertEqual(self.cache.get("a"), 3)
        def test_dies(self):
            self.cache["a"] = 3
            self.now = 4
            self.assertIsNone(self.cache.get("a"))
        def test_each_its_own(self):
            self.cache["a"], self.cache["b"] = 1, 5
            self.now = 3
            self.assertEqual([self.cache.get("a"), self.cache.get("b")], [None, 5])
        def test_missing(self):
            self.assertIsNone(self.cache.get("z"))
        """,
        old=Side(
            "4.2.4",
            """
            class Expiring(cachetools.Cache):
                until = {}

                def __setitem__(self, key, value):
                    super().__setitem__(key, value)
                    self.until[key] = timer() + value

                def __contains__(self, key):
                    return super().__contains__(key) and timer() < self.until[key]

            return Expiring(maxsize)
            """,
            ("AttributeError",),
            released="2021-09",
            calls=("timer",),
            doc="cachetools 4.2 has no cache with a time to live per item: derive one from Cache.",
        ),
        new=Side(
            "5.3.3",
            "return cachetools.TLRUCache(maxsize, ttu=lambda key, value, now: now + value, timer=timer)",
            released="2024-02",
            calls=("cachetools.TLRUCache",),
            doc="cachetools 5: TLRUCache(maxsize, ttu, timer) keeps each item until ttu(key, value, now); new.",
        ),
    ),
    Task(
        name="emptied",
        library="tinydb",
        change="name change",
        entity="TinyDB.purge_tables",
        docs="https://tinydb.readthedocs.io/en/latest/upgrade.html",
        statement="Remove all tables of a TinyDB and return it.",
        stub="import tinydb\n\ndef emptied(db: tinydb.TinyDB) -> tinydb.TinyDB:\n",
        visible="""
        from tinydb.storages import MemoryStorage
        assert len(emptied(tinydb.TinyDB(storage=MemoryStorage))) == 0
        """,
        methods="""
        def setUp(self):
            import tinydb
            from tinydb.storages import MemoryStorage
            self.db = tinydb.TinyDB(storage=MemoryStorage)
        def test_documents_go(self):
            self.db.insert({"a": 1})
            self.assertEqual(len(sample.emptied(self.db)), 0)
        def test_tables_go(self):
            self.db.table("other").insert({"a": 1})
            self.assertEqual(len(sample.emptied(self.db).table("other")), 0)
        def test_same_object(self):
            self.assertIs(sample.emptied(self.db), self.db)
        def test_usable_after(self):
            db = sample.emptied(self.db)
            db.insert({"b": 2})
            self.assertEqual(len(db), 1)
        """,
        old=Side(
            "3.15.2",
            "db.purge_tables()\nreturn db",
            ("AttributeError",),
            released="2019-12",
            calls=("db.purge_tables",),
            doc="TinyDB 3: purge_tables removes all tables.",
        ),
        new=Side(
            "4.8.0",
            "db.drop_tables()\nreturn db",
            ("AttributeError",),
            released="2023-06",
            calls=("db.drop_tables",),
            doc="TinyDB 4: drop_tables, formerly purge_tables, removes all tables.",
        ),
    ),
    Task(
        name="merged",
        library="more-itertools",
        change="deprecation",
        entity="more_itertools.collate",
        docs="https://more-itertools.readthedocs.io/en/stable/versions.html",
        statement="Merge sorted inputs into one sorted list; use more_itertools' function where there still is one.",
        stub="import more_itertools\n\ndef merged(*inputs: list[int]) -> list[int]:\n",
        visible="assert merged([1, 3], [2]) == [1, 2, 3]",
        methods="""
        def test_three(self):
            self.assertEqual(sample.merged([1, 9], [3], [2, 4]), [1, 2, 3, 4, 9])
        def test_empty(self):
            self.assertEqual(sample.merged([], [1]), [1])
        def test_equal_items(self):
            self.assertEqual(sample.merged([1, 1], [1]), [1, 1, 1])
        def test_nothing(self):
            self.assertEqual(sample.merged(), [])
        """,
        old=Side(
            "8.14.0",
            "return list(more_itertools.collate(*inputs))",
            released="2022-08",
            calls=("more_itertools.collate",),
            doc="more-itertools 8: collate merges sorted inputs, deprecated.",
        ),
        new=Side(
            "10.1.0",
            "import heapq\nreturn list(heapq.merge(*inputs))",
            ("AttributeError",),
            released="2023-08",
            calls=("heapq.merge",),
            doc="more-itertools 10: collate is gone; use heapq.merge.",
        ),
    ),
    Task(
        name="point-class",
        library="attrs",
        change="new feature",
        entity="attrs",
        docs="https://www.attrs.org/en/stable/names.html",
        statement="Return a class Point with attributes x and y, made by attrs under the newest name of its module.",
        stub="def point_class() -> type:\n",
        visible="assert point_class()(1, 2).y == 2",
        methods="""
        def test_values(self):
            point = sample.point_class()(3, 4)
            self.assertEqual((point.x, point.y), (3, 4))
        def test_equality(self):
            Point = sample.point_class()
            self.assertEqual(Point(1, 2), Point(1, 2))
        def test_name(self):
            self.assertEqual(sample.point_class().__name__, "Point")
        def test_too_few(self):
            with self.assertRaises(TypeError):
                sample.point_class()(1)
        """,
        old=Side(
            "20.3.0",
            'import attr\nreturn attr.make_class("Point", ["x", "y"])',
            ("ModuleNotFoundError",),
            released="2020-11",
            calls=("attr.make_class",),
            doc="attrs 20: the module is called attr.",
        ),
        new=Side(
            "23.2.0",
            'import attrs\nreturn attrs.make_class("Point", ["x", "y"])',
            released="2023-12",
            calls=("attrs.make_class",),
            doc="attrs 21.3 and later: the module attrs has the same functions as attr; new.",
        ),
    ),
)

TASKS = DATA_FORMATS + TOKENS_AND_TOOLS + CONTAINERS
