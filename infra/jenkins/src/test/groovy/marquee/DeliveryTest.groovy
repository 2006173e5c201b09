package marquee

import static org.junit.jupiter.api.Assertions.assertEquals
import static org.junit.jupiter.api.Assertions.assertFalse
import static org.junit.jupiter.api.Assertions.assertTrue

import org.junit.jupiter.api.BeforeEach
import org.junit.jupiter.api.Test
import org.junit.jupiter.params.ParameterizedTest
import org.junit.jupiter.params.provider.MethodSource

/** What is done with a commit, and what Slack hears of it. */
class DeliveryTest extends Pipeline {

    static final List<String> UNIT = TARGETS.findAll { it.startsWith('test-') }

    static final List<String> SECRETS = [
        'marquee-git', 'marquee-kafka', 'marquee-kafka-ca', 'marquee-registry', 'marquee-s3-key', 'marquee-s3-secret',
        'marquee-signing-key',
    ]

    static List<String> targets() {
        TARGETS
    }

    @Override
    @BeforeEach
    void setUp() throws Exception {
        super.setUp()
    }

    /** From the tests to a watched rollout and its report, without anybody asked. */
    @Test
    void aCommitOnMainIsDelivered() {
        deliver()
        assertEquals(made(TARGETS), shells)
        assertEquals(['good'], slack*.color)
        assertEquals(['jenkins-marquee-main-117: users have it. https://jenkins.example/117/'], slack*.message*.toString())
        assertJobStatusSuccess()
    }

    /** Nothing is trained, pushed or released for it, and no secret is bound. */
    @Test
    void aCommitElsewhereIsTested() {
        env.BRANCH_NAME = 'an-idea'
        deliver()
        assertEquals(upTo('integration'), shells)
        assertEquals([], bound)
        assertEquals([], slack)
    }

    /** At night the age of the models is asked first, and nothing else is done if they are fresh. */
    @Test
    void freshModelsAreLeftAlone() {
        startedBy('TimerTrigger')
        models = 'fresh'
        deliver()
        assertEquals(['make --silent due'], shells)
        assertEquals([], slack)
        assertJobStatusSuccess()
    }

    /** Old ones are trained anew, and go the whole way. */
    @Test
    void oldModelsAreReplaced() {
        startedBy('TimerTrigger')
        deliver()
        assertEquals(['make --silent due'] + made(TARGETS), shells)
    }

    /** If their age cannot be known, nothing is guessed. */
    @Test
    void anUnknownAgeEndsTheBuild() {
        startedBy('TimerTrigger')
        failing << 'make --silent due'
        deliver()
        assertEquals(['make --silent due'], shells)
        assertEquals(['danger'], slack*.color)
    }

    /** Whatever fails is the last that is done, but for what runs beside it; Slack hears of it. */
    @ParameterizedTest
    @MethodSource('targets')
    void nothingFollowsAFailure(String target) {
        failing << "make $target".toString()
        deliver()
        assertEquals(upTo(target in UNIT ? UNIT.last() : target), shells)
        assertEquals(['danger'], slack*.color)
        assertJobStatusFailure()
    }

    /** A failed test does not keep the reports of the others from being read. */
    @Test
    void everyPartReportsItsTests() {
        failing << "make ${UNIT.first()}".toString()
        deliver()
        assertEquals(UNIT.collect { "build/junit/${it - 'test-'}.xml".toString() }, calls('junit'))
    }

    /** Coverage is recorded with gates, in the form that coverage.py writes. */
    @Test
    void coverageHasAGate() {
        deliver()
        Map told = calls('recordCoverage')[0]
        assertEquals([[parser: 'COBERTURA', pattern: 'build/coverage.xml']], told.tools)
        assertTrue(told.qualityGates.any { it.baseline == 'PROJECT' && it.threshold == 90.0 && it.criticality == 'FAILURE' })
    }

