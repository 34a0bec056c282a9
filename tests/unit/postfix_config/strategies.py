"""Texts that look enough like Postfix configuration to reach its odd corners."""

from __future__ import annotations

from hypothesis import strategies as st

NAMES = ("relayhost", "mynetworks", "myhostname", "conbool_inbound")

_MAIN_PIECES = (
    *(name.encode() for name in NAMES),
    *(
        b" = ",
        b"=",
        b"\t=",
        b"\n",
        b"\n  ",
        b"\n\t",
        b"\r\n",
        b"\r\n ",
        b"\r",
        b"\x0b",
        b"\x0c",
        b"#",
        b"\n#",
    ),
    *(
        b"\n  # c",
        b"\n\n",
        b"\n \n",
        b"a",
        b"b, c",
        b"{",
        b"}",
        b"\\",
        b"\xff",
        b"\xc3\xa9",
        b"\xc2\xa0",
        b"\0",
    ),
    *(b"\nrelayhost = ", b"\nmynetworks =\n   ", b"\nmyhostname\n =", b"\n# BEGIN conbool-tui\n", b" "),
    b"\n# END conbool-tui\n",
)
_ARGUMENTS = (
    *(
        b" -o a=b",
        b" -o { a = b c }",
        b"\n  -o x=",
        b"\n  -o {y=p  q}",
        b"\n  -o { z = {r s}\n t }",
        b" -v",
        b" -vo k=v",
    ),
    *(
        b" flags=DR",
        b" { x y }",
        b"\n# c\n\t",
        b"\n  # c\n ",
        b"\r\n  -o h=1",
        b" ",
        b"\t",
        b"\n\n\t",
        b" -oidl=5",
        b" -",
    ),
    *(
        b" --",
        b" -o aa = bb",
        b" -D",
        b" {",
        b" }",
        b"\r",
        b"\0",
        b"\n -o\n  a=\xff",
        b" -o a={1 2}",
        b"\n # c",
        b" -o",
    ),
)
_SERVICES = (
    b"smtp inet n - y - - smtpd",
    b"smtp unix - - n - - smtp",
    b"x unix - n n - - pipe",
    b"127.0.0.1:10026 inet n - n - 5 smtpd",
    b"short line",
    b"  orphan",
    b"# comment",
)

main_texts = st.one_of(
    st.binary(max_size=60),
    st.lists(st.sampled_from(_MAIN_PIECES), max_size=18).map(b"".join),
)
_services = st.builds(
    lambda head, tail: head + b"".join(tail),
    st.sampled_from(_SERVICES),
    st.lists(st.sampled_from(_ARGUMENTS), max_size=6),
)
master_texts = st.one_of(
    st.binary(max_size=60),
    st.builds(
        lambda services, separator, end: separator.join(services) + end,
        st.lists(_services, max_size=4),
        st.sampled_from((b"\n", b"\r\n")),
        st.sampled_from((b"", b"\n", b"\r\n", b"\r")),
    ),
)
names = st.sampled_from(NAMES)
_value_text = st.text(
    st.one_of(
        st.sampled_from("ab ,#{}=$\t\r\v"),
        st.characters(exclude_categories=["Cs"], exclude_characters="\n\0"),
    ),
    max_size=14,
)
values = _value_text.map(lambda text: text.strip(" \t\r\v\f"))
