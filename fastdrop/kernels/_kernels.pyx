# SPDX-License-Identifier: BSD-3-Clause
# Design: the one extension with machine code. It owns the tables of kernels (one per instruction
# set), the choice of the one in use, and the engine, whose door the other compiled modules find
# here: `engine`.
from cpython.exc cimport PyErr_SetString

import os
import threading


cdef extern from "engine/cpu.h" nogil:
    enum:
        FD_MAX_TABLES

    int fd_cpu_tables(const fd_kernels **tables)
    size_t fd_cpu_last_level_cache()
    const char[] fd_cpu_built
    const char[] fd_cpu_left_out


cdef extern from "engine/settings.h" nogil:
    void fd_use_kernels(const fd_kernels *kernels)
    size_t fd_pool_workers()
    void fd_use_pool_workers(size_t workers)
    size_t fd_pool_grain()
    void fd_use_pool_grain(size_t elements)
    void fd_use_ask(fd_ask ask)
    size_t fd_last_level_cache()
    void fd_use_last_level_cache(size_t bytes)


cdef extern from "engine/threads.h" nogil:
    void fd_pool_handle_fork()


cdef extern from "engine/api.h" nogil:
    const fd_api fd_engine


cdef extern from "Python.h" nogil:
    int PyErr_CheckSignals()
    unsigned long PyThread_get_thread_ident()


cdef extern from *:
    """
    #if defined(_MSC_VER) && !defined(__clang__)
    #define FD_COMPILER "MSVC"
    #elif defined(__clang__)
    #define FD_COMPILER __VERSION__
    #else
    #define FD_COMPILER "GCC " __VERSION__
    #endif
    """
    const char *FD_COMPILER


cdef const fd_kernels *tables[FD_MAX_TABLES]
cdef int table_count = fd_cpu_tables(tables)

engine = &fd_engine
fd_pool_handle_fork()
fd_use_kernels(tables[table_count - 1])
fd_use_last_level_cache(fd_cpu_last_level_cache())


# ---- long calls ------------------------------------------------------------------------------

# Python handles signals on its main thread alone. In a forked child that is the one that forked.
cdef unsigned long main_thread = threading.main_thread().ident


def _after_fork_in_child():
    global main_thread
    main_thread = PyThread_get_thread_ident()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


cdef int signals_raise() noexcept nogil:
    """Let Python handle the signals that have come in; return whether a handler raised."""
    return PyThread_get_thread_ident() == main_thread and handle_signals()


cdef int handle_signals() noexcept with gil:
    cdef size_t forks = engine.forks()
    if PyErr_CheckSignals():
        return True
    if engine.forks() != forks:
        PyErr_SetString(RuntimeError, "a signal handler forked, and the child lacks the threads "
                                      "that had a part of the call that was interrupted")
        return True
    return False


fd_use_ask(signals_raise)


# ---- settings --------------------------------------------------------------------------------

def get_levels():
    """Return the names of the tables that this machine can run, slowest first."""
    return tuple(tables[i].name.decode() for i in range(table_count))


def get_level():
    """Return the name of the table in use."""
    return engine.kernels().name.decode()


def set_level(str level):
    """Use the table of that name, one of ``get_levels()``, from now on in every thread."""
    fd_use_kernels(tables[<int>get_levels().index(level)])


def get_threads():
    """Return the most threads that one call uses."""
    return fd_pool_workers()


def set_threads(size_t n):
    """Use at most ``n`` >= 1 threads in one call."""
    fd_use_pool_workers(n)


def get_grain():
    """Return the fewest elements for which another thread of the pool is woken."""
    return fd_pool_grain()


def set_grain(size_t n):
    """Wake another thread of the pool for ``n`` >= 1 elements. For the tests."""
    fd_use_pool_grain(n)


def get_build():
    """Return the compiler, the tables that were compiled or left out, and the size of the cache."""
    cdef const char *built = fd_cpu_built
    cdef const char *left_out = fd_cpu_left_out
    return {
        "compiler": FD_COMPILER.decode(),
        "levels": built.decode().split(","),
        "left_out": left_out.decode().split(",")[1:],
        "last_level_cache": fd_last_level_cache(),
    }
