import llvmlite.binding
import pytest
from numba.core import config

from infra.images.kernels import NEEDED, Shipped


def kernel():
    """Stand for a function of the trainers."""


def test_kernels_are_found_where_nobody_can_write(tmp_path, monkeypatch):
    """numba's own locators make the folder, and a file in it."""
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path / "kernels"))
    monkeypatch.setattr(llvmlite.binding, "get_host_cpu_features", lambda: dict.fromkeys(NEEDED, True))
    found = Shipped.from_function(kernel, __file__)
    assert found
    assert found.get_cache_path().startswith(str(tmp_path / "kernels"))
    assert list(tmp_path.iterdir()) == []


def test_a_processor_that_cannot_run_them_is_told(monkeypatch):
    """Before an instruction that it does not know ends the process without a word."""
    monkeypatch.setattr(
        llvmlite.binding, "get_host_cpu_features", lambda: dict.fromkeys(NEEDED, True) | {"avx2": False}
    )
    with pytest.raises(RuntimeError, match=r"need avx2, which the processor lacks.*NUMBA_CPU_NAME=generic"):
        Shipped.from_function(kernel, __file__)
