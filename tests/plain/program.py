"""The real program, from its command line on, over the false session: ``python -m tests.plain.program [--gate FILE] [arguments]``.

With ``--gate FILE`` what is slow waits while that file is not there.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from pathlib import Path

from conbool_tui import cli, session
from conbool_tui.host import Host
from tests.tui.fake import FakeSession


def main(argv: list[str]) -> int:
    """Run it."""
    false = FakeSession(elsewhere=("example.net",) if "--elsewhere" in argv else ())
    if "--gate" in argv:
        gate = Path(argv.pop(argv.index("--gate") + 1))

        def watch() -> None:
            while True:
                (false.gate.set if gate.exists() else false.gate.clear)()
                time.sleep(0.05)

        threading.Thread(target=watch, daemon=True).start()
    if "--deaf" in argv:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    words = [word for word in argv if word not in ("--gate", "--elsewhere", "--deaf")]
    session.Session = lambda *given: false  # type: ignore[assignment,misc]
    Host.require_root = lambda self, doing: None  # type: ignore[method-assign]
    return cli.main(words)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
