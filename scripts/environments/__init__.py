"""Takes a release of the matrix, or a candidate. Gives a virtualenv, installed from a lock with hashes and checked."""
