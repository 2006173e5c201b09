import dataclasses
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from shared import keys
from shared.answers import Asked, asked, of_user
from shared.bootstrap import Deps
from shared.decision import Decision
from shared.ports import Fold, Partition
from shared.provenance import Provenance
from shared.records import to_table
from shared.signing import Signer
from shared.story import Story, Thing, had_users
from tests.unit.shared.past import COMMIT, HOUR, SERVICE, START, bucket, later, line, listed, provenance

TIME = START + 3 * HOUR // 2  # of the list by m2


@pytest.fixture
def deps(tmp_path: Path) -> Deps:
    return bucket(tmp_path)


def told(deps: Deps, text: str) -> tuple[list[Story], str]:
    return provenance(deps).stories(asked(text, deps.now_us(), deps.settings.limits))


def by_name(story: Story) -> dict[str, Thing]:
    return {thing.name: thing for thing in story.things}


def origins(story: Story, name: str) -> dict[str, str]:
    return {thing.name: how for how, thing in story.origins(name)}


def test_from_nothing_but_a_log_line_the_whole_story_is_told(deps: Deps) -> None:
    """The list, its model and what that was warmed from, matrices, lake, offsets, code, image, measures."""
    (story,), note = told(deps, line("15", TIME))
    assert (story.wrong, note) == ([], "")
    things = by_name(story)
    answer, model = story.things[0], "models/svd/m2"
    assert (answer.facts["request_id"], answer.facts["model"]) == ("r102", "svd@m2")
    assert origins(story, answer.name)[model] == "answered by"
    assert origins(story, model) == {
        "matrices/x2": "made from",
        "models/svd/m1": "warmed from",
        COMMIT: "by the code of",
        "sha256:1": "in",
    }
    assert things[model].facts["parameters"] == {"algorithm": "svd", "seed": 7}
    assert "numpy" in things[model].facts["libraries"]
    assert origins(story, "matrices/x2")["lake/events@3"] == "read from"
    assert things["records of matrices/x2"].facts == {"movielog-0": "offsets 0 to 2"}
    assert things["lake/events@3"].facts["files"] == "4 of 4"
    assert things["reports/svd/m2"].facts["rmse"] == 0.9
    assert things["reports/online/2.json"].facts["svd:stable"]["hit_rate"] == 0.1


def test_who_put_it_live_is_told_with_the_evidence(deps: Deps) -> None:
    """Here a decision; and of the next model, a person's order."""
    (story,), _ = told(deps, line("15", TIME))
    (change,) = (name for how, name in named(story, story.things[0].name) if how == "given users by")
    assert by_name(story)[change].facts | {"at": 0} == {
        "in force": "when the answer was given",
        "at": 0,
        "what": "promoted",
        "percent": 100,
        "who": "rollout",
        "why": "no worse for sure",
        "evidence": "decisions/score-svd/m2/7.json",
        "score-svd-m2-" + change_digest(deps): "unknown",
    }
    assert origins(story, change)["decisions/score-svd/m2/7.json"] == "because of"
    assert by_name(story)["decisions/score-svd/m2/7.json"].facts["effect"] == {"estimate": 0.01}
    (story,), _ = told(deps, "r103")
    (change,) = (name for how, name in named(story, story.things[0].name) if how == "given users by")
    assert by_name(story)[change].facts["who"] == "ann"
    assert by_name(story)[change].facts["why"] == "the site asked for it"


def named(story: Story, name: str) -> list[tuple[str, str]]:
    return [(how, thing.name) for how, thing in story.origins(name)]


def change_digest(deps: Deps) -> str:
    state = json.loads(deps.objects.get(keys.channel(SERVICE)).data)
    return str(state["previous"]["revision"]).rpartition("-")[2]


