"""The session's own decisions: what to work on, what is missing, what cannot be on this host."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Optional

import pytest
import trustme

from conbool_tui import answers_file
from conbool_tui.answers import Answers, Inbound, SmartHost
from conbool_tui.answers_file import AnswerError
from conbool_tui.errors import CheckFailedError, NeedsRootError, UsageError
from conbool_tui.facts import Detection, HostedDomains, HostFacts, Outcome, PostfixInstance
from conbool_tui.host import Host
from conbool_tui.host_answers import default_domains
from conbool_tui.planners.postfix.mta import mta_of
from conbool_tui.receipt import ChangeState, Receipt
from conbool_tui.session import Session
from tests.unit.cli import samples

NOW = datetime.datetime.now(datetime.timezone.utc)
DAY = datetime.timedelta(days=1)


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(Host(str(tmp_path)))


def detection(system: str, outcome: Outcome = Outcome.PRESENT, **more: str) -> Detection:
    return Detection(system, outcome, f"{system} 1.0", **more)  # type: ignore[arg-type]


# --- target


def test_target(session: Session) -> None:
    facts = samples.facts()
    assert session.target(facts) is facts.detections[0]


def test_nothing_found(session: Session) -> None:
    with pytest.raises(CheckFailedError, match="No mail system found"):
        session.target(HostFacts((detection("postfix", Outcome.ABSENT),)))


def test_broken(session: Session) -> None:
    with pytest.raises(CheckFailedError, match="line 3 is wrong") as caught:
        session.target(
            HostFacts((detection("postfix", Outcome.BROKEN, reason="line 3 is wrong", remedy="Repair it."),))
        )
    assert caught.value.todo == "Repair it."


def test_managed_elsewhere(session: Session) -> None:
    managed = detection(
        "postfix", Outcome.MANAGED, managed_by="Plesk", evidence="/etc/psa/psa.conf", remedy="Use Plesk."
    )
    with pytest.raises(CheckFailedError, match="Plesk") as caught:
        session.target(HostFacts((managed,)))
    assert "/etc/psa/psa.conf" in caught.value.what
    assert caught.value.todo == "Use Plesk."


def test_several_need_a_name(session: Session) -> None:
    facts = HostFacts((detection("postfix"), detection("exim"), detection("sendmail", Outcome.ABSENT)))
    with pytest.raises(CheckFailedError, match="Several mail systems") as caught:
        session.target(facts)
    assert "postfix" in caught.value.what
    assert "exim" in caught.value.what
    assert "--mail-system exim" in caught.value.todo
    session.mail_system = "exim"
    assert session.target(facts).system == "exim"
    session.mail_system = "sendmail"
    with pytest.raises(CheckFailedError, match="No sendmail found"):
        session.target(facts)
    session.mail_system = "qmail"
    with pytest.raises(UsageError, match="qmail"):
        session.target(facts)


# --- complete


def test_default_domains(session: Session) -> None:
    done = session.complete(Answers(), samples.facts())
    assert done.domains == ("example.com", "example.org", "example.net")
    assert session.complete(Answers(domains=("Other.example",)), samples.facts()).domains == (
        "other.example",
    )


def test_no_domains(session: Session) -> None:
    facts = samples.facts(domains=HostedDomains(("localhost", "mx1", "mx1.example.com")))
    with pytest.raises(AnswerError, match="domains is missing") as caught:
        session.complete(Answers(), facts)
    assert "--domains" in caught.value.todo


def test_ten_thousand_domains(session: Session) -> None:
    names = tuple(f"d{number}.example" for number in range(10_000))
    facts = samples.postfix(domains=HostedDomains(relay=names))
    assert default_domains(mta_of(facts)) == names


def test_answers_are_checked(session: Session) -> None:
    with pytest.raises(AnswerError, match="overlap"):
        session.complete(
            Answers(conbool_networks=("16.0.0.0/8",), inbound=Inbound(extra_networks=("16.1.0.0/16",))),
            samples.facts(),
        )


@pytest.mark.parametrize("protocols", ["ipv4", "ipv4 "])
def test_ipv6_where_only_ipv4_is_spoken(session: Session, protocols: str) -> None:
    facts = samples.facts(expanded={"myhostname": "mx1.example.com", "inet_protocols": protocols})
    with pytest.raises(AnswerError, match="2001:db8::/32 is IPv6") as caught:
        session.complete(Answers(conbool_networks=("198.51.100.0/24", "2001:db8::/32")), facts)
    assert caught.value.key == "conbool_networks"
    with pytest.raises(AnswerError) as caught:
        session.complete(Answers(inbound=Inbound(extra_networks=("2001:db8::/32",))), facts)
    assert caught.value.key == "inbound.extra_networks"
    assert session.complete(Answers(conbool_networks=("198.51.100.0/24",)), facts).conbool_networks == (
        "198.51.100.0/24",
    )


@pytest.mark.parametrize("protocols", ["all", "ipv4, ipv6"])
def test_both_protocols(session: Session, protocols: str) -> None:
    facts = samples.facts(expanded={"inet_protocols": protocols})
    assert session.complete(Answers(conbool_networks=("2001:db8::/32",)), facts).conbool_networks == (
        "2001:db8::/32",
    )


def test_two_instances(session: Session) -> None:
    both = (
        PostfixInstance("-", "", True, "/etc/postfix"),
        PostfixInstance("postfix-out", "mta", True, "/etc/postfix-out"),
    )
    facts = samples.facts(instances=both)
    with pytest.raises(AnswerError, match="2 Postfix instances") as caught:
        session.complete(Answers(), facts)
    assert "postfix-out (/etc/postfix-out)" in caught.value.what
    assert "--instance" in caught.value.todo
    with pytest.raises(AnswerError, match="no Postfix instance other"):
        session.complete(Answers(instance="other"), facts)
    assert session.complete(Answers(instance="-"), facts).instance == "-"
    with pytest.raises(AnswerError, match="was looked at"):
        session.complete(Answers(instance="postfix-out"), facts)


# --- certificate files


def write(folder: Path, name: str, data: bytes) -> str:
    (folder / name).write_bytes(data)
    return "/" + name


@pytest.fixture
def pair(tmp_path: Path) -> tuple[str, str]:
    leaf = trustme.CA().issue_cert("mx1.example.com")
    return write(tmp_path, "c.pem", leaf.cert_chain_pems[0].bytes()), write(
        tmp_path, "k.pem", leaf.private_key_pem.bytes()
    )


def certificate_error(session: Session, certificate: str, key: str) -> AnswerError:
    answers = Answers(smart_host=SmartHost(client_certificate=certificate, client_key=key))
    with pytest.raises(AnswerError) as caught:
        session.complete(answers, samples.facts())
    assert caught.value.why
    assert caught.value.todo
    return caught.value


@pytest.mark.parametrize("kind", [trustme.KeyType.RSA, trustme.KeyType.ECDSA])
def test_good_pairs(session: Session, tmp_path: Path, kind: trustme.KeyType) -> None:
    leaf = trustme.CA().issue_cert("mx1.example.com", key_type=kind)
    certificate = write(tmp_path, "c.pem", leaf.cert_chain_pems[0].bytes())
    key = write(tmp_path, "k.pem", leaf.private_key_pem.bytes())
    answers = Answers(smart_host=SmartHost(client_certificate=certificate, client_key=key))
    assert session.complete(answers, samples.facts()).smart_host.client_key == key
    other = trustme.CA().issue_cert("mx1.example.com", key_type=kind)
    wrong = write(tmp_path, "w.pem", other.private_key_pem.bytes())
    error = certificate_error(session, certificate, wrong)
    assert "does not match" in error.what
    assert error.key == "smart_host.client_key"


def test_key_of_another_kind(session: Session, tmp_path: Path, pair: tuple[str, str]) -> None:
    rsa = trustme.CA().issue_cert("a.example", key_type=trustme.KeyType.RSA)
    assert (
        "does not match"
        in certificate_error(session, pair[0], write(tmp_path, "r.pem", rsa.private_key_pem.bytes())).what
    )


def test_missing_files(session: Session, pair: tuple[str, str]) -> None:
    error = certificate_error(session, "/no.pem", pair[1])
    assert "/no.pem does not exist" in error.what
    assert error.key == "smart_host.client_certificate"
    error = certificate_error(session, pair[0], "/no.pem")
    assert error.key == "smart_host.client_key"


def test_not_a_file_and_not_pem(session: Session, tmp_path: Path, pair: tuple[str, str]) -> None:
    (tmp_path / "dir").mkdir()
    assert "not a regular file" in certificate_error(session, "/dir", pair[1]).what
    junk = write(tmp_path, "junk", b"\x00\x01junk")
    assert "no PEM certificate" in certificate_error(session, junk, pair[1]).what
    assert "no PEM key" in certificate_error(session, pair[0], junk).what
    assert "no PEM certificate" in certificate_error(session, pair[1], pair[0]).what
    damaged = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    assert "damaged" in certificate_error(session, write(tmp_path, "d.pem", damaged), pair[1]).what


@pytest.mark.parametrize(
    ("begin", "end", "word"),
    [(NOW - 60 * DAY, NOW - DAY, "expired on"), (NOW + DAY, NOW + 60 * DAY, "not valid before")],
)
def test_dates(
    session: Session, tmp_path: Path, begin: datetime.datetime, end: datetime.datetime, word: str
) -> None:
    leaf = trustme.CA().issue_cert("mx1.example.com", not_before=begin, not_after=end)
    certificate = write(tmp_path, "c.pem", leaf.cert_chain_pems[0].bytes())
    error = certificate_error(session, certificate, write(tmp_path, "k.pem", leaf.private_key_pem.bytes()))
    assert word in error.what


def test_passphrase(session: Session, tmp_path: Path, pair: tuple[str, str]) -> None:
    from cryptography.hazmat.primitives import serialization as s

    key = s.load_pem_private_key((tmp_path / "k.pem").read_bytes(), None)
    locked = key.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.BestAvailableEncryption(b"x"))
    assert "passphrase" in certificate_error(session, pair[0], write(tmp_path, "l.pem", locked)).what


def test_ca_file(session: Session, tmp_path: Path) -> None:
    def complete(path: str) -> Optional[AnswerError]:
        try:
            session.complete(Answers(smart_host=SmartHost(ca_file=path)), samples.facts())
        except AnswerError as error:
            return error
        return None

    assert complete(write(tmp_path, "ca.pem", trustme.CA().cert_pem.bytes())) is None
    for path in ("/no.pem", write(tmp_path, "junk", b"junk")):
        error = complete(path)
        assert error is not None
        assert error.key == "smart_host.ca_file"


# --- changes


def receipt(id: str, state: ChangeState, undo_of: str = "") -> Receipt:
    return Receipt(id, "postfix", state, "", "", (), (), undo_of)


def test_undo_takes_the_newest_applied_change(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    changes = [
        receipt("5", ChangeState.APPLIED, "4"),
        receipt("4", ChangeState.UNDONE),
        receipt("3", ChangeState.ROLLED_BACK),
        receipt("2", ChangeState.APPLIED),
        receipt("1", ChangeState.APPLIED),
    ]
    monkeypatch.setattr(session, "history", lambda: changes)
    monkeypatch.setattr(session, "unfinished", lambda: None)
    assert session.undo_target().id == "2"
    assert session.undo_target("1").id == "1"
    assert session.undo_target("5").id == "5"
    for bad in ("4", "3", "9"):
        with pytest.raises(UsageError):
            session.undo_target(bad)
    monkeypatch.setattr(session, "history", list)
    with pytest.raises(UsageError, match="no change to take back"):
        session.undo_target()


def test_history_of_a_fresh_host(session: Session) -> None:
    assert list(session.history()) == []
    assert session.unfinished() is None


def test_changing_needs_root(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    for call in (lambda: session.apply(samples.plan()), session.undo, session.recover):
        with pytest.raises(NeedsRootError):
            call()


def test_answers_are_saved_for_the_admin_alone(session: Session, tmp_path: Path) -> None:
    answers = Answers(domains=("example.com",), conbool_networks=("198.51.100.0/24",))
    path = tmp_path / "saved.yaml"
    session.save_answers(answers, str(path))
    assert path.stat().st_mode & 0o777 == 0o600
    assert answers_file.load(path.read_bytes(), "saved") == answers
