# SPDX-License-Identifier: BSD-3-Clause
"""Memory between two pages without access: whatever reads or writes past an array ends there."""

import ctypes
import math
import mmap
import sys

import numpy as np

PAGE = mmap.ALLOCATIONGRANULARITY
NOTHING, READ, READ_WRITE = range(3)

if sys.platform == "win32":
    _protect = ctypes.WinDLL("kernel32", use_last_error=True).VirtualProtect
    _protect.argtypes = [
        ctypes.c_void_p,
        ctypes.c_size_t,
        ctypes.c_uint32,
        ctypes.POINTER(ctypes.c_uint32),
    ]
    _FLAGS = (0x01, 0x02, 0x04)

    def protect(address, size, access):
        before = ctypes.c_uint32()
        if not _protect(address, size, _FLAGS[access], ctypes.byref(before)):
            raise ctypes.WinError(ctypes.get_last_error())

else:
    _mprotect = ctypes.CDLL(None, use_errno=True).mprotect
    _mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    _FLAGS = (0, mmap.PROT_READ, mmap.PROT_READ | mmap.PROT_WRITE)

    def protect(address, size, access):
        if _mprotect(address, size, _FLAGS[access]):
            raise OSError(ctypes.get_errno(), "mprotect")


class Guarded:
    """Room for arrays that begin right after a page without access, or end right before one."""

    def __init__(self, nbytes):
        size = -(-nbytes // PAGE) * PAGE
        self.pages = mmap.mmap(-1, size + 2 * PAGE)
        self.room = np.frombuffer(self.pages, np.uint8)[PAGE:-PAGE]
        self.address = self.room.ctypes.data
        protect(self.address - PAGE, PAGE, NOTHING)
        protect(self.address + size, PAGE, NOTHING)

    def access(self, access):
        """Say what may be done with the room from now on."""
        protect(self.address, self.room.size, access)

    def array(self, shape, dtype, at_end, skip=0):
        """Return an array at one end of the room, ``skip`` bytes from it."""
        size = math.prod(shape) * np.dtype(dtype).itemsize
        first = self.room.size - size - skip if at_end else skip
        return self.room[first : first + size].view(dtype).reshape(shape)


class Placed:
    """A copy of an array at an end of a guarded room, with a margin on its other side."""

    MARGIN = 64
    SENTINEL = 0xA5

    def __init__(self, room, array, at_end, layout="C"):
        self.room = room
        room.access(READ_WRITE)
        shape, skip = array.shape, 1 if layout == "unaligned" else 0
        if layout == "every other":
            shape = tuple(max(2 * length - 1, 0) for length in shape)
        self.memory = room.array(shape, array.dtype, at_end, skip)
        used = self.memory.nbytes + skip
        free = room.room[:-used] if at_end and used else room.room if at_end else room.room[used:]
        self.margin = free[-self.MARGIN :] if at_end else free[: self.MARGIN]
        self.margin[...] = self.SENTINEL
        if layout == "every other":
            self.memory.reshape(-1).view(np.uint8)[...] = self.SENTINEL
        step = {"backwards": -1, "every other": 2}.get(layout)
        self.array = self.memory[(..., *(slice(None, None, step),) * array.ndim)]
        self.array[...] = array

    def read_only(self):
        """Let nobody write to it."""
        self.room.access(READ)

    def assert_margin(self):
        """Check that what lies before or after it was left alone."""
        assert (self.margin == self.SENTINEL).all()
