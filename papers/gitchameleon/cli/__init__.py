"""The command lines: their options, their subcommands and what they print."""
