# SPDX-License-Identifier: BSD-3-Clause
"""Says why a part of the package cannot be imported: not compiled, for another Python, or lost."""

from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

__all__ = ["reason"]


def reason(folder: Path, name: str | None) -> str | None:
    """Return one sentence about the files of the package that are missing.

    Parameters
    ----------
    folder : Path
        Where the package is.
    name : str or None
        The module that an ImportError names.

    Returns
    -------
    sentence : str or None
        None if no file is missing.
    """
    if name is None or name.partition(".")[0] != "fastdrop":
        return None
    compiled = {stub.with_suffix("") for stub in folder.rglob("_*.pyi")}  # each of them has a stub
    missing = {module for module in compiled if not _exists(module, EXTENSION_SUFFIXES)}
    named = folder.joinpath(*name.split(".")[1:])
    if not _exists(named, [".py", "/__init__.py", *EXTENSION_SUFFIXES]):
        missing.add(named)
    if not missing:
        return None

    is_source = (folder / "kernels" / "_kernels.pyx").exists()
    cure = 'run "pip install ." there, or leave that folder' if is_source else "install it again"
    tags = {
        file.name.split(".")[1]
        for module in compiled
        for ending in ("so", "pyd")
        for file in module.parent.glob(f"{module.name}.*.{ending}")
    }
    if not compiled <= missing:
        names = sorted(".".join(path.relative_to(folder.parent).parts) for path in missing)
        what = f"fastdrop in {folder} is incomplete: {', '.join(names)} is missing"
    elif tags:
        what = (
            f"fastdrop in {folder} is compiled for another Python ({', '.join(sorted(tags))}); "
            f"this one needs {EXTENSION_SUFFIXES[0].split('.')[1]}"
        )
    elif is_source:
        what = (
            f"fastdrop is imported from its source folder ({folder}), whose compiled modules are "
            "missing"
        )
    else:
        what = f"fastdrop in {folder} has none of its compiled modules"
    return f"{what}; {cure}"


def _exists(module: Path, endings: list[str]) -> bool:
    return any(Path(f"{module}{ending}").exists() for ending in endings)
