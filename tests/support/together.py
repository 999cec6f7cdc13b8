# SPDX-License-Identifier: BSD-3-Clause
"""Functions in threads that start at the same moment."""

import threading

__all__ = ["PATIENCE", "run_together"]

PATIENCE = 60  # seconds until something that should have ended is taken to hang


def run_together(*functions):
    """Run functions in threads that start together; give what they return, in order."""
    results, errors = [None] * len(functions), []
    barrier = threading.Barrier(len(functions))

    def run(index, function):
        try:
            barrier.wait(PATIENCE)
            results[index] = function()
        except BaseException as error:
            errors.append(error)

    threads = [
        threading.Thread(target=run, args=item, daemon=True) for item in enumerate(functions)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert not any(thread.is_alive() for thread in threads), "a thread hangs"
    if errors:
        raise errors[0]
    return results
