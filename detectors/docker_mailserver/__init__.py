"""The detector for docker-mailserver: seen from the docker host, through compose files, the configuration volume and the docker command."""

from __future__ import annotations

from detectors.docker_mailserver.detector import DockerMailserverDetector

__all__ = ["DockerMailserverDetector"]
