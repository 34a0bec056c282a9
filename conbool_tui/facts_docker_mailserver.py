"""What was found of a docker-mailserver installation, seen from the docker host. Plain data, no secrets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Optional

from conbool_tui.facts import FileText, PostfixFacts


@dataclass(frozen=True)
class DockerMailserverFacts:
    """One docker-mailserver container with its configuration volume.

    Attributes:
        service: the compose service, empty for a container that was started without compose.
        compose_files: its compose files.
        container: the container's name.
        image, version: the image reference, and the release when it is known.
        config: the configuration volume as a path of the host.
        user_patches: where its user-patches.sh is on the host; mostly in that volume, also when it is not there yet.
        mounts: all volumes, pairs of host path and path in the container.
        docker: the docker program can be used here.
        running: the container runs.
        in_force: this program's settings are in force in the running container, None when that cannot be told.
        environment: the settings that matter here, by name; never a secret.
        set_in: the file (for a compose file with its line) that sets each.
        credentials: names of the variables that hold credentials of a relay.
        env_file: the environment file that counts most, None when there is none.
        files: files a plan may change, by absolute path; one that is not there is left out.
        postfix: its Postfix without this program's part, as paths of the container.
        rendered: ``container`` when it was read there, ``documentation`` when it is what that release makes of these files.
        sieve: the container keeps mailboxes.
        sender_relays: senders with a relay host of their own in postfix-relaymap.cf.
        queue_kept: whether the mail queue outlives the container; None when that cannot be told.
    """

    service: str
    compose_files: tuple[str, ...]
    container: str
    image: str
    version: str
    config: str
    user_patches: str
    mounts: tuple[tuple[str, str], ...]
    docker: bool
    running: bool
    in_force: Optional[bool]
    environment: Mapping[str, str]
    set_in: Mapping[str, str]
    credentials: tuple[str, ...]
    env_file: Optional[str]
    files: Mapping[str, FileText]
    postfix: PostfixFacts
    rendered: str
    queue_kept: Optional[bool] = None
    sieve: bool = True
    sender_relays: tuple[str, ...] = ()
    warnings: tuple[str, ...] = field(default=())

    @property
    def files_there(self) -> bool:
        """Whether this program's folder is in the volume."""
        return any(path.startswith(f"{self.config}/conbool/") for path in self.files)

    @property
    def major(self) -> int:
        """The release's first number; 0 when it is not known."""
        digits = self.version.lstrip("v").partition(".")[0]
        return int(digits) if digits.isdigit() else 0
