import pytest

from functions.rollout import core
from shared.errors import BadInput, NotReady
from shared.experiment import known
from shared.rollout import update
from tests.unit.cli.rollout.world import SERVICE, live, run, standing


def test_an_order_is_stored_with_name_and_reason(deps, monkeypatch):
    """The name is the user's, unless another is given."""
    live(deps, "m1", canary="m2")
    monkeypatch.setattr("getpass.getuser", lambda: "bob")
    assert "promoted m2, the canary" in run("promote", SERVICE, "--why", "the site asked for it")
    change = standing(deps).log[-1]
    assert (change.what, change.who, change.why) == ("promoted", "bob", "the site asked for it")
    told = run("rollback", SERVICE, "--model", "m2", "--why", "no", "--who", "eve")
    assert "rolled back m2, the stable model\n" in told
    assert "m1 is the stable model again" in told
    assert (standing(deps).model_version, standing(deps).log[-1].who) == ("m1", "eve")
    assert "paused" in run("pause", SERVICE, "--why", "a holiday")
    assert standing(deps).is_paused
    assert "paused already" in run("pause", SERVICE, "--why", "a holiday")
    assert "resumed" in run("resume", SERVICE, "--why", "back")
    assert not standing(deps).is_paused


@pytest.mark.parametrize("command", ["promote", "rollback"])
def test_an_order_that_cannot_be_is_refused(deps, command):
    """With what is missing."""
    with pytest.raises(BadInput, match="canary"):
        run(command, SERVICE, "--why", "x")


def test_orders_that_make_no_sense_are_refused(deps, monkeypatch):
    """A service that is none, a reason that is none, a user without a name; and a store that is away says so."""
    with pytest.raises(BadInput, match="no service 'recommend'; there are score-svd, score-svdpp"):
        run("pause", "recommend", "--why", "x")
    with pytest.raises(BadInput, match="--why is empty"):
        run("pause", SERVICE, "--why", " ")
    assert "Missing option" in run("pause", SERVICE)
    monkeypatch.setattr("getpass.getuser", lambda: (_ for _ in ()).throw(KeyError("uid")))
    with pytest.raises(BadInput, match="--who"):
        run("pause", SERVICE, "--why", "x")
    deps.objects.down = True
    with pytest.raises(NotReady):
        run("pause", SERVICE, "--why", "x", "--who", "ann")


@pytest.mark.parametrize("order", [("pause", SERVICE), ("weight", "40")])
def test_words_that_are_no_text_are_refused(deps, monkeypatch, order):
    """What a shell passes on of bytes that are no UTF-8 cannot be stored, be it a reason, a name or this user's own."""
    with pytest.raises(BadInput, match=r"--why is no text in UTF-8: 'caf\\udce9'"):
        run(*order, "--why", "caf\udce9", "--who", "ann")
    with pytest.raises(BadInput, match="--who is no text in UTF-8"):
        run(*order, "--why", "x", "--who", "\udce9ve")
    monkeypatch.setattr("getpass.getuser", lambda: "\udce9ve")
    with pytest.raises(BadInput, match="--who is no text in UTF-8"):
        run(*order, "--why", "x")
    assert deps.objects.objects == {}


def test_a_person_moves_the_weight_with_name_and_reason(deps, monkeypatch):
    """The name is the user's, unless another is given; the weight that stands already is not ordered again."""
    monkeypatch.setattr("getpass.getuser", lambda: "bob")
    assert "score-svd 60 %, score-svdpp 40 %" in run("weight", "60", "--why", "it answers sooner")
    assert "has 60 % already" in run("weight", "60", "--why", "again")
    assert "score-svd 0 %" in run("weight", "0", "--why", "it is broken", "--who", "eve")
    log = known(deps.channels).log
    assert [(each.svd_percent, each.who, each.why, each.evidence) for each in log] == [
        (60, "bob", "it answers sooner", None),
        (0, "eve", "it is broken", None),
    ]
    assert log[-1].at == deps.now_us()


def test_a_weight_is_ordered_over_damage(deps):
    """A person's word is all that is needed to know it anew."""
    deps.objects.put("channels/experiment.json", b"damaged")
    run("weight", "30", "--why", "x", "--who", "ann")
    assert known(deps.channels).svd_percent == 30


@pytest.mark.parametrize("percent", ["101", "-1", "x", "50.5"])
def test_a_weight_that_is_no_percentage_is_refused(deps, percent):
    """And so is one without a reason; nothing is stored."""
    assert "SVD_PERCENT" in run("weight", "--why", "x", "--who", "ann", "--", percent)
    with pytest.raises(BadInput, match="--why is empty"):
        run("weight", "50", "--why", " ")
    assert deps.objects.objects == {}


def test_an_order_says_which_model_came_in_its_place(deps):
    """And one about the model that went is refused, as the command says which was meant."""
    live(deps, "m1", canary="m2")
    update(deps.channels, SERVICE, lambda state: core.accept(state, "m3", 100, deps.now_us()))
    told = run("rollback", SERVICE, "--model", "m2", "--why", "no", "--who", "ann")
    assert "rolled back m2, the canary" in told
    assert "m3, which waited, is on trial now" in told
    with pytest.raises(BadInput, match="marquee rollout rollback score-svd --model m3 --why no"):
        run("rollback", SERVICE, "--model", "m2", "--why", "no", "--who", "ann")


def test_a_model_that_moved_up_in_between_is_not_hit(deps, monkeypatch):
    """Somebody else's order comes between this one's look and its write."""
    live(deps, "m1", canary="m2")
    update(deps.channels, SERVICE, lambda state: core.accept(state, "m3", 100, deps.now_us()))
    order, others = core.order, []

    def late(state, *told):
        if not others:
            others.append(update(deps.channels, SERVICE, lambda now: order(now, "rollback", "eve", "no", 10**16)))
        return order(state, *told)

    monkeypatch.setattr(core, "order", late)
    with pytest.raises(BadInput, match="m2 is not the model"):
        run("rollback", SERVICE, "--model", "m2", "--why", "no", "--who", "ann")
    assert standing(deps).canary.release.model_version == "m3"


IMAGE = "registry.example/score@sha256:" + 64 * "a"


def test_other_code_is_for_a_cluster(deps, monkeypatch):
    """On one machine that is said before all else."""
    live(deps, "m1", canary="m2")
    with pytest.raises(BadInput, match="`release` is for a cluster"):
        run("release", SERVICE, "--image", "foo", "--why", "faster", "--who", "ann")
    monkeypatch.setenv("S3_ENDPOINT", "http://minio:9000")
    with pytest.raises(BadInput, match="m2 of score-svd is on trial"):
        run("release", SERVICE, "--image", IMAGE, "--why", "faster", "--who", "ann")


@pytest.mark.parametrize("image", ["foo", "", "foo:1.0", IMAGE[:-1], IMAGE + "a", IMAGE.upper(), f"a {IMAGE}"])
def test_code_is_named_by_digest(deps, monkeypatch, image):
    """A tag may be other code tomorrow."""
    monkeypatch.setenv("S3_ENDPOINT", "http://minio:9000")
    live(deps, "m1")
    with pytest.raises(BadInput, match="no image by digest"):
        run("release", SERVICE, "--image", image, "--why", "faster", "--who", "ann")
    assert "deploying m1" in run("release", SERVICE, "--image", IMAGE, "--why", "faster", "--who", "ann")
