"""docker-mailserver as data: its compose file, its environment, its image's Postfix, and the script that puts ours on top. Pure."""
