# SPDX-License-Identifier: BSD-3-Clause
"""Tests in a forked child: what would end the process fails the test instead."""

import faulthandler
import functools
import os
import select
import signal
import sys
import tempfile
import traceback
import warnings

import pytest

PATIENCE = 120  # seconds until a child is taken to hang


def isolated(test):
    """Run a test in a child of this process, where the system can fork, and else here.

    A signal, an exit or a hang of the child fails the test, with what the child wrote.
    """
    if not hasattr(os, "fork"):
        return test

    @functools.wraps(test)
    def run(*args, **kwargs):
        with tempfile.TemporaryFile("w+") as report:
            status = status_of_child(lambda: test(*args, **kwargs), report)
            report.seek(0)
            written = report.read()
        if written.startswith("SKIPPED "):
            pytest.skip(written.removeprefix("SKIPPED "))
        if status is None:
            pytest.fail(f"the child hangs\n{written}", False)
        if status < 0:
            pytest.fail(f"the child ended by {signal.Signals(-status).name}\n{written}", False)
        if status:
            pytest.fail(written or f"the child ended with status {status}", False)

    return run


def status_of_child(function, report):
    """Return how a child ended that called the function, or None where it would not end."""
    sys.stdout.flush()
    sys.stderr.flush()
    ended, alive = os.pipe()  # the child's end is closed when it ends, in whatever way
    with warnings.catch_warnings():
        # Python's remark that only careful libraries survive a fork beside threads: this one does.
        warnings.filterwarnings("ignore", ".*fork.*", DeprecationWarning)
        child = os.fork()
    if child == 0:
        os._exit(run_in_child(function, report))
    os.close(alive)
    hangs = not select.select([ended], [], [], PATIENCE)[0]
    os.close(ended)
    if hangs:
        os.kill(child, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return None if hangs else status


def run_in_child(function, report):
    """Call the function; write down how it failed, and return 0 if it did not."""
    faulthandler.enable(report)
    try:
        function()
    except pytest.skip.Exception as skipped:
        report.write(f"SKIPPED {skipped}")
    except BaseException:
        traceback.print_exc(file=report)
    else:
        return 0
    finally:
        report.flush()
    return 1
