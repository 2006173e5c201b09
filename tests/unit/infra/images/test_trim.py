import pytest

from infra.images import trim


@pytest.fixture
def packages(tmp_path):
    """Return a folder with a little of everything."""
    for name in (
        "numpy/tests/test_all.py",
        "numpy/linalg/tests/test_linalg.py",
        "numpy/testing/__init__.py",
        "numpy/linalg/linalg.pyi",
        "pyarrow/lib.cpython-311-x86_64-linux-gnu.so",
        "pyarrow/_flight.cpython-311-x86_64-linux-gnu.so",
        "pyarrow/libarrow_python.so",
        "pyarrow/libarrow_python.so.2600",
        "pyarrow/libarrow_python.so.2600.1.0",
        "pyarrow/libarrow_flight.so.2600",
        "pyarrow/libarrow_s3.so.2600",
        "pyarrow/lib.pyx",
        "botocore/data/s3/service.json",
        "botocore/data/ec2/service.json",
        "botocore/data/endpoints.json",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x" * 10)
    return tmp_path


def test_what_functions_need_stays(packages, monkeypatch):
    """And nothing else."""
    stripped = []
    monkeypatch.setattr(trim.subprocess, "run", lambda command, check: stripped.extend(command[2:]))
    trim.trim(packages)
    kept = sorted(str(path.relative_to(packages)) for path in packages.rglob("*") if path.is_file())
    assert kept == [
        "botocore/data/endpoints.json",
        "botocore/data/s3/service.json",
        "numpy/testing/__init__.py",
        "pyarrow/lib.cpython-311-x86_64-linux-gnu.so",
        "pyarrow/libarrow_python.so.2600",
    ]
    assert sorted(path.name for path in stripped) == ["lib.cpython-311-x86_64-linux-gnu.so", "libarrow_python.so.2600"]


def test_it_says_what_it_did(packages, monkeypatch, capsys):
    """In megabytes."""
    monkeypatch.setattr(trim.subprocess, "run", lambda command, check: None)
    trim.trim(packages)
    assert capsys.readouterr().out == "0 MB of libraries, 0 MB kept\n"
