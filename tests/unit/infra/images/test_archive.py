import io
import json
import tarfile
from hashlib import sha256

import pytest

from infra.images.archive import Archive


def add(tar, name, data):
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))


def layer(files):
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as tar:
        for name, data in files.items():
            add(tar, name, data)
    return held.getvalue()


@pytest.fixture
def image(tmp_path):
    """Return an image of two layers, and their bytes; the upper one replaces a file of the lower."""
    layers = [layer({"etc/os": b"x" * 5000, "app/said": b"old"}), layer({"./app/said": b"new"})]
    digests = [sha256(each).hexdigest() for each in layers]
    config = json.dumps({"config": {"User": "1"}, "rootfs": {"diff_ids": [f"sha256:{each}" for each in digests]}})
    name = f"{sha256(config.encode()).hexdigest()}.json"
    path = tmp_path / "image.tar"
    with tarfile.open(path, "w") as tar:
        add(tar, name, config.encode())
        for digest, data in zip(digests, layers, strict=True):
            add(tar, f"{digest}.tar", data)
        add(
            tar, "manifest.json", json.dumps([{"Config": name, "Layers": [f"{each}.tar" for each in digests]}]).encode()
        )
    return path, layers


def test_an_image_is_known_by_its_configuration(image):
    """As on a node."""
    archive = Archive.open(image[0])
    assert archive.digest == f"sha256:{sha256(json.dumps(archive.config).encode()).hexdigest()}"
    assert archive.config["config"] == {"User": "1"}


def test_the_base_does_not_count(image):
    """Layers that are the base's are no image's own."""
    path, (lower, upper) = image
    archive = Archive.open(path)
    assert archive.size_beyond([]) == len(lower) + len(upper)
    assert archive.size_beyond([f"sha256:{sha256(lower).hexdigest()}"]) == len(upper)


def test_the_highest_layer_has_the_last_word(image):
    """A file that is replaced is read as it is in a container."""
    archive = Archive.open(image[0])
    assert archive.file("app/said") == b"new"
    with pytest.raises(KeyError):
        archive.file("app/nothing")
