package marquee

/** The conditions of a `when`, each asked when the stage is reached; all of them must hold. */
class Conditions {

    private final Script script
    private final List<Closure> asked = []

    Conditions(Script script) {
        this.script = script
    }

    void beforeAgent(boolean yes) {
        assert yes // an agent that does nothing is never waited for
    }

    void branch(String name) {
        asked << { script.env.BRANCH_NAME == name }
    }

    void triggeredBy(String cause) {
        asked << { script.currentBuild.cause == cause }
    }

    void expression(Closure said) {
        asked << said
    }

    void allOf(Closure said) {
        Section.read(said, this)
    }

    boolean hold() {
        asked.every { it() }
    }

}
