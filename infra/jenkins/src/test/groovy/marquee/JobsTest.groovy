package marquee

import static org.junit.jupiter.api.Assertions.assertEquals

import org.junit.jupiter.api.Test

/** The jobs' scripts run, and make these jobs. */
class JobsTest {

    /** Each is made once, with its schedule and the make target that it runs. */
    @Test
    void theJobsAreThese() {
        assertEquals([], said('delivery', 'cron'))
        assertEquals(['Jenkinsfile'], said('delivery', 'scriptPath'))
        assertEquals([['H 4 */3 * *'], ['make models']], ['cron', 'shell'].collect { said('models', it) })
        assertEquals([['H 1 * * *'], ['make drill']], ['cron', 'shell'].collect { said('drill', it) })
    }

    /** The ages of models are those of tags: they come with the clone. */
    @Test
    void tagsAreCloned() {
        assertEquals([false], said('delivery', 'noTags'))
    }

    /** All read the repository that the site names, as the one who may. */
    @Test
    void theRepositoryIsTheSites() {
        assertEquals(['https://git.example/marquee.git'], said('delivery', 'remote').findAll { it instanceof String }*.toString())
        ['models', 'drill'].each { assertEquals(['https://git.example/marquee.git'], said(it, 'url')*.toString()) }
    }

    private static List said(String job, String word) {
        Words words = new Words()
        Binding binding = new Binding(REPOSITORY: 'https://git.example/marquee.git')
        Script script = new GroovyShell(binding).parse(new File("jobs/${job}.groovy"))
        Closure run = { script.run() }
        script.metaClass.methodMissing = { String name, Object told -> words.hear(name, told as List) }
        run()
        words.heard.findAll { it[0] == word }.collect { it[1] }
    }

    /** Hears every word of a script, and listens into its blocks. */
    static class Words {

        List<List> heard = []

        Object methodMissing(String name, Object told) {
            hear(name, told as List)
        }

        Object hear(String name, List told) {
            told.each { each ->
                if (each instanceof Closure) {
                    each.delegate = this
                    each.resolveStrategy = Closure.DELEGATE_FIRST
                    each.call()
                } else {
                    heard << [name, each]
                }
            }
            this
        }

    }

}
