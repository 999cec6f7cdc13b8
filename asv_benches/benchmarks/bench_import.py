# SPDX-License-Identifier: BSD-3-Clause
"""What `import fastdrop` adds to a program, each time in a fresh process."""

from .common import Benchmark


class Import(Benchmark):
    def timeraw_import_numpy(self):
        return "import numpy"

    def timeraw_import_fastdrop(self):
        return "import fastdrop"

    def timeraw_import_fastdrop_after_numpy(self):
        return "import fastdrop", "import numpy"
