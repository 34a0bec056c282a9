"""What an admin of docker-mailserver should know before applying, and the commands that put the settings in force."""

from __future__ import annotations

from conbool_tui.docker_mailserver import names
from conbool_tui.facts_docker_mailserver import DockerMailserverFacts
from conbool_tui.plan import Notice, Step


def commands(facts: DockerMailserverFacts) -> tuple[str, ...]:
    """How the settings come into force: in the running container, or with the next one."""
    if facts.running:
        script = f"{names.CONFIG_MOUNT}/{names.FOLDER}/{names.SCRIPT}"
        return (
            f"docker exec {facts.container} bash {script}",
            f"docker exec {facts.container} postfix reload",
        )
    return (recreate(facts),)


def recreate(facts: DockerMailserverFacts) -> str:
    """The command that makes a new container from the same files."""
    if not facts.compose_files:
        return f"docker rm --force {facts.container} and the `docker run` command that made it"
    files = " ".join(f"-f {path}" for path in facts.compose_files)
    return f"docker compose {files} up -d --force-recreate {facts.service}"


def notices(facts: DockerMailserverFacts, *, spared: bool) -> list[Notice]:
    """Limits and dangers that are docker's or docker-mailserver's own."""
    found = []
    if not facts.running:
        release = f"docker-mailserver {facts.version}" if facts.version else "the newest docker-mailserver"
        found.append(
            Notice(
                "warn",
                f"The container {'does not run' if facts.docker else 'cannot be asked from here'}: the plan is made for what {release} "
                f"sets up from these files. The settings come into force with a new container: {recreate(facts)}",
                Step.A,
            )
        )
    elif facts.in_force is False and facts.files_there:
        found.append(
            Notice(
                "warn",
                "The settings in the volume are not the ones in force in the running container: "
                + "; ".join(commands(facts)),
                Step.A,
            )
        )
    if facts.queue_kept is False:
        found.append(
            Notice(
                "warn",
                "The mail queue is not in a volume (/var/mail-state): a new container loses the mail that waits. Settings are put in force "
                "in the running one; empty the queue before you create another.",
                Step.A,
            )
        )
    if spared:
        found.append(
            Notice(
                "note",
                "The container's rspamd sees the rule for released mail at once when the folder rspamd/override.d was in the volume as the "
                "container was made, else once it is made anew.",
                Step.D,
            )
        )
    elif facts.environment.get("ENABLE_RSPAMD") == "1":
        found.append(
            Notice(
                "warn",
                "Without conbool_networks the container's rspamd still scores released mail: a header alone anybody can write.",
                Step.D,
            )
        )
    if facts.environment.get("PERMIT_DOCKER", "none") in ("network", "host", "connected-networks"):
        found.append(
            Notice(
                "warn",
                f"PERMIT_DOCKER={facts.environment['PERMIT_DOCKER']}: where docker hides the address of clients (its userland proxy, IPv6 without "
                "ip6tables), strangers look like the docker network, may relay and are believed. markers.trust: conbool believes "
                "Conbool's addresses only.",
                Step.B,
            )
        )
    return found
