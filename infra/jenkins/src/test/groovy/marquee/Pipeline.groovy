package marquee

import com.lesfurets.jenkins.unit.BasePipelineTest

/** The Jenkinsfile, executed with everything outside of it played: shells, people, secrets, Slack. */
abstract class Pipeline extends BasePipelineTest {

    /** Every make target of a delivery, in order: infra/ci/stages.py. */
    static final List<String> TARGETS = System.getProperty('targets').split(',')

    /** What fails, as it is typed into a shell. */
    final Set<String> failing = []

    /** What `make due` says. */
    String models = 'old'

    /** Whether the person who is asked agrees. */
    boolean agreed = true

    final List<String> shells = []
    final Map<String, Set<String>> seen = [:]
    final List<String> agents = []
    final List<Map> slack = []
    final List<String> bound = []
    final Map<String, Object> env = [BRANCH_NAME: 'main', BUILD_TAG: 'jenkins-marquee-main-117',
                                     BUILD_URL: 'https://jenkins.example/117/']
    final Map<String, Object> params = [:]

    @Override
    void setUp() throws Exception {
        scriptRoots = ['../..']
        scriptExtension = ''
        super.setUp()
        binding.setVariable('env', env)
        binding.setVariable('params', params)
        startedBy('SCMTrigger')
        Map<String, Closure> played = [
            credentials: { String id -> bind(id, "secret of $id") },
            gitUsernamePassword: { Map told -> bind(told.credentialsId, 'GIT') },
            input: { Map told -> ask() },
            sh: { String command -> shell(command) },
            slackSend: { Map told -> slack << told },
            pipeline: { Closure said -> carryOut(said, delegate) },
        ]
        played.each { step, play -> helper.registerAllowedMethod(step, [play.parameterTypes[0]], play) }
        helper.registerAllowedMethod('sh', [Map]) { Map told -> shell(told.script); "$models\n".toString() }
        ['recordCoverage', 'stash', 'timeout'].each { helper.registerAllowedMethod(it, [Map], null) }
        ['cron', 'unstash'].each { helper.registerAllowedMethod(it, [String], null) }
        ['discoverGitReferenceBuild', 'skipStagesAfterUnstable', 'timestamps'].each { helper.registerAllowedMethod(it, [], null) }
        helper.registerAllowedMethod('script', [Closure], null)
    }

    void startedBy(String cause) {
        binding.setVariable('currentBuild', [result: 'SUCCESS', currentResult: 'SUCCESS', cause: cause])
    }

    void deliver() {
        runScript('Jenkinsfile')
    }

    /** Return targets as they are typed into a shell. */
    static List<String> made(List<String> targets) {
        targets.collect { "make $it".toString() }
    }

    /** Return all that is typed up to a target, with it. */
    static List<String> upTo(String last) {
        made(TARGETS[0..TARGETS.indexOf(last)])
    }

    /** Return the first argument of every call of a step. */
    List<Object> calls(String step) {
        helper.callStack.findAll { it.methodName == step }.collect { it.args[0] }
    }

    protected void carryOut(Closure said, Script script) {
        Section pipeline = new Section('pipeline', script, agents)
        Section.read(said, pipeline)
        pipeline.run()
    }

    protected void shell(String command) {
        shells << command
        seen[command] = new HashSet<>(env.keySet())
        if (command in failing) {
            throw new Stopped('FAILURE')
        }
    }

    protected void ask() {
        shells << 'a person'
        if (!agreed) {
            throw new Stopped('ABORTED')
        }
    }

    protected String bind(String id, String value) {
        bound << id
        value
    }

}
