package marquee

/**
 * Hears every word of a script and what is said with it, and if it is told to, listens into its blocks.
 *
 * Not into those of `configure`, where XML is written.
 */
class Words {

    boolean intoBlocks = false
    final List<List> heard = []

    Object methodMissing(String name, Object told) {
        told.each { each ->
            if (intoBlocks && each instanceof Closure && name != 'configure') {
                Section.read(each, this)
            } else {
                heard << [name, each]
            }
        }
        this
    }

}
