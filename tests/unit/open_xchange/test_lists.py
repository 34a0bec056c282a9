"""Property files and the lists that OX's tools print."""

from __future__ import annotations

from pathlib import Path

import pytest

from conbool_tui.cli import main
from conbool_tui.errors import UsageError
from conbool_tui.open_xchange.contexts import read_contexts, read_users
from conbool_tui.open_xchange.properties import read_properties

CONTEXTS = (
    '"id","filestore_id","filestore_name","enabled","max_quota","used_quota","name","lmappings"\r\n'
    '"1","3","1_ctx_store","true","5","1","one","1,one,example.com"\r\n'
    '"2","3","2_ctx_store","true","5","1","two","Example.ORG,2,sub.example.net"\r\n'
)
USERS = (
    "Id,Name,Display_name,Email1,PrimaryEmail,DefaultSenderAddress,Aliases,ImapServer,mailenabled\n"
    '3,alice,"Alice, A.",,alice@Example.com,alice@example.com,"alice@example.com, a@alias.example",imap@imap.example,true\n'
    "4,bob,Bob,bob@example.net,bob@example.com,,,,true\n"
)


def test_properties() -> None:
    """Comments, both separators, continued lines, escapes; the last line of a name counts."""
    text = "# c\n! c\n\na=1\na = 2\nb : x=y\nc\nlong = one, \\\n   two\nk\\:ey=v\\u0041\\tl\npath=C\\:\\\\x\r\nd   e\nend=\\\\\nlast=z"
    assert read_properties(text) == {
        "a": "2",
        "b": "x=y",
        "c": "",
        "long": "one, two",
        "k:ey": "vA\tl",
        "path": "C:\\x",
        "d": "e",
        "end": "\\",
        "last": "z",
    }


def test_contexts_and_users() -> None:
    """Login mappings that are domains; addresses of users, whatever server names stand beside."""
    first, second = read_contexts("\ufeff" + CONTEXTS)
    assert (first.id, first.name, first.domains) == ("1", "one", ("example.com",))
    assert second.domains == ("example.org", "sub.example.net")
    assert read_users(USERS) == ("example.com", "alias.example", "example.net")


@pytest.mark.parametrize("text", ["", "no list\n", "id,name\n1,2\n", USERS])
def test_no_list_of_contexts(text: str) -> None:
    """Something else is refused, with the command that prints the right thing."""
    with pytest.raises(UsageError) as error:
        read_contexts(text)
    assert "listcontext" in error.value.todo


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", CONTEXTS])
def test_no_list_of_users(text: str) -> None:
    """The same of users."""
    with pytest.raises(UsageError):
        read_users(text)


def test_the_command_prints_domains(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of the contexts chosen and of users' lists, once each; unknown contexts and missing lists are refused."""
    contexts, users = tmp_path / "contexts.csv", tmp_path / "users.csv"
    contexts.write_text(CONTEXTS)
    users.write_text(USERS)
    root = ["--root", str(tmp_path)]
    assert (
        main(
            [
                *root,
                "open-xchange",
                "domains",
                "--list",
                str(contexts),
                "--context",
                "2",
                "--users",
                str(users),
            ]
        )
        == 0
    )
    assert capsys.readouterr().out.split() == [
        "example.org",
        "sub.example.net",
        "example.com",
        "alias.example",
        "example.net",
    ]
    assert main([*root, "open-xchange", "contexts", "--list", str(contexts)]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "1\tone\texample.com"
    assert main([*root, "open-xchange", "domains", "--list", str(contexts), "--context", "7"]) == 64
    assert "no context 7" in capsys.readouterr().err
    assert main([*root, "open-xchange", "contexts"]) == 64
    assert "password" in capsys.readouterr().err


def test_the_command_prints_the_script(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The script alone on standard output, the way to install it beside."""
    given = ["open-xchange", "sieve", "--spam-folder", "Spam"]
    assert main(["--root", str(tmp_path), *given]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("# Written by conbool-tui")
    assert 'fileinto :create "Spam"' in printed.out
    assert "sieve_before" in printed.err
