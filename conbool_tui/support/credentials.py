"""Take passwords and keys out of a text, wherever a setting, a table or a URL shows them. When in doubt something is taken out."""

from __future__ import annotations

import re
from typing import Optional

_SECRET_WORD = r"passw(?:or)?d|passphrase|secret|token|api[_-]?key|credential"
_KEY_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----.*?(?:-----END \1-----|\Z)", re.DOTALL)
_URL_LOGIN = re.compile(r"(?<=://)[^/\s@:]+:[^/\s@]+(?=@)")
_NAMED_SECRET = re.compile(
    rf"""(?ix) \b ([\w.-]*(?:{_SECRET_WORD})[\w.-]* | \w+_pw | \w+_pass) (["']?\s*[:=]\s*["']?) ([^\s"',;]+)"""
)
# The name of a table or a file with passwords is what a reader needs, and says nothing.
_NAME_OF_FILE = re.compile(r"(?i)\S*(?:_maps?|_file)[\"']?\s*[:=]\s*[\"']?(?:\w+:)?[/$]")
_TABLE = re.compile(r"\b(static|inline):")
_STATIC_LOGIN = re.compile(r"[^\s{}:,\"']*:[^\s{},\"']*")
# An entry of an inline table whose beginning is on another line: { [smart.example]:587 = user:password }
_ENTRY = re.compile(r"(\{\s*[^\s{}]+\s*=\s*)[^\s{}:]+:[^{}]*(\})")
_PASSWORD_SETTING = re.compile(r"(?i)(?:password|passwd|passphrase|secret|token|_pw|_pass)$")


def hide_credentials(text: str) -> str:
    """The text with ``(secret)`` or ``(login)`` for every password, login and private key that can be told as such."""
    text = _KEY_BLOCK.sub(r"(\1 taken out)", text)
    text = _URL_LOGIN.sub("(login)", text)
    text = _ENTRY.sub(r"\1(login) \2", _tables(text))
    return hide_assignments(text)


def hide_assignments(text: str) -> str:
    """Only what is assigned to a name that says password, as in postconf(1)'s warning about an unused parameter."""
    return _NAMED_SECRET.sub(_named, text)


def is_password(name: str, value: str) -> bool:
    """Whether a setting's value is or holds a password; the name of a file with passwords is none."""
    if "password" in name and any(kind in value for kind in ("static:", "inline:")):
        return True
    return bool(value) and _PASSWORD_SETTING.search(name) is not None


def _named(match: re.Match[str]) -> str:
    if _NAME_OF_FILE.match(match.group(0)):
        return match.group(0)
    return f"{match.group(1)}{match.group(2)}(secret)"


def _tables(text: str) -> str:
    """Take out the login of ``static:user:password``, and the whole of an ``inline:{...}`` in which there may be one."""
    parts, begin = [], 0
    for match in _TABLE.finditer(text):
        if match.start() < begin:
            continue
        start = match.end()
        end = _closed(text, start)
        if end is None:
            login = _STATIC_LOGIN.match(text, start)
            if login is not None:
                parts += [text[begin:start], "(login)"]
                begin = login.end()
        elif ":" in text[start:end]:
            parts += [text[begin:start], "{(login)}"]
            begin = end
    return "".join([*parts, text[begin:]])


def _closed(text: str, begin: int) -> Optional[int]:
    """Where the brace that opens at ``begin`` is closed, or the end of the line; None when none opens there."""
    if text[begin : begin + 1] != "{":
        return None
    depth = 0
    for place in range(begin, len(text)):
        depth += {"{": 1, "}": -1}.get(text[place], 0)
        if depth == 0:
            return place + 1
    line_end = text.find("\n", begin)
    return len(text) if line_end < 0 else line_end
