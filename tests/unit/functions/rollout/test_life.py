"""Whatever happens to a service, in whatever order, some things never do."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from functions.rollout import core
from functions.rollout.plan import plan
from shared.errors import BadInput
from shared.ports import Made
from shared.rollout import State
from tests import fakes
from tests.unit.functions.rollout.world import SERVICE, decided

SECOND = 1_000_000
RULES = core.Rules((5, 25, 50), 10 * SECOND, 30 * SECOND, 20 * SECOND, 100 * SECOND)

MODELS = st.integers(1, 6).flatmap(lambda lake: st.tuples(st.sampled_from([f"m{lake}", f"m{lake}b"]), st.just(lake)))


class Life(RuleBasedStateMachine):
    """Events, decisions, looks and orders at random; the traffic follows by whatever the plan says next."""

    @initialize()
    def begin(self) -> None:
        self.state = State(service=SERVICE)
        self.revisions = fakes.MemoryRevisions(SERVICE)
        self.now = 10_000 * SECOND
        self.gone: set[str] = set()
        self.by_hand = False

    def become(self, after: State, entitled: str | None = None) -> None:
        """Take the state after a step, and claim what must be true of every step."""
        before, self.state = self.state, after
        news = after.log[-(after.number - before.number) :] if after.number > before.number else ()
        assert [change.number for change in news] == list(range(before.number + 1, after.number + 1))
        for change in news:
            if change.what == "promoted":
                assert change.model_version == entitled or before.stable is None
                assert after.stable.revision not in self.gone
            if change.what in {"canary", "deploying"}:
                assert after.canary.release.revision not in self.gone
            if change.what == "rolled_back":
                self.gone.add((before.canary.release if before.canary else before.stable).revision)
        if before.stable and after.stable and entitled != "person":
            assert after.stable.lake_version >= before.stable.lake_version

    @rule(model=MODELS)
    def accept(self, model: tuple[str, int]) -> None:
        after = core.accept(self.state, *model, self.now)
        self.become(after)
        assert core.accept(after, *model, self.now + SECOND) == after

    @rule(is_ready=st.sampled_from([True, True, None, False]))
    def observe(self, is_ready: bool | None) -> None:
        before = self.state.canary and self.state.canary.release.model_version
        self.become(core.observe(self.state, is_ready, "?", self.now, RULES), before if is_ready else None)

    @precondition(lambda self: self.state.canary)
    @rule(
        number=st.integers(0, 30),
        verdict=st.sampled_from(["promote", "hold", "hold", "roll_back"]),
        is_safe=st.booleans(),
        about=st.sampled_from(["canary", "stable", "m1"]),
    )
    def judge(self, number: int, verdict: str, is_safe: bool, about: str) -> None:
        releases = {"canary": self.state.canary and self.state.canary.release, "stable": self.state.stable}
        found = releases.get(about)
        version = found.model_version if found else about
        decision = decided(version, number, verdict, is_safe)  # type: ignore[arg-type]
        after = core.judge(self.state, decision, "e", self.now, RULES)
        self.become(after, version if verdict == "promote" and is_safe else None)
        assert core.judge(after, decision, "e", self.now, RULES) == after

    @rule(command=st.sampled_from(["promote", "rollback", "pause", "resume"]))
    def order(self, command: core.Command) -> None:
        canary, stable, previous = self.state.canary, self.state.stable, self.state.previous
        about = canary.release if canary else stable
        try:
            after = core.order(self.state, command, "ann", "because", self.now, about and about.revision)
        except BadInput:
            assert not canary or canary.phase == "deploying" or command != "promote"
            assert command != "rollback" or not (canary or previous)
            return
        if command == "rollback":
            assert after.stable == (stable if canary else previous)
            self.state = after
            self.gone.add((canary.release if canary else stable).revision)  # type: ignore[union-attr]
        else:
            self.become(after, canary and canary.release.model_version)

    @rule(image=st.sampled_from(["image-1", "image-2"]))
    def release(self, image: str) -> None:
        """Other code for the stable model, which may have failed as a model before."""
        try:
            after = core.release(self.state, image, "ann", "because", self.now)
        except BadInput:
            assert self.state.canary or not self.state.stable or self.state.stable.image == image
            return
        assert after.canary.release.image == image
        self.gone.discard(after.canary.release.revision)
        self.become(after)

    @rule(percent=st.integers(0, 100), name=st.sampled_from(["canary", "previous", "another"]))
    def change_by_hand(self, percent: int, name: str) -> None:
        """Whatever a person asks for, in the end the traffic is as the state says."""
        canary, stable, previous = self.state.canary, self.state.stable, self.state.previous
        if stable is None:
            return
        other = {"canary": canary and canary.release, "previous": previous}.get(name)
        revision = other.revision if other else "another"
        users = {stable.revision: 100 - percent, revision: percent} if revision != stable.revision else {revision: 100}
        users = {each: share for each, share in users.items() if share}
        after = core.adopt(self.state, users, "kubectl", self.now)
        is_order = name == "canary" and canary and canary.phase != "deploying"
        assert after.users == (users if is_order or after.stable != stable else self.state.users)
        assert core.adopt(after, users, "kubectl", self.now) == after
        self.by_hand |= users.keys() == after.users.keys()
        if after.stable == previous:
            self.gone.add(stable.revision)
        self.become(after, "person" if after.stable == previous else after.model_version)

    @rule(seconds=st.sampled_from([1, 11, 31, 101, -50]))
    def wait(self, seconds: int) -> None:
        self.now += seconds * SECOND

    @rule(is_ready=st.sampled_from([True, None, False]))
    def processes(self, is_ready: bool | None) -> None:
        """The canary's processes do as they like."""
        if self.state.canary:
            self.revisions.ready[self.state.canary.release.revision] = is_ready

    @rule()
    def converge(self) -> None:
        """Take a step towards what the state says. That the shares are whole is checked by who takes them."""
        deployed = self.revisions.deployed(SERVICE)
        step = plan(self.state, deployed)
        if step and step.made:
            made = Made(step.made.revision, step.made.model_version, step.made.image)
            self.revisions.deploy(SERVICE, made, step.shares, deployed.version)
        elif step:
            self.revisions.shift(SERVICE, step.shares, deployed.version)

    @invariant()
    def a_share_is_a_share(self) -> None:
        percents = [period.percent for period in self.state.canary.periods] if self.state.canary else []
        assert all(0 <= percent <= 100 for percent in percents)
        assert self.by_hand or percents[1:] == [percent for percent in RULES.steps if percent in percents]
        times = [period.since for period in self.state.canary.periods] if self.state.canary else []
        assert times == sorted(times)

    @invariant()
    def every_revision_has_one_place(self) -> None:
        """There is one canary at most, and no revision is in two places."""
        state = self.state
        found = [state.stable, state.previous, state.waiting, state.canary and state.canary.release]
        names = [each.revision for each in found if each]
        assert len(names) == len(set(names))
        assert state.model_version == (state.stable.model_version if state.stable else None)
        assert not state.contradiction
        assert sum(state.users.values()) == (100 if state.stable else 0)

    @invariant()
    def no_model_with_a_verdict_against_it_stands(self) -> None:
        state = self.state
        found = [state.stable, state.waiting, state.canary and state.canary.release]
        assert not self.gone & {each.revision for each in found if each}

    def teardown(self) -> None:
        """When all is ready, the users are where the state says, a few steps later."""
        if not hasattr(self, "state"):
            return
        self.revisions.ready.clear()
        for _ in range(4):
            self.converge()
        deployed = self.revisions.deployed(SERVICE)
        assert plan(self.state, deployed) is None
        canary, stable = self.state.canary, self.state.stable
        wanted = {stable.revision if stable else self.revisions.first.revision: 100 - (canary.percent if canary else 0)}
        if canary and canary.percent:
            wanted[canary.release.revision] = canary.percent
        assert {share.revision: share.percent for share in self.revisions.routed if share.percent} == wanted


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=60, stateful_step_count=30)
