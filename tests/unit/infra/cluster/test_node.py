import ipaddress
import json
import tomllib
from pathlib import Path

import pytest

from infra.cluster import build, config
from infra.cluster.components import POLICIES, components
from infra.cluster.host import Host, mounts_below
from infra.cluster.images import images
from infra.cluster.machine import ADDRESS, API, DNS, PODS, SERVICES, Cluster
from infra.cluster.node import Node
from shared.errors import BadInput

CLUSTER = Cluster(Path("/var/lib/here"), Path("/cache"))


def test_the_cache_is_where_the_user_keeps_caches():
    """XDG_CACHE_HOME if it is set, else ~/.cache; empty is not set."""
    assert Cluster.from_env({"XDG_CACHE_HOME": "/c", "HOME": "/h"}).cache == Path("/c/marquee-cluster")
    assert Cluster.from_env({"XDG_CACHE_HOME": "", "HOME": "/h"}).cache == Path("/h/.cache/marquee-cluster")
    assert Cluster.from_env({"MARQUEE_CLUSTER_HOME": "/m"}).home == Path("/m")


def test_addresses_belong_to_their_networks():
    """The bridge is in the pods' network, the API and the name server are in that of the Services."""
    assert ipaddress.ip_address(ADDRESS) in ipaddress.ip_network(PODS)
    assert {ipaddress.ip_address(each) in ipaddress.ip_network(SERVICES) for each in (API, DNS)} == {True}


def test_every_file_says_what_its_reader_reads():
    """JSON, which is YAML, and TOML, with the paths of this cluster in them."""
    files = config.files(CLUSTER)
    plugins = tomllib.loads(files["containerd.toml"])["plugins"]["io.containerd.grpc.v1.cri"]
    assert plugins["sandbox_image"] in {image.name for image in images(CLUSTER)}
    assert plugins["cni"]["conf_dir"] == "/var/lib/here/cni"
    assert json.loads(files["kubelet.yaml"])["containerRuntimeEndpoint"] == "unix:///var/lib/here/containerd.sock"
    assert json.loads(files["cni/10-marquee.conflist"])["plugins"][0]["ipam"]["ranges"] == [
        [{"subnet": PODS, "gateway": ADDRESS}]
    ]


def test_every_file_that_a_process_reads_is_written():
    """A path below the home that a command names is a file of `config.files`, a certificate, or made by the process."""
    written = {f"{CLUSTER.home}/{name}" for name in config.files(CLUSTER)}
    named = [word.partition("=")[2] or word for part in components(CLUSTER) for word in part.command]
    read = {word for word in named if word.endswith((".yaml", ".conf", ".toml"))}
    assert read <= written


def test_nothing_listens_outside_the_machine():
    """Loopback or the bridge, Services' ports on the node too: the firewall is needed for one port alone."""
    commands = {part.name: " ".join(part.command) for part in components(CLUSTER)}
    assert f"--bind-address={ADDRESS}" in commands["apiserver"]
    assert json.loads(config.files(CLUSTER)["kubelet.yaml"])["address"] == ADDRESS
    for name in ("controller-manager", "scheduler"):
        assert "--bind-address=127.0.0.1" in commands[name]
    proxy = json.loads(config.files(CLUSTER)["proxy.yaml"])
    assert proxy["healthzBindAddress"].startswith("127.0.0.1:")
    assert proxy["nodePortAddresses"] == [PODS]


@pytest.mark.parametrize("act", [lambda node: node.start(True, print), lambda node: node.stop(print)])
def test_a_folder_of_somebody_else_is_left_as_it_is(tmp_path, act):
    """Neither closed to others nor deleted: MARQUEE_CLUSTER_HOME may be mistyped."""
    home = tmp_path / "home"
    (home / "documents").mkdir(parents=True, mode=0o755)
    (home / "documents" / "thesis").write_text("years of work")
    mode = home.stat().st_mode
    with pytest.raises(BadInput, match=r"no before\.json"):
        act(Node(Cluster(home, tmp_path)))
    assert (home / "documents" / "thesis").read_text() == "years of work"
    assert home.stat().st_mode == mode


def test_a_folder_is_a_cluster_s_if_it_is_empty_or_was_one(tmp_path):
    """Or not there at all; what a start left that was killed as it began is nobody's."""
    host = Host(Cluster(tmp_path / "home", tmp_path))
    host.refuse_foreign()
    (tmp_path / "home" / "stores").mkdir(parents=True)
    host.refuse_foreign()
    (tmp_path / "home" / "before.json.part").touch()
    host.refuse_foreign()
    (tmp_path / "home" / "admin.conf").touch()
    with pytest.raises(BadInput, match="not empty"):
        host.refuse_foreign()
    (tmp_path / "home" / "before.json").touch()
    host.refuse_foreign()


def test_each_process_is_waited_for():
    """There is a probe for every one, policies too, which starts once the node is there."""
    parts = {part.name: part for part in components(CLUSTER)}
    assert Node(CLUSTER)._ready().keys() == parts.keys()
    assert parts[POLICIES].stage == max(part.stage for part in parts.values())


def test_mounts_are_unmounted_from_the_inside_out():
    """What lies deeper comes first, names with spaces are read, and neighbours with the same beginning stay."""
    mounts = "\n".join(
        [
            "overlay /var/lib/here/run/a overlay rw 0 0",
            r"tmpfs /var/lib/here/run/a/two\040words tmpfs rw 0 0",
            "tmpfs /var/lib/hereafter tmpfs rw 0 0",
            "proc /proc proc rw 0 0",
        ]
    )
    assert mounts_below(mounts, CLUSTER.home) == ["/var/lib/here/run/a/two words", "/var/lib/here/run/a"]


def test_every_part_is_kept_in_the_cache_by_its_version():
    """So that nothing is compiled twice, and nothing old is used."""
    targets = [part.target for part in build.parts(CLUSTER)]
    assert len(set(targets)) == len(targets)
    assert all(CLUSTER.cache in target.parents for target in targets)
    assert not any(part.is_made for part in build.parts(CLUSTER))


def test_what_was_interrupted_is_made_anew(tmp_path):
    """A target is whole or not there: leftovers of a failed attempt are neither used nor in the way."""
    target, said = tmp_path / "kubernetes", []

    def fails(part):
        part.mkdir()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build.Part("it", target, fails).once(said.append)
    assert not target.exists()
    build.Part("it", target, Path.mkdir).once(said.append)
    build.Part("it", target, fails).once(said.append)
    assert target.is_dir()
    assert said == ["building it", "building it"]
