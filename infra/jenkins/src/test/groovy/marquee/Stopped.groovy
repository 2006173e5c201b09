package marquee

/** What ends a stage: a step that fails, or a person who says no. */
class Stopped extends RuntimeException {

    final String result

    Stopped(String result) {
        super(result)
        this.result = result
    }

}
