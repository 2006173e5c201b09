import pytest

from infra.images import commands
from infra.local.machine import ROOT

FACTS = {"GIT_COMMIT": "abc", "BASE_IMAGE": commands.BASE}


def test_buildah_asks_no_registry_for_a_local_base():
    """And for another one only if it has to."""
    local = commands.buildah_build(commands.DOCKERFILE, "score", "tag", FACTS, 7, pull=False)
    assert "--pull-never" in local
    assert "--pull-never" not in commands.buildah_build(commands.DOCKERFILE, "score", "tag", FACTS, 7, pull=True)
    assert local[local.index("--isolation") + 1] == "chroot"


def test_the_same_commit_makes_the_same_image():
    """Its moment is that of all files."""
    buildah = commands.buildah_build(commands.DOCKERFILE, "score", "tag", FACTS, 7, pull=False)
    assert buildah[buildah.index("--timestamp") + 1] == "7"
    assert "SOURCE_DATE_EPOCH=7" in commands.docker_build("score", "tag", FACTS, 7)


def test_the_lines_that_say_of_which_commit_an_image_is_differ_by_commit():
    """A cache that goes by their text, as buildah's, never takes one commit's for another's."""
    found = commands.stamped("ARG GIT_COMMIT\nENV GIT_COMMIT=${GIT_COMMIT}\nLABEL l=${OTHER}", FACTS)
    assert found == "ARG GIT_COMMIT\nENV GIT_COMMIT=abc\nLABEL l=${OTHER}"
    text = (ROOT / commands.DOCKERFILE).read_text()
    assert text.count("${GIT_COMMIT}") > 10
    assert "${GIT_COMMIT}" not in commands.stamped(text, FACTS)


@pytest.mark.parametrize(
    "build",
    [
        commands.docker_build("score", "t", FACTS, 7),
        commands.buildah_build(commands.DOCKERFILE, "score", "t", FACTS, 7, pull=False),
    ],
)
def test_both_engines_build_the_same_target(build):
    """Of the same file, from the same folder, with the same arguments."""
    assert build[build.index("--target") + 1] == "score"
    assert build[build.index("--file") + 1] == commands.DOCKERFILE
    assert "GIT_COMMIT=abc" in build
    assert build[-1] == "."


def test_a_registry_knows_images_by_their_commit():
    """One of uncommitted changes says so."""
    assert (
        commands.destination("r.example:5000/", "score", "0123456789abcdef")
        == "r.example:5000/marquee/score:0123456789ab"
    )
    assert commands.destination("r.example", "score", "0123456789abcdef-dirty").endswith(":0123456789ab-dirty")


@pytest.mark.parametrize(
    ("registry", "insecure"), [("localhost:5000", True), ("127.0.0.1:5000", True), ("registry.example", False)]
)
def test_only_a_registry_of_this_machine_may_speak_http(registry, insecure):
    """Any other shows a certificate."""
    command = commands.buildah_push("tag", f"{registry}/marquee/score:1", "/file")
    assert ("--tls-verify=false" in command) == insecure