    /** Which lines were modified is known beside the build that they are compared with, which is looked for before. */
    @Test
    void modifiedLinesHaveAReference() {
        deliver()
        assertTrue(calls('recordCoverage')[0].qualityGates.any { it.baseline == 'MODIFIED_LINES' })
        List<String> steps = helper.callStack*.methodName
        assertTrue(steps.indexOf('discoverGitReferenceBuild') in 0..<steps.indexOf('recordCoverage'))
    }

    /** What hangs ends, but for the release, which has an end of its own; what waits for a person, too. */
    @Test
    void nothingRunsForEver() {
        params.APPROVE = true
        deliver()
        assertEquals([6, 2, 12], calls('timeout')*.time)
        assertEquals(['HOURS'], calls('timeout')*.unit.unique())
    }

    /** A rejected model is told of as such, and no image is built. */
    @Test
    void aRejectedModelIsNotReleased() {
        failing << 'make gate'
        deliver()
        assertFalse('make images' in shells)
        assertTrue(slack[0].message.contains('the offline gate let no new model pass'))
    }

    /** A canary that was rolled back is told of as such. */
    @Test
    void aRolledBackCanaryIsTold() {
        failing << 'make rollout'
        deliver()
        assertFalse('make online-report' in shells)
        assertTrue(slack[0].message.contains('users were not moved, or were moved back'))
    }

    /** If the models could not be offered, the code is with the users all the same, and that is told. */
    @Test
    void modelsThatAreNotOfferedAreTold() {
        failing << 'make offer'
        deliver()
        assertTrue('make rollout' in shells)
        assertTrue(slack[0].message.contains('users have the code, and were offered no model'))
    }

    /** A person is asked only if the build's parameter says so: after the images, before the users. */
    @Test
    void aPersonMayHaveToAgree() {
        params.APPROVE = true
        deliver()
        assertEquals(upTo('images') + ['a person'] + (made(TARGETS) - upTo('images')), shells)
    }

    /** Who says no keeps the users where they are. */
    @Test
    void aPersonMayDisagree() {
        params.APPROVE = true
        agreed = false
        deliver()
        assertEquals(upTo('images') + ['a person'], shells)
        assertTrue(slack[0].message.contains('ABORTED'))
        assertEquals(['danger'], slack*.color)
    }

    /** Only main is built by the clock. */
    @Test
    void onlyMainHasASchedule() {
        deliver()
        assertEquals(['H 3 * * *'], calls('cron'))
        env.BRANCH_NAME = 'an-idea'
        deliver()
        assertEquals(['H 3 * * *', ''], calls('cron'))
    }

    /** What is bound is in no argument of any step. */
    @Test
    void secretsAreBoundAndNeverWritten() {
        deliver()
        assertEquals(SECRETS, bound.unique().sort())
        assertFalse(helper.callStack.join(' ').contains('secret of'))
    }

    /**
     * Tests see no secret and no store; who trains and who releases sees that of the bucket, who builds images that of
     * the registry, and who offers models vouches for them and tells of them.
     */
    @Test
    void secretsAreSeenWhereTheyAreNeeded() {
        deliver()
        List<String> trained = TARGETS[TARGETS.indexOf('fetch')..TARGETS.indexOf('gate')]
        List<String> released = TARGETS[TARGETS.indexOf('rollout')..-1]
        assertEquals(made(trained + released), shells.findAll { 'AWS_SECRET_ACCESS_KEY' in seen[it] })
        assertEquals(made(trained + released), shells.findAll { 'BUCKET' in seen[it] })
        ['SIGNING_KEY_FILE', 'KAFKA_PASSWORD'].each { secret ->
            assertEquals(['make offer'], shells.findAll { secret in seen[it] })
        }
        assertEquals(['make images'], shells.findAll { 'REGISTRY_AUTH_FILE' in seen[it] })
    }

    /** Only who releases runs where users can be moved, and images are built apart. */
    @Test
    void agentsAreApart() {
        deliver()
        assertEquals(['marquee', 'marquee-images', 'marquee-release'], agents)
    }

}
