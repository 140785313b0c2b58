"""TLS in libpq's words: what the options mean, what is refused, and when files are read."""

import ssl
from pathlib import Path
from typing import Any

import pytest

from aioclustersql.drivers.tls import TLS_OPTIONS, Tls, TlsMode, take_tls
from aioclustersql.errors import ConfigError
from tests.servers.certificates import Certificates, make_certificates


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("tls"))


def take(**options: Any) -> Tls:
    tls = take_tls(options, shown="the URL")
    assert tls is not None
    assert not options
    return tls


def refusal(over: Tls | None = None, **options: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        take_tls(options, shown="the URL", over=over)
    return str(caught.value)


def context_of(tls: Tls) -> ssl.SSLContext:
    context = tls.ssl_context()
    assert context is not None
    return context


def test_nothing_said_is_nothing_and_other_options_stay() -> None:
    options = {"application_name": "app", "sslmode": None}
    assert take_tls(options, shown="the URL") is None
    assert options == {"application_name": "app"}


@pytest.mark.parametrize(
    ("options", "mode"),
    [
        ({"sslmode": "disable"}, TlsMode.DISABLE),
        ({"sslmode": "allow"}, TlsMode.ALLOW),
        ({"sslmode": "prefer"}, TlsMode.PREFER),
        ({"sslmode": "require"}, TlsMode.REQUIRE),
        ({"sslmode": "verify-ca"}, TlsMode.VERIFY_CA),
        ({"sslmode": "verify-full"}, TlsMode.VERIFY_FULL),
        ({"ssl_mode": "DISABLED"}, TlsMode.DISABLE),
        ({"ssl-mode": "PREFERRED"}, TlsMode.PREFER),
        ({"ssl_mode": "required"}, TlsMode.REQUIRE),
        ({"ssl_mode": "VERIFY_CA"}, TlsMode.VERIFY_CA),
        ({"ssl-mode": "VERIFY_IDENTITY"}, TlsMode.VERIFY_FULL),
        ({"ssl": True}, TlsMode.VERIFY_FULL),
        ({"ssl": "true"}, TlsMode.VERIFY_FULL),
        ({"ssl": False}, TlsMode.DISABLE),
        ({"ssl": "require"}, TlsMode.REQUIRE),
        ({"sslcert": "client.pem"}, TlsMode.PREFER),
        ({"sslrootcert": "ca.pem"}, TlsMode.VERIFY_CA),
        ({"ssl_ca": "ca.pem"}, TlsMode.VERIFY_CA),
        ({"sslrootcert": "system"}, TlsMode.VERIFY_FULL),
        ({"sslmode": "prefer", "sslrootcert": "ca.pem"}, TlsMode.PREFER),
    ],
    ids=str,
)
def test_each_word_means_one_mode(options: dict[str, Any], mode: TlsMode) -> None:
    assert take(**options).mode is mode


def test_mysql_and_libpq_spell_the_same_files() -> None:
    tls = Tls(TlsMode.VERIFY_CA, "ca.pem", "client.pem", "client.key")
    assert take(ssl_ca="ca.pem", ssl_cert="client.pem", ssl_key="client.key") == tls
    assert take(**{"ssl-ca": "ca.pem", "ssl-cert": "client.pem", "ssl-key": "client.key"}) == tls
    assert take(sslrootcert=Path("ca.pem"), sslcert="client.pem", sslkey="client.key") == tls


def test_every_spelling_is_listed() -> None:
    assert {"sslmode", "ssl_mode", "ssl-mode", "ssl_ca", "sslpassword", "ssl"} <= TLS_OPTIONS


def test_an_unknown_word_is_refused_naming_the_known_ones() -> None:
    message = refusal(sslmode="verify_all")
    assert message.startswith("the URL: sslmode 'verify_all' is unknown")
    for word in (*TlsMode, "VERIFY_IDENTITY"):
        assert word in message
    assert "SSLContext" in refusal(ssl="perhaps")
    assert "ssl int is unknown" in refusal(ssl=3)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"ssl": ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), "sslmode": "require"}, "'ssl' and 'sslmode' contradict each other"),
        ({"ssl": True, "ssl_ca": "ca.pem"}, "'ssl' and 'ssl_ca' contradict each other"),
        ({"sslmode": "require", "ssl_mode": "REQUIRED"}, "'sslmode' and 'ssl_mode' say the same thing"),
        ({"sslkey": "client.key"}, "sslkey without sslcert"),
        ({"sslrootcert": "system", "sslmode": "require"}, "sslrootcert=system needs sslmode=verify-full"),
        ({"sslrootcert": 3}, "sslrootcert is the path of a file"),
        ({"sslcert": "client.pem", "sslpassword": 3}, "sslpassword is a string"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_options_that_contradict_each_other_are_refused(options: dict[str, Any], says: str) -> None:
    assert says in refusal(**options)


def test_the_users_own_context_is_used_as_it_is() -> None:
    own = ssl.create_default_context()
    tls = take(ssl=own)
    assert tls.ssl_context(alpn=("postgresql",)) is own
    assert tls.required


def test_disable_has_no_context() -> None:
    assert take(sslmode="disable").ssl_context() is None


@pytest.mark.parametrize(
    ("options", "verify", "host"),
    [
        ({"sslmode": "allow"}, ssl.CERT_NONE, False),
        ({"sslmode": "prefer"}, ssl.CERT_NONE, False),
        ({"sslmode": "require"}, ssl.CERT_NONE, False),
        ({"sslmode": "verify-ca"}, ssl.CERT_REQUIRED, False),
        ({"sslmode": "verify-full"}, ssl.CERT_REQUIRED, True),
    ],
    ids=lambda value: value["sslmode"] if isinstance(value, dict) else "",
)
def test_each_mode_verifies_what_libpq_verifies(options: dict[str, str], verify: ssl.VerifyMode, host: bool) -> None:
    tls = take(**options)
    context = context_of(tls)
    assert (context.verify_mode, context.check_hostname) == (verify, host)
    assert tls.verifies is (verify is ssl.CERT_REQUIRED)


def test_require_with_a_root_certificate_verifies_the_chain(certificates: Certificates) -> None:
    context = context_of(take(sslmode="require", sslrootcert=certificates.ca))
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, False)
    assert context.cert_store_stats()["x509_ca"] == 1


