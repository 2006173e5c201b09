import json
from collections.abc import Mapping
from hashlib import sha256

import pytest

from infra.ci.registry import pull
from shared.errors import Corrupt, NotReady
from tests.web_server import serving


def named(data: bytes) -> str:
    return f"sha256:{sha256(data).hexdigest()}"


LAYER, CONFIG = b"a layer", b"{}"
MANIFEST = json.dumps({"config": {"digest": named(CONFIG)}, "layers": [{"digest": named(LAYER)}]}).encode()
HELD = {
    f"/v2/marquee/score/manifests/{named(MANIFEST)}": MANIFEST,
    **{f"/v2/marquee/score/blobs/{named(data)}": data for data in (LAYER, CONFIG)},
}


def pulled(held: Mapping[str, bytes]) -> int:
    with serving(lambda path, _: (200, held[path]) if path in held else (404, b"")) as url:
        return pull(f"{url.removeprefix('http://')}/marquee/score@{named(MANIFEST)}")


def test_an_image_is_read_to_its_last_byte() -> None:
    """Its manifest, and all that it names."""
    assert pulled(HELD) == len(MANIFEST) + len(LAYER) + len(CONFIG)


@pytest.mark.parametrize("path", HELD)
def test_every_byte_is_what_the_digest_says(path: str) -> None:
    """Else it is not the image that was pushed; and what is not there is told as well."""
    with pytest.raises(Corrupt, match="sha256"):
        pulled(HELD | {path: HELD[path] + b" "})
    with pytest.raises(NotReady, match="404"):
        pulled({name: data for name, data in HELD.items() if name != path})
