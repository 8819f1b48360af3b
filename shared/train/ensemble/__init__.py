"""Many runs of one shape as one program: each gives the numbers of a run of its own."""
