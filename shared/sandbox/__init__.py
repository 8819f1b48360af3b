"""A box for untrusted programs: no network, no files of others, limits on what they use; all they start is killed."""
