// Every night releases are rehearsed: good models, bad ones, attacks, accidents.
job('marquee-drill') {
    description('make drill, with its page')
    label('marquee')
    logRotator { numToKeep(60) }
    scm {
        git {
            remote {
                url("${REPOSITORY}")
                credentials('marquee-git')
            }
            branch('main')
        }
    }
    triggers { cron('H 1 * * *') }
    wrappers {
        timestamps()
        timeout { absolute(60) }
    }
    steps { shell('make drill') }
    publishers {
        archiveArtifacts {
            pattern('drill.html')
            allowEmpty(true)
        }
        slackNotifier {
            notifySuccess(true)
            notifyFailure(true)
            notifyRepeatedFailure(true)
            notifyAborted(true)
        }
    }
}