def test_request_id_line_and_user_and_time_find_the_same_list(deps: Deps) -> None:
    """Whichever is at hand."""
    first = {
        json.dumps(provenance(deps).stories(known)[0][0].facts(), default=str)
        for known in (
            asked(line("15", TIME), deps.now_us(), deps.settings.limits),
            Asked(request_id="r102"),
            of_user("15", TIME + 9),
        )
    }
    assert len(first) == 1


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("models/svd/m2/factors.npz", "not the bytes that the manifest vouches for"),
        ("models/svd/m1/factors.npz", "not the bytes that the manifest vouches for"),
        ("matrices/x2/train.npz", "not the bytes that the manifest vouches for"),
        ("reports/svd/m2/report.json", "not the bytes that the manifest vouches for"),
        ("models/svd/m1/manifest.json", "not a manifest"),
        ("decisions/score-svd/m2/7.json", "not a decision"),
        ("channels/score-svd.json", "JSON"),
        ("reports/online/2.json", "JSON"),
    ],
)
def test_what_was_tampered_with_or_taken_away_is_named(key: str, why: str, deps: Deps) -> None:
    """It alone; all else is told as before."""
    before = deps.objects.get(key).data
    for broken, wanted in ((before[:-1] + b"?", why), (None, "missing")):
        deps.objects.put(key, before)
        if broken is None:
            deps.objects.delete([key])
            if key == "reports/online/2.json":  # then another one says most
                continue
        else:
            deps.objects.put(key, broken)
        (story,), _ = told(deps, line("15", TIME))
        (thing,) = story.wrong
        assert key.startswith(thing.name)
        assert wanted in thing.why[0]
    deps.objects.put(key, before)


def test_a_quick_look_checks_manifests_only(deps: Deps) -> None:
    """Models may be large; who asks so is told no more than was looked at."""
    deps.objects.put("models/svd/m2/factors.npz", b"other")
    known = Asked(request_id="r102")
    assert provenance(deps).stories(known)[0][0].wrong
    assert provenance(deps, checks_files=False).stories(known)[0][0].wrong == []


def test_a_manifest_under_another_name_is_named(deps: Deps) -> None:
    """An older model in the place of a newer one is not it, signed or not."""
    for name in ("factors.npz", "manifest.json"):
        deps.objects.put(f"models/svd/m2/{name}", deps.objects.get(f"models/svd/m1/{name}").data)
    (story,), _ = told(deps, "r102")
    assert [thing.why for thing in story.wrong] == [("its manifest is that of m1",)]


def test_a_model_that_nobody_signed_is_named_where_models_are_signed(deps: Deps) -> None:
    """And told of all the same."""
    signer = Signer.new()
    signing = dataclasses.replace(deps, signer=signer, verifier=signer.verifier)
    (story,), _ = told(signing, "r101")
    (thing,) = story.wrong
    assert (thing.name, thing.facts["signed"]) == ("models/svd/m1", "no")
    assert "nobody signed it" in thing.why[0]


def test_a_decision_that_nobody_signed_is_named_where_decisions_are_signed(deps: Deps) -> None:
    """And told of all the same; one that is signed is whole."""
    signer, key, known = Signer.new(), keys.decision(SERVICE, "m2", 7), Asked(request_id="r102")
    (story,), _ = provenance(deps, judge=signer.verifier).stories(known)
    (thing,) = story.wrong
    assert (thing.name, thing.facts["verdict"], thing.facts["signed"]) == (key, "promote", "no")
    assert "nobody signed this decision" in thing.why[0]
    signed = Decision.from_bytes(deps.objects.get(key).data).to_bytes(signer)
    deps.objects.put(key, signed)
    (story,), _ = provenance(deps, judge=signer.verifier).stories(known)
    assert (story.wrong, by_name(story)[key].facts["signed"]) == ([], "yes")
    deps.objects.put(key, signed.replace(b"no worse", b"so good"))
    assert [thing.name for thing in provenance(deps, judge=signer.verifier).stories(known)[0][0].wrong] == [key]


def test_after_retrains_and_an_expiry_what_remains_is_told(deps: Deps) -> None:
    """The list is gone with its day, as it should be; who had users then is known, and all their story."""
    deps.lake.drop([Partition("served", datetime.fromtimestamp(START / 1e6, UTC).date())])
    deps.objects.delete(deps.objects.keys(keys.ONLINE_REPORTS))
    deps = later(deps, 100)
    (story,), note = told(deps, line("15", TIME))
    assert "kept for 90 days" in note
    assert story.wrong == []
    assert (story.things[0].condition, story.things[0].facts["user_id"]) == ("gone", "15")
    assert origins(story, "answer")["models/svd/m2"] == "perhaps answered by"
    assert by_name(story)["models/svd/m1"].condition == "whole"


