"""Our rules in the host's packet filter: what they say, and one driver for each owner of the rule set."""
