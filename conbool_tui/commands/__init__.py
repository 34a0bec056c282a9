"""The sub-commands of the command line, each a function from a context to an exit code."""
