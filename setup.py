# SPDX-License-Identifier: BSD-3-Clause
"""Build of the compiled modules; everything else about the package is in pyproject.toml.

One C file per instruction set is compiled with flags of its own and linked into
``fastdrop.kernels._kernels``, the only module with machine code for more than the baseline.
setuptools has no flags per file, so ``build_ext`` compiles these files itself.

Environment: ``FASTDROP_BUILD_LEVELS`` (for example ``sse2,avx2``) limits the instruction sets;
``FASTDROP_BUILD_DEBUG=1`` turns on Cython's bounds and None checks, and optimizes little enough for
debuggers and sanitizers to tell where something happens. ``FASTDROP_BUILD_COVERAGE=1`` has GCC
count what runs, of C and of Cython, by the lines of the sources. ``FASTDROP_BUILD_ABI3=1`` builds
modules for this and all later Pythons, whose small calls take longer.
"""

import os
import re
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError

KERNELS = "fastdrop/kernels"
DISPATCHER = "fastdrop.torch._dispatcher"
# Modules with C sources of their own, and where these are.
FOLDERS = {
    DISPATCHER: "fastdrop/torch/dispatcher",
    "fastdrop.jax._calls": "fastdrop/jax/calls",
}
AVX2 = ["-mavx2", "-mf16c", "-mbmi", "-mbmi2", "-mpopcnt"]
AVX512 = [*AVX2, "-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mprefer-vector-width=512"]

# level -> (flags of GCC and Clang, flags of MSVC); "scalar" is always there.
LEVELS = {
    "x86_64": {
        "scalar": ([], []),
        "sse2": ([], []),
        "avx2": (AVX2, ["/arch:AVX2"]),
        "avx512": (AVX512, ["/arch:AVX512"]),
    },
    "arm64": {"scalar": ([], []), "neon": ([], [])},
}

# How platforms spell an architecture.
SPELLINGS = {"x86_64": ("x86_64", "amd64", "x86-64"), "arm64": ("arm64", "aarch64")}

DEBUG = os.environ.get("FASTDROP_BUILD_DEBUG") == "1"
COVERAGE = os.environ.get("FASTDROP_BUILD_COVERAGE") == "1"
ABI3 = os.environ.get("FASTDROP_BUILD_ABI3") == "1"
COUNTING = ["--coverage", "-fprofile-update=prefer-atomic"] if COVERAGE else []
# They come after those of CFLAGS, and so the -O here is the one that counts.
OPTIMIZATION = ["-O1", "-fno-omit-frame-pointer"] if DEBUG else ["-O1"] if COVERAGE else ["-O3"]
# These cancel the user's -ffast-math, as the -O cancels -Ofast, when linking too: a library that is
# linked with one of them turns subnormal numbers off for the whole process that loads it.
PRECISE = ["-fno-fast-math", "-fno-unsafe-math-optimizations"]
# -ffp-contract=off: a fused multiply-add would give other floats than a product and a sum.
GCC_FLAGS = [
    *("-std=c11", *OPTIMIZATION, *COUNTING, *PRECISE),
    *("-fvisibility=hidden", "-ffp-contract=off"),
]
# What debuggers need is a third of the time that a file takes to compile, and for a table under
# sanitizers ten times the rest; -g1 tells lines, and no variables.
TABLE_FLAGS = ["-g1"] if DEBUG else ["-g0"]
MODULE_FLAGS = [] if DEBUG else ["-g0"]
MSVC_FLAGS = ["/std:c11", "/O2", "/fp:precise"]

NOTICE = f"""
{"!" * 100}
fastdrop is built {{}}.
Results are the same, but slow. "python -m fastdrop info" tells which kernels a build has.
{"!" * 100}
"""


def architectures(plat_name):
    """Return the keys of LEVELS that are built for: two of them for macOS's universal binaries."""
    targets = [plat_name]
    if plat_name.startswith("macosx"):
        targets = re.findall(r"-arch\s+(\S+)", os.environ.get("ARCHFLAGS", "")) or targets
    if plat_name in targets and plat_name.endswith("universal2"):
        return list(LEVELS)
    return [
        name
        for name, spellings in SPELLINGS.items()
        if any(spelling in target.lower() for spelling in spellings for target in targets)
    ]


def levels(plat_name):
    """Return the instruction sets to compile: name -> (GCC flags, MSVC flags)."""
    built_for = architectures(plat_name)
    available = {"scalar": ([], [])}
    for name in built_for:
        for level, (gcc_flags, msvc_flags) in LEVELS[name].items():
            if len(built_for) > 1:  # each file is compiled for both, and empty for one of them
                gcc_flags = [part for flag in gcc_flags for part in (f"-Xarch_{name}", flag)]
            available[level] = gcc_flags, msvc_flags
    wanted = os.environ.get("FASTDROP_BUILD_LEVELS")
    if wanted is None:
        return available
    names = {"scalar", *wanted.replace(" ", "").split(",")}
    unknown = names - set(available)
    if unknown:
        raise SystemExit(
            f"FASTDROP_BUILD_LEVELS names {', '.join(sorted(unknown))}; "
            f"{plat_name} has {', '.join(available)}"
        )
    return {name: flags for name, flags in available.items() if name in names}


