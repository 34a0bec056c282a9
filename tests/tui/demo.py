"""The real program over the false session, for a terminal: ``python -m tests.tui.demo [seconds every slow
call takes]``.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Optional, cast

from conbool_tui.app import run_wizard
from conbool_tui.facts import HostFacts
from conbool_tui.plan import Plan
from conbool_tui.receipt import ChangeState, ProgressSink, Receipt
from tests.tui.fake import FakeSession, make_receipt, moment


class SlowSession(FakeSession):
    """Every slow call takes its time."""

    delay = 0.0

    def unfinished(self) -> Optional[Receipt]:
        return cast("Receipt", "no receipt") if "--fault" in sys.argv else None

    def detect(self, instance: Optional[str] = None) -> HostFacts:
        time.sleep(self.delay)
        return super().detect(instance)

    def apply(self, plan: Plan, progress: Optional[ProgressSink] = None) -> Receipt:
        if "--mark" in sys.argv:
            self.gate.clear()
            threading.Timer(3, self.gate.set).start()
        receipt = super().apply(plan, progress)
        if "--mark" in sys.argv:
            Path(sys.argv[sys.argv.index("--mark") + 1]).touch()
        return receipt


if __name__ == "__main__":
    if "--deaf" in sys.argv:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    SlowSession.delay = float(sys.argv[1]) if len(sys.argv) > 1 else 0.0
    session = SlowSession(elsewhere=("example.net",) if "--elsewhere" in sys.argv else ())
    if "--waiting" in sys.argv:
        waits = make_receipt("20250101-0000-zz", ChangeState.UNCONFIRMED)
        session.receipts.append(replace(waits, confirm_by=moment(time.time() + 3600)))
    try:
        sys.exit(run_wizard(session, ascii="--ascii" in sys.argv))
    except AttributeError as error:
        sys.exit(f"handed on: {type(error).__name__}")
