"""Exim's lists (specification, 6.21 "List construction")."""

from __future__ import annotations


def split_list(text: str) -> tuple[str, ...]:
    """The items of a list; a separator of its own (``<;``) counts, and a doubled separator is one that belongs to the item."""
    text = text.strip()
    separator = ":"
    if text.startswith("<") and len(text) > 1 and not text[1].isalnum():
        separator = text[1]
        text = text[2:]
        if separator == "\\" and text[:1] == "n":
            separator, text = "\n", text[1:]
    items: list[str] = []
    item = ""
    position = 0
    while position < len(text):
        letter = text[position]
        if letter != separator:
            item += letter
        elif text[position + 1 : position + 2] == separator:
            item += letter
            position += 1
        else:
            items.append(item.strip())
            item = ""
        position += 1
    items.append(item.strip())
    return tuple(one for one in items if one)


def join_list(items: tuple[str, ...]) -> str:
    """A list with semicolons between, so that IPv6 addresses need no doubling; empty for no item."""
    return "<; " + " ; ".join(items) if items else ""
