// "Build periodically": models alone, where nobody commits. It and the pipeline's own schedule look at the same age, so
// whoever comes second finds nothing to do.
job('marquee-models') {
    description('Trains, registers and judges models whenever the registered ones are old')
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
    triggers { cron('H 4 */3 * *') }
    wrappers {
        timestamps()
        credentialsBinding {
            string('AWS_ACCESS_KEY_ID', 'marquee-s3-key')
            string('AWS_SECRET_ACCESS_KEY', 'marquee-s3-secret')
        }
    }
    steps { shell('BUCKET=$SITE_BUCKET S3_ENDPOINT=$SITE_S3_ENDPOINT make models') }
    configure { // job-dsl has no word for the binding of git's password
        it / buildWrappers / 'org.jenkinsci.plugins.credentialsbinding.impl.SecretBuildWrapper' / bindings <<
            'jenkins.plugins.git.GitUsernamePasswordBinding' {
                credentialsId('marquee-git')
                gitToolName('Default')
            }
    }
    publishers {
        slackNotifier {
            notifyFailure(true)
            notifyBackToNormal(true)
        }
    }
}
