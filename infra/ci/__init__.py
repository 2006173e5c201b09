"""What is done with every commit, on Jenkins and by `make ci` on any machine: the same make targets, in one order."""
