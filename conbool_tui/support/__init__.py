"""A bundle for those who help: what the program saw and did, without names, addresses and secrets."""
