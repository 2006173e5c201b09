// Every commit to main is delivered, and every other branch tested, as the Jenkinsfile at the top says.
multibranchPipelineJob('marquee') {
    description('From a commit to its users: Jenkinsfile')
    branchSources {
        branchSource {
            source {
                git {
                    id('marquee')
                    remote("${REPOSITORY}")
                    credentialsId('marquee-git')
                    traits {
                        gitBranchDiscovery()
                        cloneOption {
                            extension {
                                shallow(false)
                                noTags(false) // the age of the models is that of their tags
                                reference(null)
                                timeout(10)
                            }
                        }
                        pruneStaleBranch()
                    }
                }
            }
        }
    }
    factory {
        workflowBranchProjectFactory { scriptPath('Jenkinsfile') }
    }
    triggers {
        periodicFolderTrigger { interval('2m') } // where no webhook reaches Jenkins
    }
    orphanedItemStrategy {
        discardOldItems { daysToKeep(14) }
    }
}
