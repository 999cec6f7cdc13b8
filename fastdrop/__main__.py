# SPDX-License-Identifier: BSD-3-Clause
"""``python -m fastdrop demo | bench | info``."""

import sys

from fastdrop.cli import main

if __name__ == "__main__":
    sys.exit(main())
