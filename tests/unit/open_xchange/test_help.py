"""The guide suggests Sieve for loop protection; the step's help says why the mail server must do it."""

from __future__ import annotations

from screens.texts import topics


def test_the_help_of_the_loop_step() -> None:
    told = " ".join(" ".join(topics.TOPICS["loop"]).split())
    assert "A Sieve rule (mailfilter) cannot" in told
    assert "no say in which way mail leaves" in told
