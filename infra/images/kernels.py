"""Where numba finds the kernels that an image brings, by NUMBA_CACHE_LOCATOR_CLASSES."""

from typing import Any, Final, Self

import llvmlite.binding
from numba.core.caching import UserProvidedCacheLocator

PROCESSOR: Final = "x86-64-v3"
"""What they are compiled for, by LLVM's name: all that Intel has sold for servers since 2013, and AMD since 2017."""

NEEDED: Final = ("avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe")
"""What that asks of a processor, by LLVM's names."""


class Shipped(UserProvidedCacheLocator):
    """The folder NUMBA_CACHE_DIR, which nobody can write to; numba's own locators take only folders that they can."""

    def ensure_cache_path(self) -> None:
        """Nothing is written: all that is asked for is there."""

    @classmethod
    def from_function(cls, py_func: Any, py_file: str) -> Self | None:
        """Return the locator of a function's kernel. Raises: RuntimeError if this processor cannot run it."""
        has = llvmlite.binding.get_host_cpu_features()
        if lacking := [name for name in NEEDED if not has.get(name)]:
            raise RuntimeError(
                f"this image's kernels need {', '.join(lacking)}, which the processor lacks. Run it on another node, "
                "or set NUMBA_CPU_NAME=generic, NUMBA_CPU_FEATURES=, NUMBA_CACHE_DIR=/tmp/kernels and "
                "NUMBA_CACHE_LOCATOR_CLASSES=UserProvidedCacheLocator: then a pod compiles its own, in seconds"
            )
        found: Self | None = super().from_function(py_func, py_file)  # type: ignore[no-untyped-call]
        return found
