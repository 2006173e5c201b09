package marquee

import static org.junit.jupiter.api.Assertions.assertEquals

import org.junit.jupiter.api.Test

/** The jobs' scripts run, and make these jobs. */
class JobsTest {

    static final String REPOSITORY = 'https://git.example/marquee.git'

    /** Each is made once, with its schedule and the make target that it runs. */
    @Test
    void theJobsAreThese() {
        assertEquals([], said('delivery', 'cron'))
        assertEquals(['Jenkinsfile'], said('delivery', 'scriptPath'))
        assertEquals(['H 4 */3 * *'], said('models', 'cron'))
        String told = 'BUCKET=$SITE_BUCKET S3_ENDPOINT=$SITE_S3_ENDPOINT KAFKA_BOOTSTRAP=$SITE_KAFKA_BOOTSTRAP'
        String account = 'KAFKA_SECURITY_PROTOCOL=SASL_SSL KAFKA_USERNAME=offer'
        assertEquals(["$told $account make models".toString()], said('models', 'shell'))
        assertEquals([['H 1 * * *'], ['make drill']], ['cron', 'shell'].collect { said('drill', it) })
    }

    /** The ages of models are those of tags: they come with the clone. */
    @Test
    void tagsAreCloned() {
        assertEquals([false], said('delivery', 'noTags'))
    }

    /** Slack hears how it ended, each time: a success, a failure also if the last one was, and what took too long. */
    @Test
    void slackIsTold() {
        ['models', 'drill'].each { job ->
            ['notifySuccess', 'notifyFailure', 'notifyRepeatedFailure', 'notifyAborted'].each { end ->
                assertEquals([true], said(job, end))
            }
        }
    }

    /** What hangs ends. */
    @Test
    void nothingRunsForEver() {
        assertEquals([[360], [60]], ['models', 'drill'].collect { said(it, 'absolute') })
    }

    /** Secrets are bound to variables, and stand in no shell. */
    @Test
    void secretsAreBound() {
        assertEquals(['AWS_ACCESS_KEY_ID', 'marquee-s3-key', 'AWS_SECRET_ACCESS_KEY', 'marquee-s3-secret',
                      'KAFKA_PASSWORD', 'marquee-kafka'], said('models', 'string'))
        assertEquals(['KAFKA_CA_FILE', 'marquee-kafka-ca', 'SIGNING_KEY_FILE', 'marquee-signing-key'],
            said('models', 'file'))
        assertEquals([], said('drill', 'string') + said('drill', 'file'))
    }

    /** All read the repository that the site names, as the one who may. */
    @Test
    void theRepositoryIsTheSites() {
        assertEquals([REPOSITORY], said('delivery', 'remote'))
        ['models', 'drill'].each { assertEquals([REPOSITORY], said(it, 'url')) }
    }

    private static List said(String job, String word) {
        Words words = new Words(intoBlocks: true)
        Script script = new GroovyShell(new Binding(REPOSITORY: REPOSITORY)).parse(new File("jobs/${job}.groovy"))
        script.metaClass.methodMissing = { String name, Object told -> words.methodMissing(name, told) }
        script.run()
        words.heard.findAll { it[0] == word }.collect { it[1] instanceof GString ? it[1].toString() : it[1] }
    }

}
