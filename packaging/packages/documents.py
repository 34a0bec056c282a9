"""The papers inside the packages: change logs, copyright, bill of materials."""

from __future__ import annotations

import json
import re
import textwrap
import uuid
from collections.abc import Sequence
from datetime import datetime, timezone

import project
from vendored import Library

VENDOR = "usr/lib/conbool-tui/vendor"


def debian_changelog(now: int) -> str:
    """CHANGELOG.md in the form of deb-changelog(5); a version without a day gets ``now``."""
    entries = []
    for release in project.releases():
        when = release.day or datetime.fromtimestamp(now, timezone.utc)
        lines = [
            f"{project.NAME} ({release.version}) {'stable' if release.day else 'UNRELEASED'}; urgency=medium",
            "",
        ]
        for item in release.lines:
            lines += textwrap.wrap(
                item, 78, initial_indent="  * ", subsequent_indent="    ", break_long_words=False
            )
        lines += ["", f" -- {project.MAINTAINER}  {when.strftime('%a, %d %b %Y %H:%M:%S +0000')}", ""]
        entries.append("\n".join(lines))
    return "\n".join(entries)


def rpm_changelog(now: int) -> str:
    """CHANGELOG.md in the form of an rpm spec file."""
    entries = []
    for release in project.releases():
        when = release.day or datetime.fromtimestamp(now, timezone.utc)
        lines = [f"* {when.strftime('%a %b %d %Y')} {project.MAINTAINER} - {release.version}-1"]
        for item in release.lines:
            # A percent sign would begin a macro.
            lines += textwrap.wrap(
                item.replace("%", "%%"),
                78,
                initial_indent="- ",
                subsequent_indent="  ",
                break_long_words=False,
            )
        entries.append("\n".join(lines) + "\n")
    return "\n".join(entries)


def copyright_file(libraries: Sequence[Library]) -> str:
    """The machine-readable copyright file (Debian's copyright-format 1.0), with the whole text of every licence."""
    own = (project.ROOT / "LICENSE").read_text("utf-8")
    holder = re.search(r"^Copyright \(c\) (.+)$", own, re.MULTILINE)
    assert holder is not None
    parts = [
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n"
        f"Upstream-Name: {project.NAME}\n"
        f"Source: {project.HOMEPAGE}\n"
        "Comment: The libraries below vendor/ are shipped as published on PyPI; sbom.cdx.json beside this file has their"
        " versions and checksums.\n",
        _paragraph(["*"], [holder[1]], "Expat", own),
    ]
    for one in libraries:
        files = [
            f"{VENDOR}/{path}" + ("" if path.endswith(".py") else "/*") for path in (*one.paths, one.metadata)
        ]
        holders = [
            re.sub(r"^Copyright\s*(\(c\)\s*)?", "", line, flags=re.IGNORECASE) for line in one.copyrights
        ]
        parts.append(_paragraph(files, holders, one.debian, one.licence_text))
    return "\n".join(parts)


def _paragraph(files: Sequence[str], holders: Sequence[str], licence: str, text: str) -> str:
    lines = ["Files: " + "\n ".join(files), "Copyright: " + "\n ".join(holders), f"License: {licence}"]
    lines += [_in_paragraph(line.rstrip()) for line in text.strip().splitlines()]
    return "\n".join(lines) + "\n"


def _in_paragraph(line: str) -> str:
    # A dot after one blank stands for an empty line; text that begins with one is set in further.
    return f" {' ' if line.startswith('.') else ''}{line}" if line else " ."


def bill_of_materials(libraries: Sequence[Library], machine: str, now: int) -> str:
    """What is inside, as CycloneDX 1.5 JSON: each library with version, licence, package URL and the wheel's checksum."""
    own = f"pkg:generic/{project.NAME}@{project.version()}?arch={machine}"
    components = [
        {
            "type": "library",
            "bom-ref": one.purl,
            "name": one.name,
            "version": one.version,
            "description": one.summary,
            "licenses": [{"license": {"id": one.spdx}}],
            "hashes": [{"alg": "SHA-256", "content": one.sha256}],
            "purl": one.purl,
            "externalReferences": [{"type": "website", "url": one.homepage}] if one.homepage else [],
        }
        for one in libraries
    ]
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": uuid.uuid5(
            uuid.NAMESPACE_URL, " ".join([own, *(one.purl + one.sha256 for one in libraries)])
        ).urn,
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(now, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": {
                "type": "application",
                "bom-ref": own,
                "name": project.NAME,
                "version": project.version(),
                "licenses": [{"license": {"id": "MIT"}}],
                "purl": own,
            },
        },
        "components": components,
        "dependencies": [{"ref": own, "dependsOn": [one.purl for one in libraries]}],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
