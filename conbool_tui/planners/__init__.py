"""Planners: facts and answers in, a plan out. Pure functions; nothing here touches the machine."""
