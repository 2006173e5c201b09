// "Build periodically": models alone, where nobody commits. It and the pipeline's own schedule look at the same age, so
// whoever comes second finds nothing to do.
job('marquee-models') {
    description('Trains, registers, judges and offers models whenever the registered ones are old')
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
        timeout { absolute(360) }
        credentialsBinding {
            string('AWS_ACCESS_KEY_ID', 'marquee-s3-key')
            string('AWS_SECRET_ACCESS_KEY', 'marquee-s3-secret')
            string('KAFKA_PASSWORD', 'marquee-kafka')
            file('KAFKA_CA_FILE', 'marquee-kafka-ca')
            file('SIGNING_KEY_FILE', 'marquee-signing-key')
        }
    }
    steps {
        shell([
            'BUCKET=$SITE_BUCKET S3_ENDPOINT=$SITE_S3_ENDPOINT KAFKA_BOOTSTRAP=$SITE_KAFKA_BOOTSTRAP',
            'KAFKA_SECURITY_PROTOCOL=SASL_SSL KAFKA_USERNAME=offer make models',
        ].join(' '))
    }
    configure { // job-dsl has no word for the binding of git's password
        it / buildWrappers / 'org.jenkinsci.plugins.credentialsbinding.impl.SecretBuildWrapper' / bindings <<
            'jenkins.plugins.git.GitUsernamePasswordBinding' {
                credentialsId('marquee-git')
                gitToolName('Default')
            }
    }
    publishers {
        slackNotifier {
            notifySuccess(true)
            notifyFailure(true)
            notifyRepeatedFailure(true)
            notifyAborted(true)
        }
    }
}