def test_the_context_is_made_once_and_files_are_read_then(certificates: Certificates) -> None:
    tls = take(sslmode="verify-full", sslrootcert=certificates.ca, sslcert=certificates.cert, sslkey=certificates.key)
    assert tls.ssl_context() is tls.ssl_context()


def test_a_missing_file_is_named_at_first_use_only(tmp_path: Path) -> None:
    missing = tmp_path / "none.pem"
    for option in ("sslrootcert", "sslcert"):
        tls = take(**{"sslmode": "verify-ca", option: missing})
        with pytest.raises(ConfigError, match=rf"^the URL: {option}: cannot read '.*none\.pem': No such file"):
            tls.ssl_context()


def test_files_of_another_kind_are_named(certificates: Certificates, tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.touch()
    with pytest.raises(ConfigError, match=r"sslrootcert: '.*empty\.pem' holds no certificate"):
        take(sslrootcert=empty).ssl_context()
    with pytest.raises(ConfigError, match=r"sslcert '.*server\.pem' and sslkey '.*ca\.pem': they are not a certificate and its"):
        take(sslcert=certificates.cert, sslkey=certificates.ca).ssl_context()


def test_one_connects_words_go_over_the_nodes() -> None:
    node = take(sslmode="verify-full", sslrootcert="ca.pem", sslcert="client.pem")
    assert take_tls({}, shown="connect()", over=node) is node
    assert take_tls({"sslcert": "other.pem"}, shown="connect()", over=node) == Tls(TlsMode.VERIFY_FULL, "ca.pem", "other.pem")
    assert take_tls({"sslmode": "verify-ca"}, shown="connect()", over=node) == Tls(TlsMode.VERIFY_CA, "ca.pem", "client.pem")
    assert take_tls({"ssl": False}, shown="connect()", over=node) == Tls(TlsMode.DISABLE)


def test_a_mode_that_somebody_wrote_is_not_changed_by_a_root_certificate() -> None:
    for mode in ("disable", "prefer", "verify-full"):
        tls = take_tls({"sslrootcert": "ca.pem"}, shown="connect_options", over=take(sslmode=mode))
        assert tls is not None
        assert tls.mode == mode


def test_words_never_weaken_an_ssl_context_by_accident() -> None:
    node = take(ssl=ssl.create_default_context())
    assert "'sslcert' would change the SSLContext that is set; give sslmode too" in refusal(over=node, sslcert="client.pem")
    assert take_tls({"sslmode": "disable"}, shown="connect()", over=node) == Tls(TlsMode.DISABLE)


def test_no_repr_shows_the_keys_password() -> None:
    assert "hush" not in repr(take(sslcert="client.pem", sslkey="client.key", sslpassword="hush"))