class BuildKernels(build_ext):
    """``build_ext`` that compiles each instruction set with its own flags."""

    def finalize_options(self):
        super().finalize_options()
        self.notice = ""
        self.parallel = self.parallel or os.cpu_count()

    def build_extensions(self):
        # MSVC's object does this at its first use, which here would be in several threads at once.
        if not getattr(self.compiler, "initialized", True):
            self.compiler.initialize(self.plat_name)
        super().build_extensions()
        if self.notice:
            print(NOTICE.format(self.notice), file=sys.stderr)

    def build_extension(self, ext):
        msvc = self.compiler.compiler_type == "msvc"
        ext.extra_compile_args = MSVC_FLAGS if msvc else GCC_FLAGS + MODULE_FLAGS
        ext.extra_link_args = [] if msvc else [*OPTIMIZATION, *COUNTING, *PRECISE]
        if ext.name == DISPATCHER and not msvc:
            # PyTorch's exceptions pass through it.
            ext.extra_compile_args = [*ext.extra_compile_args, "-fexceptions"]
        ext.define_macros.append(("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION"))
        if ext.name.endswith("._kernels"):
            self.add_tables(ext, msvc)
        super().build_extension(ext)

    def add_tables(self, ext, msvc):
        """Compile the table of every level and give its object file to the extension."""

        def compile_table(level):
            gcc_flags, msvc_flags = wanted[level]
            flags = MSVC_FLAGS + msvc_flags if msvc else GCC_FLAGS + TABLE_FLAGS + gcc_flags
            try:
                return self.compiler.compile(
                    [f"{KERNELS}/targets/{level}.c"],
                    output_dir=self.build_temp,
                    extra_postargs=flags,
                    depends=ext.depends,
                )
            except CompileError:
                if level == "scalar":
                    raise
                return None

        wanted = levels(self.plat_name)
        with ThreadPoolExecutor(os.cpu_count()) as pool:  # the compiler's processes do the work
            objects = dict(zip(wanted, pool.map(compile_table, wanted), strict=True))
        left_out = [level for level in wanted if objects[level] is None]
        if left_out:
            self.notice = f"WITHOUT the kernels for {', '.join(left_out)}: they do not compile"
        elif len(wanted) == 1 and "FASTDROP_BUILD_LEVELS" not in os.environ:
            self.notice = f"with the scalar kernels ALONE: it has no others for {self.plat_name}"
        for level in wanted:
            if level not in left_out:
                ext.extra_objects += objects[level]
                ext.define_macros.append((f"FD_HAVE_{level.upper()}", "1"))

    def run(self):
        super().run()
        # A checkout shadows the installed package for commands that are run from its root
        # (python -m fastdrop), so it gets the compiled modules too.
        if not self.inplace and Path(".git").exists():
            self.copy_extensions_to_source()


def extension(name):
    """Return the extension for a dotted module name."""
    import numpy

    path = Path(*name.split(".")).with_suffix(".pyx")
    headers = [str(header) for header in Path(KERNELS).rglob("*.h")]
    sources = [str(path)]
    if name.endswith("._kernels"):
        sources += [str(source) for source in sorted(Path(KERNELS, "engine").glob("*.c"))]
    if name in FOLDERS:
        folder = Path(FOLDERS[name])
        sources += [str(source) for source in sorted(folder.glob("*.c"))]
        headers += [str(header) for header in folder.glob("*.h")]
    return Extension(
        name,
        sources,
        include_dirs=[KERNELS, "fastdrop/torch", "fastdrop/jax", numpy.get_include()],
        depends=sorted(headers),
        define_macros=[("Py_LIMITED_API", "0x030B0000")] if ABI3 else [],
        py_limited_api=ABI3,
    )


def directives():
    """Return the Cython directives, the same for every module."""
    return {
        "language_level": 3,
        "binding": True,
        "embedsignature": False,
        "cdivision": True,
        "freethreading_compatible": True,
        "boundscheck": DEBUG,
        "wraparound": False,
        "initializedcheck": DEBUG,
        "nonecheck": DEBUG,
    }


def readme(repository):
    """Return README.md as it is shown where its folder is not, as on a package index.

    Parameters
    ----------
    repository : str or None
        The URL that relative links are made absolute with. Without one they become plain text.
    """

    def absolute(match):
        text, target = match.groups()
        if re.match("[a-z]+:|#", target):
            return match[0]
        return f"[{text}]({repository}/blob/main/{target})" if repository else text

    text = Path("README.md").read_text(encoding="utf-8")
    if repository:
        text = re.sub(r'( src(?:set)?=")(?!https:)', rf"\1{repository}/raw/main/", text)
    else:
        text = re.sub(r"<picture>.*?</picture>\n", "", text, flags=re.DOTALL)
    return re.sub(r"\[([^]]*)\]\(([^)\s]+)\)", absolute, text)


def main():
    """Build; first of all, and before NumPy is imported, refuse what cannot be built for."""
    if sys.maxsize < 2**32:
        raise SystemExit("fastdrop needs a 64-bit Python")
    names = (
        "kernels._kernels",
        "kernels._testing",
        "jax._calls",
        "apply._apply",
        "apply._broadcast",
        "apply._dtypes",
        "source._source",
        "source._generators",
        "source._numpy_source",
        "mask._activate",
        "mask._any_mask",
        "mask._bits",
        "mask._decisions",
        "mask._draw",
        "mask._exact",
        "mask._gaussian_mask",
        "mask._mask",
        "mask._multiply",
        "mask._norm",
        "mask._operations",
        "mask._probability",
        "mask._state",
        "mask._window",
        "torch._memory",
        "torch._tensor",
        "torch._attention",
        "torch._dispatcher",
        "torch._passes",
        "torch._relatives",
    )
    project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
    setup(
        long_description=readme(project.get("urls", {}).get("Repository")),
        long_description_content_type="text/markdown",
        ext_modules=cythonize(
            [extension(f"fastdrop.{name}") for name in names],
            build_dir="build/cython",
            compiler_directives=directives(),
            emit_linenums=COVERAGE,
        ),
        cmdclass={"build_ext": BuildKernels},
        options={"bdist_wheel": {"py_limited_api": "cp311"}} if ABI3 else {},
    )


if __name__ == "__main__":
    main()
