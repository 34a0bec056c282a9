"""Checks: what holds on the network and on disk, as findings. They change nothing and deliver no mail."""
