"""What a file is, what a profile allows, and every reason to refuse it. No I/O: facts in, verdict out."""
