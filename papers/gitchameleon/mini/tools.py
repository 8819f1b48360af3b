"""Signed tokens, command lines and Markdown."""

from papers.gitchameleon.tasks import Side, Task

TASKS = (
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
