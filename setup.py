# SPDX-License-Identifier: BSD-3-Clause
"""Build of the compiled modules; everything else about the package is in pyproject.toml.

One C file per instruction set is compiled with flags of its own and linked into
``fastdrop.kernels._kernels``, the only module with machine code for more than the baseline.
setuptools has no flags per file, so ``build_ext`` compiles these files itself.

Environment: ``FASTDROP_BUILD_LEVELS`` (for example ``sse2,avx2``) limits the instruction sets;
``FASTDROP_BUILD_DEBUG=1`` turns on Cython's bounds and None checks.
"""

import os
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError

KERNELS = "fastdrop/kernels"
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

# -ffp-contract=off: a fused multiply-add would give other floats than a product and a sum.
GCC_FLAGS = ["-std=c11", "-O3", "-fvisibility=hidden", "-ffp-contract=off"]
# What debuggers need is a third of the time that a table takes to compile.
TABLE_FLAGS = [] if os.environ.get("FASTDROP_BUILD_DEBUG") == "1" else ["-g0"]
MSVC_FLAGS = ["/std:c11", "/O2", "/fp:precise"]


def architectures():
    """Return the keys of LEVELS that are built for: two of them for macOS's universal binaries."""
    target = os.environ.get("ARCHFLAGS") or sysconfig.get_platform()
    if target.endswith("universal2"):
        return ["x86_64", "arm64"]
    spellings = {"x86_64": ("x86_64", "amd64", "x86-64"), "arm64": ("arm64", "aarch64")}
    return [name for name, known in spellings.items() if any(word in target for word in known)]


def levels():
    """Return the instruction sets to compile: name -> (GCC flags, MSVC flags)."""
    built_for = architectures()
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
            f"this machine has {', '.join(available)}"
        )
    return {name: flags for name, flags in available.items() if name in names}


class BuildKernels(build_ext):
    """``build_ext`` that compiles each instruction set with its own flags."""

    def finalize_options(self):
        super().finalize_options()
        self.parallel = self.parallel or os.cpu_count()

    def build_extension(self, ext):
        msvc = self.compiler.compiler_type == "msvc"
        ext.extra_compile_args = MSVC_FLAGS if msvc else GCC_FLAGS
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
                self.warn(f"this compiler cannot build the {level} kernels: left out")
                return None

        wanted = levels()
        with ThreadPoolExecutor(os.cpu_count()) as pool:  # the compiler's processes do the work
            objects = dict(zip(wanted, pool.map(compile_table, wanted), strict=True))
        compiled = [level for level in wanted if objects[level] is not None]
        for level in compiled:
            ext.extra_objects += objects[level]
            ext.define_macros.append((f"FD_HAVE_{level.upper()}", "1"))
        ext.define_macros.append(("FD_BUILD_LEVELS", '"' + ",".join(compiled) + '"'))

    def run(self):
        super().run()
        # A checkout shadows the installed package for commands that are run from its root
        # (python -m fastdrop), so it gets the compiled modules too.
        if not self.inplace and Path(".git").exists():
            self.copy_extensions_to_source()


def extension(name):
    """Return the extension for a dotted module name."""
    path = Path(*name.split(".")).with_suffix(".pyx")
    headers = [str(header) for header in Path(KERNELS).rglob("*.h")]
    sources = [str(path)]
    if name.endswith("._kernels"):
        sources += [str(source) for source in sorted(Path(KERNELS, "engine").glob("*.c"))]
    return Extension(
        name, sources, include_dirs=[KERNELS, numpy.get_include()], depends=sorted(headers)
    )


def directives():
    """Return the Cython directives, the same for every module."""
    checked = os.environ.get("FASTDROP_BUILD_DEBUG") == "1"
    return {
        "language_level": 3,
        "binding": True,
        "embedsignature": False,
        "cdivision": True,
        "boundscheck": checked,
        "wraparound": False,
        "initializedcheck": checked,
        "nonecheck": checked,
    }


if sys.maxsize < 2**32:
    raise SystemExit("fastdrop needs a 64-bit Python")

setup(
    ext_modules=cythonize(
        [
            extension(f"fastdrop.{name}")
            for name in (
                "kernels._kernels",
                "apply._apply",
                "source._source",
                "source._numpy_source",
                "mask._gaussian_mask",
                "mask._mask",
                "mask._operations",
                "torch._tensor",
                "torch._attention",
            )
        ],
        build_dir="build/cython",
        compiler_directives=directives(),
    ),
    cmdclass={"build_ext": BuildKernels},
)
