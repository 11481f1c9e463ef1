"""What Toloka's list of threads proves: pure."""
