package marquee

import com.lesfurets.jenkins.unit.declarative.DeclarativePipelineTest
import com.lesfurets.jenkins.unit.declarative.WhenDeclaration

/**
 * The Jenkinsfile, executed with everything outside of it played: shells, people, Slack.
 *
 * JenkinsPipelineUnit goes on within a stage that failed, where Jenkins ends it; no stage has two shells, so it shows nowhere.
 */
abstract class Pipeline extends DeclarativePipelineTest {

    /** Every make target of a delivery, in order: infra/ci/stages.py. */
    static final List<String> TARGETS = System.getProperty('targets').split(' ')

    /** What fails, as it is typed into a shell. */
    Set<String> failing = []

    /** What started the build. */
    String cause = 'SCMTrigger'

    /** What `make due` says. */
    String models = 'old'

    List<String> shells = []
    List<Map> slack = []
    List<String> asked = []
    List<String> bound = []

    @Override
    void setUp() throws Exception {
        scriptRoots = ['../..']
        scriptExtension = ''
        super.setUp()
        addEnvVar('BRANCH_NAME', 'main')
        addEnvVar('BUILD_TAG', 'jenkins-marquee-main-117')
        WhenDeclaration.metaClass.triggeredBy = { String name -> delegate.expression { cause == name } }
        helper.registerAllowedMethod('sh', [String], this.&shell)
        helper.registerAllowedMethod('sh', [Map], { Map told -> shell(told.script); "$models\n".toString() })
        helper.registerAllowedMethod('credentials', [String], { String id -> bound << id; "secret of $id".toString() })
        helper.registerAllowedMethod('gitUsernamePassword', [Map], { Map told -> bound << told.credentialsId; 'GIT' })
        helper.registerAllowedMethod('input', [Map], { Map told -> asked << told.message; shells << 'a person' })
        helper.registerAllowedMethod('slackSend', [Map], { Map told -> slack << told })
        helper.registerAllowedMethod('recordCoverage', [Map])
        helper.registerAllowedMethod('unstash', [String])
    }

    void deliver() {
        runScript('Jenkinsfile')
    }

    /** Return the targets up to one, with it, as shells. */
    static List<String> upTo(String last) {
        made(TARGETS[0..TARGETS.indexOf(last)])
    }

    static List<String> made(List<String> targets) {
        targets.collect { "make $it".toString() }
    }

    /** Return the arguments of all calls of a step. */
    List<Object> calls(String step) {
        helper.callStack.findAll { it.methodName == step }.collect { it.args[0] }
    }

    private void shell(String command) {
        shells << command
        if (command in failing) {
            updateBuildStatus('FAILURE')
        }
    }

}
