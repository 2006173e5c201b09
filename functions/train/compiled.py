"""How the inner loops are compiled by numba, and how threads within them wait for each other."""

from collections.abc import Callable
from typing import Any, Final

import llvmlite.binding
import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core.compiler import Compiler
from numba.extending import intrinsic
from numpy.typing import NDArray

LINE: Final = 8
"""Counts of different threads stand on different cache lines, so many int64 apart."""

_LOOKS: Final = 1000  # then others run first

# One vector of accumulators instead of four: rows are short, and what is left over of four is done slowly.
llvmlite.binding.set_option("marquee", "-force-vector-interleave=1")

EXACT: Final = frozenset({"contract", "nsz"})

SUMS: Final = EXACT | {"reassoc"}  # sums in any order, but NaN and infinity as they are


def compiled(signature: str, fast: frozenset[str] = SUMS) -> Callable[[Callable[..., Any]], Any]:
    """Compile a function at import, once, and keep it in numba's cache; it does not hold the interpreter's lock."""
    compile_: Callable[[Callable[..., Any]], Any] = njit(
        signature, fastmath=set(fast), nogil=True, error_model="numpy", cache=True
    )
    return compile_


class _Apart(Compiler):
    """Compile for arrays that do not overlap, so that the vectors' loop is not preceded by a search for overlaps."""

    def define_pipelines(self) -> Any:
        self.state.flags.noalias = True
        return super().define_pipelines()  # type: ignore[no-untyped-call]


def inlined(fast: frozenset[str]) -> Callable[[Callable[..., Any]], Any]:
    """Compile a function into those that call it; its arrays must not overlap."""
    inline: Callable[[Callable[..., Any]], Any] = njit(
        fastmath=set(fast), nogil=True, error_model="numpy", forceinline=True, pipeline_class=_Apart
    )
    return inline


_emitted: Callable[[Callable[..., Any]], Any] = intrinsic  # numba's own type counts the typing context as an argument


@_emitted
def _now(_typing: Any, counts: Any, index: Any) -> Any:
    """Return `counts[index]` as it is in memory now; a plain read in a loop may be done once."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        return builder.load_atomic(builder.gep(array.data, [arguments[1]]), "acquire", 8, typ=ir.IntType(64))

    return types.int64(counts, index), generate


@_emitted
def _publish(_typing: Any, counts: Any, index: Any, _count: Any) -> Any:
    """Set `counts[index]`, seen by others after all that was written before."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        builder.store_atomic(arguments[2], builder.gep(array.data, [arguments[1]]), "release", 8)
        return context.get_dummy_value()

    return types.void(counts, index, types.int64), generate


_sched_yield = types.ExternalFunction("sched_yield", types.int32())


@njit("void(int64[::1], int64, int64)", nogil=True, cache=True)
def wait_for(counts: NDArray[np.int64], thread: int, count: int) -> None:
    """Return once a thread has told that it is so far; to sleep and be woken would take longer than most steps."""
    looks = 0
    while _now(counts, thread * LINE) < count:
        looks += 1
        if looks > _LOOKS:
            _sched_yield()


@njit("void(int64[::1], int64, int64)", nogil=True, cache=True)
def tell(counts: NDArray[np.int64], thread: int, count: int) -> None:
    """Say how many steps a thread has done."""
    _publish(counts, thread * LINE, count)
