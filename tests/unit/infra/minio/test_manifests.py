import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from infra import schemas
from infra.local.machine import BUCKET, ROOT
from infra.minio.policies import policies
from infra.minio.server import version
from infra.minio.set_up import Key, main, mounted, set_up
from shared.errors import BadSettings

FOLDER = ROOT / "infra/minio"
KUBERNETES = "v1.32.0"


def documents() -> list[dict]:  # type: ignore[type-arg]
    return [
        each for path in (FOLDER / "kubernetes").glob("[!k]*.yaml") for each in yaml.safe_load_all(path.read_text())
    ]


def test_kubernetes_takes_every_manifest() -> None:
    """Each field is one that it knows."""
    known = schemas.kubernetes(KUBERNETES)
    assert [problem for each in documents() for problem in known.check(each)] == []


def test_every_function_that_uses_the_bucket_has_a_policy() -> None:
    """All do; beside them there is who runs `marquee`, and who registers models."""
    functions = {path.parent.name.replace("_", "-") for path in ROOT.glob("functions/*/main.py")}
    assert policies().keys() == functions | {"operator", "registrar"}


@pytest.mark.parametrize("account", policies())
def test_policies_are_about_this_bucket_and_name_what_they_allow(account: str) -> None:
    """No action by a pattern, and of the whole bucket only for who runs `marquee`."""
    for statement in policies()[account]["Statement"]:
        resources = [each.removeprefix(f"arn:aws:s3:::{BUCKET}") for each in statement["Resource"]]
        assert all(each == "" or each.startswith("/") for each in resources)
        assert not any("*" in action for action in statement["Action"])
        if account != "operator":
            assert "/*" not in resources
            assert "s3:ListBucket" not in statement["Action"] or "Condition" in statement


def test_the_set_up_mounts_the_secret_of_every_account() -> None:
    """Each where it is looked for."""
    job = next(each for each in documents() if each["kind"] == "Job")
    (volume,) = job["spec"]["template"]["spec"]["volumes"]
    found = {
        (source["secret"]["name"], item["key"], item["path"])
        for source in volume["projected"]["sources"]
        for item in source["secret"]["items"]
    }
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    assert found == {(f"s3-{account}", name, f"{account}/{name}") for account in policies() for name in names}


def test_accounts_are_read_as_kubernetes_mounts_them(tmp_path: Path) -> None:
    """A folder each, behind links that change together; what is missing is named."""
    data = tmp_path / "..2026_11_25" / "ingest"
    data.mkdir(parents=True)
    (data / "AWS_ACCESS_KEY_ID").write_text("ingest")
    (data / "AWS_SECRET_ACCESS_KEY").write_text("secret")
    (tmp_path / "..data").symlink_to("..2026_11_25")
    (tmp_path / "ingest").symlink_to("..data/ingest")
    assert mounted(tmp_path) == {"ingest": Key("ingest", "secret")}
    (data / "AWS_SECRET_ACCESS_KEY").unlink()
    with pytest.raises(BadSettings, match="AWS_SECRET_ACCESS_KEY"):
        mounted(tmp_path)


def test_an_account_without_a_policy_is_refused_before_anything_is_done() -> None:
    """It could do nothing, and its function would say so too late."""
    with pytest.raises(BadSettings, match="stranger"):
        set_up("http://127.0.0.1:1", BUCKET, Key("root", "root"), {"stranger": Key("stranger", "secret")})


def test_what_the_set_up_is_not_told_is_named() -> None:
    """All of it at once, as a line and not a traceback."""
    with pytest.raises(BadSettings, match="BUCKET, MINIO_ROOT_PASSWORD in the environment"):
        main(["/accounts"], {"S3_ENDPOINT": "http://127.0.0.1:1", "MINIO_ROOT_USER": "root", "BUCKET": ""})
    with pytest.raises(BadSettings, match="one folder of accounts"):
        main([], dict.fromkeys(("S3_ENDPOINT", "BUCKET", "MINIO_ROOT_USER", "MINIO_ROOT_PASSWORD"), "x"))
    command = [sys.executable, "-m", "infra.minio.set_up"]
    done = subprocess.run(command, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("error: needed are")


def test_a_key_is_never_shown() -> None:
    """Only whose it is."""
    assert "secret" not in repr(Key("ingest", "a-secret"))


def test_the_image_has_the_libraries_that_we_test_with() -> None:
    """The same versions as in pyproject.toml, and MinIO at one version everywhere."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pinned = {*project["dependencies"], *project["optional-dependencies"]["stores"]}
    installed = re.search(r"^RUN pip install --no-cache-dir (.*)$", (FOLDER / "Dockerfile").read_text(), re.MULTILINE)
    assert installed
    assert set(installed[1].split()) <= pinned
    assert version().startswith("v")


def test_the_set_up_needs_no_other_library() -> None:
    """What its image has is enough to import it."""
    code = "import sys; from infra.minio import set_up; print(*{name.split('.')[0] for name in sys.modules})"
    heavy = {"pyarrow", "pydantic", "kafka", "deltalake", "numpy", "structlog", "starlette"}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert heavy.isdisjoint(done.stdout.split())
