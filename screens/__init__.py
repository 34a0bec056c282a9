"""The wizard's screens: they show facts, plans and findings and collect answers. All work is done by the
session, in threads.
"""
