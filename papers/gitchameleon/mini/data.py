"""Versions, settings and documents: packages that read data."""

from papers.gitchameleon.tasks import Side, Task

TASKS = (
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
)
