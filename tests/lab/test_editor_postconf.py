"""The editor reads main.cf and master.cf as postconf does, and its changes show there and nowhere else.

Real Postfix 3.5, 3.7 and 3.10 are the judges. All files of a test go through one chroot call per suite.
"""

from __future__ import annotations

import os
import random
import re
import subprocess
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from conbool_tui.postfix_config import MainCf, MasterCf, main_cf_changes
from tests.lab.roots import SUITES, ensure_root, postfix_spec
from tests.unit.postfix_config.corpus import corpus_files

EMPTY_MASTER = b"smtp inet n - n - - smtpd\n"

# A host name and a loopback interface, without which postconf asks the DNS or gives up.
_ENTER = """
set -e
hostname mx1.example.com
ip link set lo up
mount --bind "$1" "$2/mnt"
exec chroot "$2" /bin/sh -c "$3"
"""
# Each answer in a file of its own: warnings must never get into what is parsed. postconf sleeps a second
# before it dies of a bad file, so some directories are asked about at a time.
_ASK = """
ask() {
    for what in $WHAT; do
        postconf -c "$1" -$what >"$1/out.$what" 2>"$1/err.$what" </dev/null
        echo $? >"$1/status.$what"
    done
}
count=0
for dir in /mnt/*/; do
    ask "$dir" &
    count=$((count + 1))
    test $((count % 48)) -ne 0 || wait
done
wait
"""


@dataclass(frozen=True)
class Main:
    """What postconf -n says about a main.cf; values as printed, see :func:`printed`."""

    accepted: bool
    values: Mapping[bytes, bytes]
    errors: bytes


@dataclass(frozen=True)
class Master:
    """What postconf -M and -P say about a master.cf: the eight columns, and name/type/parameter = value."""

    accepted: bool
    columns: tuple[tuple[bytes, ...], ...]
    overrides: Counter[bytes]
    errors: bytes


def printed(value: bytes) -> bytes:
    """How postconf prints a value: white space collapsed, but for VT and FF, which separate nothing."""
    return b" ".join(re.split(rb"[ \t\r\n]+", value)).strip(b" ")


def shown_in_warning(text: bytes) -> bytes:
    """How Postfix prints a text in a log line."""
    return re.sub(rb"[^ -~]", b"?", text)


def _lines(path: Path) -> list[bytes]:
    return [line for line in path.read_bytes().split(b"\n") if line]


def _main(folder: Path) -> Main:
    values = {}
    # A parameter Postfix does not know and nothing refers to is not listed, but warned about with name and
    # value.
    for line in _lines(folder / "err.n"):
        found = re.fullmatch(rb"postconf: warning: [^ ]*/main\.cf: unused parameter: (.*?)=(.*)", line)
        if found:
            values[found[1]] = found[2]
    for line in _lines(folder / "out.n"):
        name, _, value = line.partition(b" =")
        # Set by -c, not by the file.
        if name != b"config_directory":
            values[name] = value.strip(b" ")
    return Main((folder / "status.n").read_text() == "0\n", values, (folder / "err.n").read_bytes())


def _master(folder: Path) -> Master:
    columns = tuple(tuple(line.split()[:8]) for line in _lines(folder / "out.M"))
    errors = (folder / "err.M").read_bytes() + (folder / "err.P").read_bytes()
    accepted = (folder / "status.M").read_text() == "0\n"
    return Master(accepted, columns, Counter(_lines(folder / "out.P")), errors)


