# SPDX-License-Identifier: BSD-3-Clause
"""What all commands owe to terminals, pipes and files, whichever they are given."""

import codecs
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

# What stands for a character that a terminal does not have.
PLAIN = {"±": "+-", "×": "x", "–": "-", "•": "*", "…": "..."}
ERRORS = "fastdrop.plain"  # the name of the handler below


def _plain(error: UnicodeError) -> tuple[str, int]:
    """Replace what cannot be encoded: a handler of errors, as `codecs` calls it."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    characters = error.object[error.start : error.end]
    text = "".join(
        PLAIN.get(character) or character.encode("ascii", "backslashreplace").decode()
        for character in characters
    )
    return text, error.end


codecs.register_error(ERRORS, _plain)


def plain(text: str) -> str:
    """Return the text as stdout can show it; for tables, whose columns depend on its length."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return text.encode(encoding, ERRORS).decode(encoding)


def console(*, stderr: bool = False, width: int | None = None) -> "Console":
    """Return a console that prints text as it is: a path may have brackets and colons.

    Parameters
    ----------
    stderr : bool, default False
        Print there instead of to stdout.
    width : int, optional
        Columns; by default those of the terminal.

    Returns
    -------
    console : rich.console.Console
        The console.
    """
    from rich.console import Console

    return Console(stderr=stderr, width=width, highlight=False, markup=False, emoji=False)


@contextmanager
def any_terminal() -> Iterator[None]:
    """Print what a terminal can show, and end quietly when a pipe is closed."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=ERRORS)
    try:
        try:
            yield
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except BrokenPipeError:
        # Nobody reads any more. What is left is written to nowhere, or Python would complain at
        # its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None


def install_extra(name: str) -> str:
    """Return the command that installs what a command needs, for those who have a clone."""
    return f'pip install ".[{name}]" in the clone of fastdrop installs it'


def cannot_write(file: Path) -> str | None:
    """Try to write a file, and leave it as it was.

    Parameters
    ----------
    file : Path
        Where a command will write.

    Returns
    -------
    sentence : str or None
        What is wrong, for the user.
    """
    if not file.absolute().parent.is_dir():
        return f"There is no folder {str(file.parent)!r} to write {file.name!r} to."
    try:
        file = file.resolve()
        existed = file.exists()
        if existed and not (file.is_file() or file.is_dir()):
            return None  # a pipe or a device, which would notice
        with file.open("ab"):
            pass
        if not existed:
            file.unlink()
    except OSError as error:
        return f"Cannot write {str(file)!r}: {error.strerror}."
    return None
