"""Every name and place of this program's part in a docker-mailserver configuration volume, and the places docker-mailserver itself fixes."""

from __future__ import annotations

SYSTEM = "docker-mailserver"
"""Name of the mail system in ``--mail-system``, plans and the journal."""

CONFIG_MOUNT = "/tmp/docker-mailserver"
"""Where every image mounts the configuration volume."""

FOLDER = "conbool"
"""Our folder in the configuration volume."""

PARAMETERS = "postfix-main.cf"
"""In our folder: the parameters, one ``name = value`` a line as in docker-mailserver's own postfix-main.cf."""

OPTIONS = "postfix-master.cf"
"""In our folder: ``service/type/option=value`` lines as in docker-mailserver's own postfix-master.cf (postconf(1), -P)."""

SERVICES = "services.cf"
"""In our folder: services that ``postconf -P`` cannot add, as entries of master.cf."""

TABLES = "tables"
"""In our folder: the lookup tables."""

ASSUMED = "planned-for"
"""In our folder: docker-mailserver's own values of the parameters that are set as a whole, as they were when the plan was made."""

SIEVE = "spam.sieve"
"""In our folder: the script for the mailboxes."""

SCRIPT = "apply.sh"
"""In our folder: the script that user-patches.sh runs when the container starts."""

USER_PATCHES = "user-patches.sh"
RSPAMD = "rspamd/override.d/settings.conf"
"""In the configuration volume: settings of the container's rspamd; docker-mailserver shows the folder to it when the container is made."""

BLOCK = "conbool"
"""Id of our block in user-patches.sh and in an environment file."""

BASE = "@BASE@"
"""Stands in a parameter's value for the value that docker-mailserver itself gives it in this container."""

POSTFIX = "/etc/postfix"
IMAGES = ("docker-mailserver/docker-mailserver", "mailserver/docker-mailserver", "tvial/docker-mailserver")
COMPOSE_FILES = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
OVERRIDES = (
    "compose.override.yaml",
    "compose.override.yml",
    "docker-compose.override.yaml",
    "docker-compose.override.yml",
)


def is_image(image: str) -> bool:
    """True for an image reference of docker-mailserver, whatever its registry, tag or digest."""
    name = image.partition("@")[0]
    path, _, last = name.rpartition("/")
    name = f"{path}/{last.partition(':')[0]}" if path else last.partition(":")[0]
    return any(name == known or name.endswith("/" + known) for known in IMAGES)


def tag_of(image: str) -> str:
    """The tag of an image reference, empty when it has none."""
    return image.partition("@")[0].rpartition("/")[2].partition(":")[2]