class Judge:
    """postconf of one Debian suite."""

    def __init__(self, root: Path, scratch: Path) -> None:
        self._root = root
        self._scratch = scratch
        self._calls = 0

    def main(self, files: Mapping[str, bytes]) -> dict[str, Main]:
        """Let postconf read each main.cf."""
        folders = self._ask("n", {key: (data, EMPTY_MASTER) for key, data in files.items()})
        return {key: _main(folder) for key, folder in folders.items()}

    def master(self, files: Mapping[str, bytes]) -> dict[str, Master]:
        """Let postconf read each master.cf."""
        folders = self._ask("M P", {key: (b"", data) for key, data in files.items()})
        return {key: _master(folder) for key, folder in folders.items()}

    def _ask(self, what: str, files: Mapping[str, tuple[bytes, bytes]]) -> dict[str, Path]:
        self._calls += 1
        work = self._scratch / str(self._calls)
        folders = {}
        for number, (key, contents) in enumerate(files.items()):
            folders[key] = work / f"{number:05d}"
            folders[key].mkdir(parents=True)
            for name, data in zip(("main.cf", "master.cf"), contents):
                path = folders[key] / name
                path.write_bytes(data)
                # Postfix waits until a configuration file is some seconds old, in case it is still being
                # written.
                os.utime(path, (1_600_000_000, 1_600_000_000))
        # The root is a read-only layer for everybody: the work directory is mounted into it in a namespace
        # of our own.
        subprocess.run(
            ["unshare", "--mount", "--net", "--uts", "--propagation", "private", "/bin/sh", "-c"]
            + [_ENTER, "sh", str(work), str(self._root), _ASK],
            check=True,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "WHAT": what},
        )
        return folders


