"""Command lines: what the shell completes, where a value comes from."""

from papers.gitchameleon.tasks import Side, Task

TASKS = (
    Task(
        name="completed-fruit",
        library="click",
        change="argument change",
        entity="Argument",
        docs="https://click.palletsprojects.com/en/stable/changes/",
        statement=(
            "Return a click command 'pick' that echoes its argument 'fruit'; the shell completes it to those of apple,"
            " apricot and banana that begin with what was typed."
        ),
        stub="import click\n\ndef pick_command() -> click.Command:\n",
        visible="assert [p.name for p in pick_command().params] == ['fruit']",
        methods="""
        def complete(self, typed):
            command = sample.pick_command()
            try:
                from click.shell_completion import ShellComplete
            except ImportError:
                from click._bashcomplete import get_choices
                return [value for value, _ in get_choices(command, "pick", [], typed)]
            return [item.value for item in ShellComplete(command, {}, "pick", "_PICK").get_completions([], typed)]
        def test_two_begin_so(self):
            self.assertEqual(self.complete("ap"), ["apple", "apricot"])
        def test_nothing_typed(self):
            self.assertEqual(self.complete(""), ["apple", "apricot", "banana"])
        def test_none_begins_so(self):
            self.assertEqual(self.complete("c"), [])
        def test_echoes(self):
            from click.testing import CliRunner
            self.assertEqual(CliRunner().invoke(sample.pick_command(), ["pear"]).output, "pear\\n")
        """,
        old=Side(
            "7.1.2",
            """
            def begin_so(ctx, args, incomplete):
                return [name for name in ("apple", "apricot", "banana") if name.startswith(incomplete)]

            @click.command("pick")
            @click.argument("fruit", autocompletion=begin_so)
            def pick(fruit):
                click.echo(fruit)

            return pick
            """,
            ("TypeError",),
            released="2020-04",
            calls=("click.command", "click.argument", "click.echo"),
            doc="click 7: an argument's autocompletion is called by keyword: ctx, args, incomplete.",
        ),
        new=Side(
            "8.1.7",
            """
            def begin_so(ctx, param, incomplete):
                return [name for name in ("apple", "apricot", "banana") if name.startswith(incomplete)]

            @click.command("pick")
            @click.argument("fruit", shell_complete=begin_so)
            def pick(fruit):
                click.echo(fruit)

            return pick
            """,
            ("TypeError",),
            released="2023-08",
            calls=("click.command", "click.argument", "click.echo"),
            doc="click 8: shell_complete, called with ctx, param and incomplete, replaces autocompletion.",
        ),
    ),
    Task(
        name="given-or-default",
        library="click",
        change="new feature",
        entity="Context.get_parameter_source",
        docs="https://click.palletsprojects.com/en/stable/changes/",
        statement=(
            "Return a click command that echoes the whole number of its option --size, 3 by default, and 'given' or"
            " 'default' after it; ask click where the value comes from if it can tell."
        ),
        stub="import click\n\ndef resize_command() -> click.Command:\n",
        visible="""
        from click.testing import CliRunner
        assert CliRunner().invoke(resize_command(), ['--size', '4']).output.split() == ['4', 'given']
        """,
        methods="""
        def invoke(self, *arguments):
            from click.testing import CliRunner
            return CliRunner().invoke(sample.resize_command(), list(arguments))
        def test_default(self):
            self.assertEqual(self.invoke().output, "3 default\\n")
        def test_given(self):
            self.assertEqual(self.invoke("--size", "5").output, "5 given\\n")
        def test_given_as_the_default(self):
            self.assertEqual(self.invoke("--size", "3").output, "3 given\\n")
        def test_no_number(self):
            self.assertEqual(self.invoke("--size", "big").exit_code, 2)
        """,
        old=Side(
            "7.1.2",
            """
            @click.command("resize")
            @click.option("--size", type=int)
            def resize(size):
                click.echo("3 default" if size is None else f"{size} given")

            return resize
            """,
            ("ImportError",),
            released="2020-04",
            calls=("click.command", "click.option", "click.echo"),
            doc="click 7 does not tell where a value comes from: leave the default out and look for None.",
        ),
        new=Side(
            "8.1.7",
            """
            from click.core import ParameterSource

            @click.command("resize")
            @click.option("--size", type=int, default=3)
            @click.pass_context
            def resize(context, size):
                is_default = context.get_parameter_source("size") is ParameterSource.DEFAULT
                click.echo(f"{size} {'default' if is_default else 'given'}")

            return resize
            """,
            released="2023-08",
            calls=("click.command", "click.option", "context.get_parameter_source", "click.echo"),
            doc="click 8: Context.get_parameter_source(name) is a click.core.ParameterSource; new.",
        ),
    ),
)
