"""GitChameleon 2.0: code generation against version incompatibilities, executed for real."""