def test_files_of_the_lake_that_were_let_go_are_said_to_be(deps: Deps) -> None:
    """It is no error; the matrix that was made from them is still there."""
    deps.objects.delete(deps.objects.keys("lake/events/kind=watch/")[:1])
    (story,), _ = told(deps, "r103")
    lakes = [thing for thing in story.things if thing.kind == "lake" and thing.condition == "gone"]
    assert lakes[0].facts["files"] in ("5 of 6", "3 of 4", "1 of 2")
    assert story.wrong == []


def test_a_list_that_should_be_there_and_is_not_is_wrong(deps: Deps) -> None:
    """It was served lately, and the lake has other lists of then."""
    stories, note = told(deps, line("99", TIME))
    assert "no served list fits; the lake has answers since 2025-11-25" in note
    assert [story.things[0].condition for story in stories] == ["wrong"]
    (story,), _ = told(deps, "r999")
    assert [thing.kind for thing in story.wrong] == ["answer"]


def test_who_was_forgotten_has_no_lists_and_that_is_said(deps: Deps) -> None:
    """It is as it should be."""
    from shared import forgotten

    forgotten.remember(deps.objects, "99")
    stories, note = told(deps, line("99", TIME))
    assert "asked to be forgotten" in note
    assert stories[0].wrong == []


def test_two_lists_that_fit_are_two_stories(deps: Deps) -> None:
    """Nothing is hidden by choosing one."""
    deps.lake.fold(to_table([listed("15", TIME + 1_000_000, 300, "svd@m1")]), Fold(7, []))
    stories, note = told(deps, line("15", TIME))
    assert [story.things[0].facts["model"] for story in stories] == ["svd@m2", "svd@m1"]
    assert "2 lists fit" in note


def test_popular_movies_come_from_a_matrix_and_the_lake_after_it(deps: Deps) -> None:
    """No model made them; and those of the image from nothing that is stored."""
    rows = [listed("17", TIME, 300, "popular@x2+5"), listed("18", TIME, 301, "popular@none")]
    deps.lake.fold(to_table(rows), Fold(7, []))
    (story,), _ = told(deps, "r300")
    assert set(origins(story, story.things[0].name)) == {"matrices/x2", "lake/events@5", "lake/events@3"}
    assert story.wrong == []
    (story,), _ = told(deps, "r301")
    assert len(story.things) == 1


def test_a_list_that_landed_late_is_found_too(deps: Deps) -> None:
    """Days after; the first look is where it would be at once."""
    late = listed("17", TIME, 300, "svd@m2")
    late.ingested_at = TIME + 100 * HOUR
    deps.lake.fold(to_table([late]), Fold(7, []))
    (story,), _ = told(deps, line("17", TIME))
    assert story.things[0].facts["request_id"] == "r300"


def test_who_had_users_when(deps: Deps) -> None:
    """By the log of the service."""
    state = provenance(deps)._state(SERVICE).value
    assert state
    assert had_users(state, START - 1) == []
    assert had_users(state, TIME) == ["m2"]
    assert had_users(state, START + HOUR + 1) == ["m1", "m2"]
    assert had_users(state, START + 3 * HOUR) == ["m3"]


def test_a_damaged_bucket_is_told_of_and_raises_nothing(deps: Deps) -> None:
    """Every document of it, all at once."""
    for key in deps.objects.keys(""):
        if not key.startswith("lake/"):
            deps.objects.put(key, b"[]")
    (story,), _ = Provenance(deps.objects, deps.artifacts, deps.lake, 90, deps.now()).stories(Asked(request_id="r102"))
    assert {thing.name for thing in story.wrong} >= {"models/svd/m2", "channels/score-svd.json", "reports/svd/m2"}
