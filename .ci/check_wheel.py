# SPDX-License-Identifier: BSD-3-Clause
"""Check that wheels hold Python, compiled modules and their stubs, and nothing else."""

import sys
import zipfile

COMPILED = (".so", ".pyd")
KNOWN = (*COMPILED, ".py", ".pyi", "/py.typed")


def problems(path):
    """Give one line for each thing that is wrong with the wheel."""
    names = [name for name in zipfile.ZipFile(path).namelist() if not name.endswith("/")]
    for name in names:
        if ".dist-info/" in name:
            continue
        if not name.endswith(KNOWN):
            yield f"{path}: holds {name}"
        if not name.startswith("fastdrop/"):
            yield f"{path}: {name} lies outside the package"
    compiled = [name for name in names if name.endswith(COMPILED)]
    if not compiled:
        yield f"{path}: holds no compiled module"
    for module in compiled:
        stub = module.rsplit("/", 1)[0] + "/" + module.rsplit("/", 1)[1].split(".")[0] + ".pyi"
        if stub not in names:
            yield f"{path}: holds {module} without {stub}"
    if "fastdrop/py.typed" not in names:
        yield f"{path}: holds no fastdrop/py.typed"


def main(paths):
    """Print what is wrong and give the exit status."""
    found = [problem for path in paths for problem in problems(path)]
    print("\n".join(found) or f"{len(paths)} wheel(s): no foreign file, a stub for each module")
    return bool(found) or not paths


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
