package marquee

/**
 * A declarative pipeline or a stage of it, carried out as Jenkins does.
 *
 * A stage ends with the first step that fails. What follows a failed stage is skipped, what runs beside it is not, and
 * `post` is told how it ended. What is bound for a stage is gone after it. A word that is not known here is an error.
 */
class Section {

    private static final Set<String> ENDS = ['always', 'success', 'failure', 'unsuccessful', 'aborted']

    /** How a build goes on from bad to worse. */
    private static final List<String> RESULTS = ['SUCCESS', 'ABORTED', 'FAILURE']

    final String name
    final List<String> agents

    private final Script script
    private final List<Section> parts = []
    private final Map<String, Closure> ends = [:]
    private final Conditions conditions
    private boolean together = false
    private String where
    private Closure bound
    private Closure work

    Section(String name, Script script, List<String> agents) {
        this.name = name
        this.script = script
        this.agents = agents
        conditions = new Conditions(script)
    }

    /** Let what a block says be heard by somebody, and if they do not know it, by the script. */
    static void read(Closure said, Object listener) {
        said.delegate = listener
        said.resolveStrategy = Closure.DELEGATE_FIRST
        said()
    }

    String getNone() {
        null
    }

    void agent(String label) {
        where = label
    }

    void agent(Closure said) {
        read(said, this)
    }

    void label(String name) {
        where = name
    }

    void options(Closure said) {
        onScript(said)
    }

    void triggers(Closure said) {
        onScript(said)
    }

    void parameters(Closure said) {
        read(said, this)
    }

    void booleanParam(Map told) {
        script.params.putIfAbsent(told.name, told.defaultValue)
    }

    void stages(Closure said) {
        read(said, this)
    }

    void parallel(Closure said) {
        together = true
        read(said, this)
    }

    void stage(String name, Closure said) {
        Section part = new Section(name, script, agents)
        read(said, part)
        parts << part
    }

    void when(Closure said) {
        read(said, conditions)
    }

    void environment(Closure said) {
        bound = said
    }

    void steps(Closure said) {
        work = said
    }

    void post(Closure said) {
        Words words = new Words()
        read(said, words)
        words.heard.each { name, block -> ends[name] = block }
        assert ENDS.containsAll(ends.keySet())
    }

    /** Carry it out, and return how it ended; what its conditions keep out ends well. */
    String run() {
        if (!conditions.hold()) {
            return 'SUCCESS'
        }
        if (where) {
            agents << where
        }
        Map names = [env: script.env] // a map that listens answers for every name
        if (bound) {
            read(bound, names)
        }
        names.remove('env')
        script.env.putAll(names)
        String result = attempt()
        script.currentBuild.result = worse(script.currentBuild.result, result)
        script.currentBuild.currentResult = script.currentBuild.result
        finish(result)
        script.env.keySet().removeAll(names.keySet())
        result
    }

    private String attempt() {
        if (together) {
            return parts*.run().inject('SUCCESS') { result, each -> worse(result, each) }
        }
        try {
            if (work) {
                onScript(work)
            }
        } catch (Stopped stopped) {
            return stopped.result
        }
        parts.inject('SUCCESS') { result, part -> result == 'SUCCESS' ? part.run() : result }
    }

    private void finish(String result) {
        List<String> told = ['always', [SUCCESS: 'success', FAILURE: 'failure', ABORTED: 'aborted'][result]]
        if (result != 'SUCCESS') {
            told << 'unsuccessful'
        }
        told.findAll { it in ends }.each { onScript(ends[it]) }
    }

    private void onScript(Closure said) {
        said.rehydrate(script, script, script).call()
    }

    private static String worse(String one, String other) {
        [one, other].max { RESULTS.indexOf(it) }
    }

}
