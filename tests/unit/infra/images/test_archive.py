import json
from hashlib import sha256

import pytest

from infra.images.archive import Archive
from tests.unit.infra.images.docker_archive import layer, write


@pytest.fixture
def image(tmp_path):
    """Return an image of two layers, and their bytes; the upper one replaces a file of the lower."""
    layers = [layer({"etc/os": b"x" * 5000, "app/said": b"old"}), layer({"./app/said": b"new"})]
    write(tmp_path / "image.tar", layers)
    return tmp_path / "image.tar", layers


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
