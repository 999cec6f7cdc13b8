# SPDX-License-Identifier: BSD-3-Clause
# Design: a state names the source in words, which outlive the numbers that the kernels have for it.
from fastdrop._checks import check_entries, check_position, check_source_name, check_stream_version

from fastdrop.kernels._kernels cimport FD_SOURCES, engine, fd_seeded
from fastdrop.source._source cimport Source, counter_of, key_of

from fastdrop import source as sources

STREAM_VERSION = 1
SOURCE_NAMES = {number: engine.sources[number].name.decode() for number in range(FD_SOURCES)}


cdef dict state_of(tuple shape, p):
    """Return what the states of all masks have."""
    return {"stream_version": STREAM_VERSION, "shape": shape, "p": p}


cdef dict place_of(const fd_seeded *seeded):
    """Return where in a stream a mask was drawn, as its state says it."""
    return {
        "source": SOURCE_NAMES[seeded.source],
        "key": key_of(&seeded.identity),
        "counter": counter_of(&seeded.identity),
        "position": seeded.position,
    }


cdef int check_version(dict state) except -1:
    """Check that a state is of the stream that this version of the package has."""
    check_stream_version(state["stream_version"], STREAM_VERSION)
    return 0


cdef fd_seeded seeded_at(dict state) except *:
    """Return the place that a state says, which may hold anything: all of it is checked."""
    check_entries("the place of the mask", state, ("source", "key", "counter", "position"))
    check_version(state)
    check_source_name(state["source"], SOURCE_NAMES.values())
    cdef Source source = getattr(sources, state["source"])(
        key=state["key"], counter=state["counter"]
    )
    return source.at(check_position(state["position"]))
