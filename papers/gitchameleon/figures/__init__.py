"""Tables -> figures: a function per figure of paper.yaml; the same table gives the same pixels."""
