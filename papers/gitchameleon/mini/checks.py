"""What may be wrong with an input: errors collected, signatures that expire."""

from papers.gitchameleon.tasks import Side, Task

TASKS = (
    Task(
        name="values-and-errors",
        library="marshmallow",
        change="output behaviour",
        entity="Schema.load",
        docs="https://marshmallow.readthedocs.io/en/stable/upgrading.html",
        statement="Load a document with a schema; return its valid values and its errors by field, as a pair.",
        stub=(
            "import marshmallow\n\n"
            "def values_and_errors(schema: marshmallow.Schema, document: dict) -> tuple[dict, dict]:\n"
        ),
        visible="""
        class Person(marshmallow.Schema):
            age = marshmallow.fields.Integer()
        assert values_and_errors(Person(), {'age': '40'}) == ({'age': 40}, {})
        """,
        methods="""
        def check(self, document):
            from marshmallow import Schema, fields
            class Order(Schema):
                count = fields.Integer(required=True)
                note = fields.String()
            return sample.values_and_errors(Order(), document)
        def test_valid(self):
            self.assertEqual(self.check({"count": "2", "note": "now"}), ({"count": 2, "note": "now"}, {}))
        def test_invalid(self):
            values, errors = self.check({"count": "x", "note": "now"})
            self.assertEqual((values, sorted(errors)), ({"note": "now"}, ["count"]))
        def test_missing(self):
            values, errors = self.check({})
            self.assertEqual((values, sorted(errors)), ({}, ["count"]))
        def test_messages_are_lists(self):
            self.assertIsInstance(self.check({"count": "x"})[1]["count"], list)
        """,
        old=Side(
            "2.21.0",
            "result = schema.load(document)\nreturn result.data, result.errors",
            ("AssertionError",),
            pins="setuptools==68.2.2",  # it imports distutils, which Python 3.12 and later lack
            released="2020-03",
            calls=("schema.load",),
            doc="marshmallow 2: Schema.load gives a pair with data and errors, and raises nothing.",
        ),
        new=Side(
            "3.20.1",
            """
            try:
                return schema.load(document), {}
            except marshmallow.ValidationError as error:
                return error.valid_data, error.messages
            """,
            ("ValidationError",),
            pins="packaging==23.2",
            released="2023-07",
            calls=("schema.load",),
            doc="marshmallow 3: Schema.load gives the values and raises ValidationError with messages and valid_data.",
        ),
    ),
    Task(
        name="expiring-token",
        library="itsdangerous",
        change="other library",
        entity="TimedJSONWebSignatureSerializer",
        docs="https://itsdangerous.palletsprojects.com/en/stable/changes/",
        statement=(
            "Return two functions for a key: the first signs a dictionary as a text token, the second reads it back, or"
            " gives None if the token is forged or older than `seconds`."
        ),
        stub=(
            "from collections.abc import Callable\n\nimport itsdangerous\n\n"
            "def token_functions(key: str, seconds: int) -> tuple[Callable, Callable]:\n"
        ),
        visible="write, read = token_functions('secret', 60)\nassert read(write({'a': 1})) == {'a': 1}",
        methods="""
        def test_round_trip(self):
            write, read = sample.token_functions("secret", 30)
            self.assertEqual(read(write({"user": "x"})), {"user": "x"})
        def test_text(self):
            self.assertIsInstance(sample.token_functions("secret", 30)[0]({}), str)
        def test_expired(self):
            write, read = sample.token_functions("secret", -1)
            self.assertIsNone(read(write({"user": "x"})))
        def test_other_key(self):
            write, _ = sample.token_functions("secret", 30)
            _, read = sample.token_functions("guess", 30)
            self.assertIsNone(read(write({"user": "x"})))
        def test_no_token(self):
            self.assertIsNone(sample.token_functions("secret", 30)[1]("nothing"))
        """,
        old=Side(
            "1.1.0",
            """
            serializer = itsdangerous.TimedJSONWebSignatureSerializer(key, expires_in=seconds)

            def write(payload):
                return serializer.dumps(payload).decode()

            def read(token):
                try:
                    return serializer.loads(token)
                except itsdangerous.BadSignature:
                    return None

            return write, read
            """,
            released="2018-10",
            calls=("itsdangerous.TimedJSONWebSignatureSerializer", "serializer.dumps", "serializer.loads"),
            doc="itsdangerous 1.1: TimedJSONWebSignatureSerializer(key, expires_in) signs JSON that expires, as bytes.",
        ),
        new=Side(
            "2.1.2",
            """
            serializer = itsdangerous.URLSafeTimedSerializer(key)

            def read(token):
                try:
                    return serializer.loads(token, max_age=seconds)
                except itsdangerous.BadSignature:
                    return None

            return serializer.dumps, read
            """,
            ("AttributeError",),
            released="2022-03",
            calls=("itsdangerous.URLSafeTimedSerializer", "serializer.loads"),
            doc="itsdangerous 2.1: no JSON Web Signatures any more; URLSafeTimedSerializer.loads takes a max_age.",
        ),
    ),
)
