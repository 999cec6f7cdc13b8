# SPDX-License-Identifier: BSD-3-Clause
"""Check that wheels hold compiled modules and stubs, but no sources to compile."""

import sys
import zipfile

SOURCES = (".c", ".h", ".pyx", ".pxd", ".cpp", ".o")
COMPILED = (".so", ".pyd")


def problems(path):
    """Give one line for each thing that is wrong with the wheel."""
    names = zipfile.ZipFile(path).namelist()
    for name in names:
        if name.endswith(SOURCES):
            yield f"{path}: holds {name}"
        if name.split("/")[0] not in ("fastdrop",) and ".dist-info/" not in name:
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
    print(
        "\n".join(found) or f"{len(paths)} wheel(s): no sources inside, every module has its stub"
    )
    return bool(found) or not paths


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
