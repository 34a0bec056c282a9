"""Does mail wait in the queue for a service of ours that is gone?"""

from __future__ import annotations

import posixpath

from conbool_tui.errors import ConboolError
from conbool_tui.facts import PostfixFacts
from conbool_tui.findings import Finding, Status
from conbool_tui.host import Host
from conbool_tui.queue_files import QUEUES, TRANSPORTS, filed_for

ID = "queue.filed"
_NAMED = 20


def waiting_mail(host: Host, postfix: PostfixFacts) -> list[Finding]:
    """A warning when messages are filed (access(5), FILTER) for a transport of ours that master.cf no longer has.

    An SMTP session that was open while a change was taken back can leave such mail; qmgr(8) would defer it until it bounces.
    """
    there = {service.name for service in postfix.services}
    gone = frozenset(name.encode() for name in TRANSPORTS if name not in there)
    folder = postfix.expanded.get("queue_directory", "")
    if not gone or not folder:
        return []
    try:
        for queue in QUEUES:
            # An account that cannot enter the queue would see an empty one.
            host.listdir(posixpath.join(folder, queue))
        found = [name for queue in QUEUES for name in filed_for(host, posixpath.join(folder, queue), gone)]
    except ConboolError as error:
        return [Finding(ID, Status.NOT_TESTED, f"The mail queue was not looked at: {error.what}", error.why)]
    if not found:
        return []
    many = f"{len(found)} messages wait" if len(found) > 1 else "1 message waits"
    more = f"\nand {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return [
        Finding(
            ID,
            Status.WARN,
            f"{many} in the queue for a mail service of conbool-tui that was taken back.",
            "\n".join(found[:_NAMED]) + more,
            f"Put what waits into the queue anew: postsuper -c {postfix.config_directory} -r ALL. It then goes the way "
            "that the present configuration says.",
        )
    ]
