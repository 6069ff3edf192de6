"""Write docs/cli.md from the command line itself: `.venv/bin/python docs/make_cli.py`."""

from collections.abc import Iterator
from pathlib import Path

import click

from drivelet.cli import app

PAGE = Path(__file__).with_name("cli.md")
HEAD = """# The command line

Written by `docs/make_cli.py` from the commands themselves. Exit codes: 0 done, 1 a fault of Drivelet, 2 the input is
wrong (one line says which file and what to do), 130 interrupted: the same command goes on.
"""


def commands(group: click.Group, parent: click.Context) -> Iterator[tuple[str, str]]:
    """Yield (full name, help text) of every command, groups before their parts."""
    for name in group.list_commands(parent):
        command = group.get_command(parent, name)
        assert command is not None
        context = click.Context(command, info_name=name, parent=parent, terminal_width=100)
        yield context.command_path, command.get_help(context)
        if isinstance(command, click.Group):
            yield from commands(command, context)


def page() -> str:
    """Return the whole page."""
    root = click.Context(app, info_name="drivelet", terminal_width=100)
    parts = [HEAD, f"```text\n{app.get_help(root)}\n```\n"]
    parts += [f"## {name}\n\n```text\n{text}\n```\n" for name, text in commands(app, root)]
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
