"""Tables -> figures; the same table gives the same pixels."""