@pytest.fixture(scope="module", params=SUITES)
def judge(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Judge:
    if os.geteuid() != 0:
        pytest.skip("entering a root needs root")
    suite: str = request.param
    return Judge(ensure_root(postfix_spec(suite)), tmp_path_factory.mktemp(f"postconf-{suite}"))


MAIN_PIECES = (
    *(b"relayhost", b"myhostname", b"mynetworks", b"mydestination", b"smtpd_banner", b"unknown_x"),
    *(b" = ", b"=", b"\t=", b"\n", b"\n", b"\n  ", b"\n\t", b"\r\n", b"\r\n ", b"\r", b"\x0b", b"\x0c"),
    *(
        b"#",
        b"\n#",
        b"\n  # c",
        b"\n\n",
        b"\n \n",
        b"a",
        b"b, c",
        b"{",
        b"}",
        b"\\",
        b'"',
        b"$x",
        b"\0",
        b" ",
    ),
    # Latin-1, UTF-8, NBSP, BOM, LINE SEPARATOR, NEL: all data.
    *(b"\xff", b"\xc3\xa9", b"\xc2\xa0", b"\xef\xbb\xbf", b"\xe2\x80\xa8", b"\x85"),
    *(b"\nrelayhost = ", b"\nmyhostname=", b"\nmydestination =\n   ", b"\nmynetworks\n ="),
)
SERVICES = (
    b"smtp inet n - y - - smtpd",
    b"smtp unix - - n - - smtp",
    b"x unix - n n - - pipe",
    b"127.0.0.1:10026 inet n - n - 5 smtpd",
    b"\xff unix - - - 30? 0 cleanup",
)
ARGUMENTS = (
    *(
        b" -o a=b",
        b" -o { a = b c }",
        b"\n  -o x=",
        b"\n  -o {y=p  q}",
        b"\n  -o { z = {r s} t }",
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
    ),
    *(b" --", b" -o aa = bb", b" -D", b"\n -o b={ 1 2 }3"),
)


def generated_mains(count: int) -> dict[str, bytes]:
    chance = random.Random(7)
    return {
        f"generated {n}": b"".join(chance.choice(MAIN_PIECES) for _ in range(chance.randint(1, 14)))
        for n in range(count)
    }


def generated_masters(count: int) -> dict[str, bytes]:
    chance = random.Random(3)

    def service() -> bytes:
        return chance.choice(SERVICES) + b"".join(
            chance.choice(ARGUMENTS) for _ in range(chance.randint(0, 5))
        )

    def text() -> bytes:
        return b"\n".join(service() for _ in range(chance.randint(1, 3))) + chance.choice(
            (b"", b"\n", b"\r\n")
        )

    return {f"generated {n}": text() for n in range(count)}


def corpus(kind: str) -> dict[str, bytes]:
    files = {str(path): path.read_bytes() for path in corpus_files(kind)}
    if not files:
        pytest.skip("no corpus of real files here (set CONBOOL_CORPUS)")
    return files


def raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def value_of(main: MainCf, name: str) -> bytes:
    value = main.get(name)
    assert value is not None
    return raw(value)


def check_main_reading(judge: Judge, files: Mapping[str, bytes]) -> int:
    """Compare every file; the number of files postconf accepted."""
    accepted = 0
    for key, answer in judge.main(files).items():
        main = MainCf.parse(files[key])
        refused = any("not of the form" in problem for problem in main.problems())
        assert answer.accepted is not refused, (key, files[key], answer.errors, main.problems())
        if not answer.accepted:
            continue
        accepted += 1
        ours = {}
        for name in main.names():
            value = value_of(main, name)
            if b": unused parameter: " + shown_in_warning(raw(name)) + b"=" in answer.errors:
                ours[shown_in_warning(raw(name))] = shown_in_warning(value)
            else:
                ours[raw(name)] = printed(value)
        assert ours == answer.values, (key, answer.errors)
    return accepted


def test_real_main_cf_files_are_read_as_postconf_reads_them(judge: Judge) -> None:
    assert check_main_reading(judge, corpus("main")) > 50


def test_generated_main_cf_files_are_read_as_postconf_reads_them(judge: Judge) -> None:
    assert check_main_reading(judge, generated_mains(300)) > 100


def check_master_reading(judge: Judge, files: Mapping[str, bytes]) -> int:
    accepted = 0
    for key, answer in judge.master(files).items():
        master = MasterCf.parse(files[key])
        if any("fewer than eight" in problem for problem in master.problems()):
            assert not answer.accepted, key
        if not answer.accepted:
            continue
        accepted += 1
        services = master.services()
        columns = [
            (s.name, s.type, s.private, s.unpriv, s.chroot, s.wakeup, s.maxproc, s.command) for s in services
        ]
        assert tuple(tuple(raw(word) for word in row) for row in columns) == answer.columns, key
        ours = {
            raw(f"{s.name}/{s.type}/{o.name}"): printed(raw(o.value)) for s in services for o in s.options
        }
        theirs = {}
        for line in answer.overrides:
            name, _, value = line.partition(b" =")
            theirs[name] = printed(value)
        assert ours == theirs, (key, answer.errors)
    return accepted


def test_real_master_cf_files_are_read_as_postconf_reads_them(judge: Judge) -> None:
    assert check_master_reading(judge, corpus("master")) > 20


def test_generated_master_cf_files_are_read_as_postconf_reads_them(judge: Judge) -> None:
    assert check_master_reading(judge, generated_masters(300)) > 250


def canonical(values: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    """Values as both list and warning show them: a parameter moves between these when its last user
    changes.
    """
    return {
        shown_in_warning(name): re.sub(rb"[^!-~]+", b"?", value).strip(b"?") for name, value in values.items()
    }


def edited_main(before: MainCf) -> MainCf:
    """One change of each kind: a value replaced, a list extended in the middle, a new key, a key removed."""
    after = before.copy()
    after.set("relayhost", "[mail.conbool.com]:25")
    after.set("conbool_inbound", "check_client_access static:{FILTER x:}, permit", comment="ours")
    names = [name for name in before.names() if name.isascii() and name != "relayhost"]
    lists = [name for name in names if len(before.occurrences(name)[-1].raw.split(b"\n")) > 2]
    for name in lists[:1]:
        value = after.get(name)
        assert value is not None
        head, comma, tail = value.partition(",")
        after.set(name, f"{head}, conbool_new{comma}{tail}")
    for name in [name for name in names if name not in lists[:1]][-1:]:
        after.remove(name)
    return after


def test_after_a_change_of_main_cf_only_the_named_parameters_differ(judge: Judge) -> None:
    befores = {key: MainCf.parse(data) for key, data in corpus("main").items()}
    afters = {key: edited_main(before) for key, before in befores.items()}
    files = {f"before {key}": main.to_bytes() for key, main in befores.items()}
    files.update({f"after {key}": main.to_bytes() for key, main in afters.items()})
    answers = judge.main(files)
    accepted = 0
    for key, before in befores.items():
        was, now = answers[f"before {key}"], answers[f"after {key}"]
        assert was.accepted == now.accepted, (key, now.errors)
        if not was.accepted:
            continue
        accepted += 1
        old, new = canonical(was.values), canonical(now.values)
        seen = {name for name in {*old, *new} if old.get(name) != new.get(name)}
        named = main_cf_changes(before, afters[key])
        # "a, b" to "a,b" is a change of the value that postconf does not show; none of ours is of that kind.
        assert seen == {shown_in_warning(raw(name)) for name in named}, key
        assert new[b"relayhost"] == b"[mail.conbool.com]:25"
        assert new[b"conbool_inbound"] == b"check_client_access?static:{FILTER?x:},?permit"
    assert accepted > 50


BLOCK = """\
conbool-direct unix - - n - - smtp
  -o syslog_name=postfix/conbool-direct
# a comment of ours
127.0.0.1:10026 inet n - n - - smtpd
  -o { smtpd_recipient_restrictions = check_recipient_access static:{FILTER conbool-direct:}, permit }
"""


def test_after_a_change_of_master_cf_only_the_named_override_differs(judge: Judge) -> None:
    files: dict[str, bytes] = {}
    wanted: dict[str, tuple[str, Counter[bytes], Counter[bytes]]] = {}
    for key, data in corpus("master").items():
        files[f"{key} before"] = data
        services = MasterCf.parse(data).services()
        # Some of each file's services, spread over it: postconf is asked twice for each change.
        for service in services[:: max(1, len(services) // 3)]:
            where = f"{service.name}/{service.type}"
            for option, value in (("content_filter", "conbool:x"), ("conbool_list", "a, {b c}, d")):
                old = service.option(option)
                after = MasterCf.parse(data)
                after.set_option(service.name, service.type, option, value)
                name = f"{key} {where} {option}"
                files[name] = after.to_bytes()
                wanted[name] = (
                    f"{key} before",
                    Counter() if old is None else Counter([raw(f"{where}/{option} = {old}").rstrip()]),
                    Counter([raw(f"{where}/{option} = {value}")]),
                )
            for given in service.options[:1]:
                after = MasterCf.parse(data)
                after.remove_option(service.name, service.type, given.name)
                name = f"{key} {where} remove"
                files[name] = after.to_bytes()
                wanted[name] = (f"{key} before", Counter([raw(f"{where}/{given.name}")]), Counter())
    answers = judge.master(files)
    compared = 0
    for name, (origin, gone, come) in wanted.items():
        was, now = answers[origin], answers[name]
        assert was.accepted == now.accepted, (name, now.errors)
        if not was.accepted:
            continue
        compared += 1
        assert now.columns == was.columns, name
        lost, won = was.overrides - now.overrides, now.overrides - was.overrides
        assert won == come, name
        if name.endswith(" remove"):
            assert {line.partition(b" =")[0] for line in lost} == set(gone), name
        else:
            assert lost == gone, name
    assert compared > 150


def test_a_block_adds_its_services_and_nothing_else(judge: Judge) -> None:
    befores = corpus("master")
    files = {f"before {key}": data for key, data in befores.items()}
    for key, data in befores.items():
        after = MasterCf.parse(data)
        after.add_block("lane", BLOCK)
        files[f"after {key}"] = after.to_bytes()
    answers = judge.master(files)
    for key in befores:
        was, now = answers[f"before {key}"], answers[f"after {key}"]
        assert was.accepted == now.accepted, key
        if not was.accepted:
            continue
        assert now.columns[: len(was.columns)] == was.columns
        assert [row[0] for row in now.columns[len(was.columns) :]] == [b"conbool-direct", b"127.0.0.1:10026"]
        assert now.overrides - was.overrides == Counter(
            [
                b"conbool-direct/unix/syslog_name = postfix/conbool-direct",
                b"127.0.0.1:10026/inet/smtpd_recipient_restrictions = "
                b"check_recipient_access static:{FILTER conbool-direct:}, permit",
            ]
        )
        assert not was.overrides - now.overrides


def test_in_a_crlf_file_the_cr_is_white_space_for_postfix(judge: Judge) -> None:
    main = MainCf.parse(b"relayhost = a\r\nmydestination = b,\r\n\r\n# c\r\n  d\r\n")
    main.set("smtpd_banner", "hello")
    master = MasterCf.parse(b"smtp inet n - n - - smtpd\r\n")
    master.set_option("smtp", "inet", "content_filter", "x:y")
    assert main.to_bytes().count(b"\n") == main.to_bytes().count(b"\r\n")
    assert judge.main({"crlf": main.to_bytes()})["crlf"].values == {
        b"relayhost": b"a",
        b"mydestination": b"b, d",
        b"smtpd_banner": b"hello",
    }
    assert judge.master({"crlf": master.to_bytes()})["crlf"].overrides == Counter(
        [b"smtp/inet/content_filter = x:y"]
    )
