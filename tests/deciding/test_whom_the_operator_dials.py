"""Which endpoints are the same, and which the operator opens a connection to."""

from __future__ import annotations

import pytest

from modeldata_operator.api import endpoints
from modeldata_operator.decide import hosts

ACCOUNT = "https://account.blob.core.windows.net"
NO_ENDPOINT = [
    "https://account.blob.core.windows.net.",
    "https://account.blob.core.windows.net./",
    "https://user@account.blob.core.windows.net",
    "https://account.blob.core.windows.net@attacker.example",
    "https://account.blob.core.windows.net:443@attacker.example",
    "https://account.blob.core.windows.net%2eattacker.example",
    "https://account%2eblob.core.windows.net",
    "https://account.blob.core.windows.net/%2e%2e",
    "https://account.blob.core.windows.net/..",
    "https://account.blob.core.windows.net/.",
    "https://account.blob.core.windows.net//other",
    "https://account.blob.core.windows.net//",
    "https://account.blob.core.windows.net\\@attacker.example",
    "https://account.blob.core.windows.net\\.attacker.example",
    "https://account.blob.core.windows.net?sv=1",
    "https://account.blob.core.windows.net#x",
    "https://account.blob.core.windows.net\n",
    "https://account.blob.core.windows.net\t",
    " https://account.blob.core.windows.net",
    "https://account..blob.core.windows.net",
    "https://.blob.core.windows.net",
    "https://-account.blob.core.windows.net",
    "https://account.blob.core.windows.net:",
    "https://account.blob.core.windows.net:0",
    "https://account.blob.core.windows.net:65536",
    "https://account.blob.core.windows.net:４４３",
    "https://аccount.blob.core.windows.net",
    "https://account.blob.core.windows。net",
    "https://[::1",
    "https://[::1%25eth0]",
    "https://[1.2.3.4]",
    "https:/account.blob.core.windows.net",
    "https:account.blob.core.windows.net",
    "ftp://account.blob.core.windows.net",
    "//account.blob.core.windows.net",
    "https://",
    "",
    f"https://{'a' * 60}.{'b' * 60}.{'c' * 60}.{'d' * 60}.{'e' * 60}",
]


@pytest.mark.parametrize("url", NO_ENDPOINT)
def test_what_could_be_read_in_two_ways_is_no_endpoint(url: str) -> None:
    assert endpoints.parse(url) is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (ACCOUNT, f"{ACCOUNT}/"),
        (ACCOUNT, f"{ACCOUNT}:443"),
        (ACCOUNT, f"{ACCOUNT}:0443/"[:-1]),
        (ACCOUNT, "https://ACCOUNT.Blob.core.windows.NET"),
        ("http://azurite.storage.svc/devstoreaccount1", "http://azurite.storage.svc:80/devstoreaccount1/"),
        ("https://[::1]:10000/a", "https://[0:0:0:0:0:0:0:1]:10000/a"),
    ],
)
def test_the_same_written_otherwise_is_the_same_and_is_dialled_in_one_form(one: str, other: str) -> None:
    assert endpoints.parse(one) == endpoints.parse(other)
    assert str(endpoints.parse(other)) == one


@pytest.mark.parametrize(
    "other",
    [
        f"{ACCOUNT}:444",
        f"{ACCOUNT}/other",
        "http://account.blob.core.windows.net",
        "http://account.blob.core.windows.net:443",
        "https://account.blob.core.windows.net.attacker.example",
        "https://accounts.blob.core.windows.net",
        "https://xn--ccount-0nf.blob.core.windows.net",
    ],
)
def test_what_only_looks_alike_is_something_else(other: str) -> None:
    assert endpoints.parse(other) not in (None, endpoints.parse(ACCOUNT))


def test_the_letters_of_a_path_are_kept() -> None:
    assert endpoints.parse("https://h/Account") != endpoints.parse("https://h/account")


AZURE = [
    ACCOUNT,
    "https://account.blob.core.usgovcloudapi.net",
    "https://account.blob.core.chinacloudapi.cn/",
    "https://account.z01.blob.storage.azure.net",
    "https://account.z7.blob.storage.azure.net",
    "https://account-microsoftrouting.blob.core.windows.net",
    "https://ACCOUNT.blob.core.windows.net:443",
]
ELSEWHERE = [
    "http://account.blob.core.windows.net",  # whoever is on the way could answer
    "http://account.blob.core.windows.net:443",
    f"{ACCOUNT}:444",
    f"{ACCOUNT}/other",
    "https://account.blob.core.windows.net.attacker.example",
    "https://account.blob.core.windows.net.svc.cluster.local",
    "https://a.account.blob.core.windows.net",
    "https://account.privatelink.blob.core.windows.net",  # no certificate is for it
    "https://blob.core.windows.net",
    "https://accountblob.core.windows.net",
    "https://account.file.core.windows.net",
    "https://account.blob.core.cloudapi.de",  # given up by Azure in 2021
    "https://account.blob.storage.azure.net",
    "https://account.z100.blob.storage.azure.net",
    "https://attacker.example",
    "https://10.0.0.1",
    "https://127.0.0.1:10000/devstoreaccount1",
    "https://[::1]:10000/devstoreaccount1",
    "http://169.254.169.254/metadata",
    "https://kubernetes.default.svc",
    "http://localhost",
]


@pytest.mark.parametrize("url", AZURE)
def test_azure_blob_storage_is_dialled_in_all_clouds(url: str) -> None:
    assert hosts.may_dial(endpoints.parse(url), ())


@pytest.mark.parametrize("url", [*ELSEWHERE, *NO_ENDPOINT])
def test_nothing_else_is_dialled(url: str) -> None:
    assert not hosts.may_dial(endpoints.parse(url), ())


@pytest.mark.parametrize(
    ("listed", "dialled", "left"),
    [
        (
            "azurite.storage.svc:10000",
            ["http://azurite.storage.svc:10000/devstoreaccount1"],
            ["http://azurite.storage.svc/a"],
        ),
        ("store.example", ["https://store.example", "http://store.example/a"], ["https://store.example:8443"]),
        (
            "Store.example",
            ["https://STORE.example"],
            ["https://a.store.example", "https://store.example.attacker.example"],
        ),
        ("127.0.0.1:*", ["http://127.0.0.1:1/a", "https://127.0.0.1"], ["http://127.0.0.2:1", "http://localhost:1"]),
        ("[::1]:10000", ["http://[::1]:10000/a"], ["http://[::1]/a", "http://[::2]:10000/a"]),
        ("[::1]:*", ["http://[::1]:10000/a"], ["http://127.0.0.1:10000/a"]),
        ("[::1]", ["https://[0::1]"], ["https://[::1]:444"]),
    ],
)
def test_what_an_administrator_lists_is_dialled_and_nothing_beside_it(
    listed: str, dialled: list[str], left: list[str]
) -> None:
    allowed = endpoints.allowed_host(listed)
    assert allowed is not None
    assert all(hosts.may_dial(endpoints.parse(url), [allowed]) for url in dialled)
    assert not any(hosts.may_dial(endpoints.parse(url), [allowed]) for url in left)


@pytest.mark.parametrize(
    "listed",
    ["", "*", "*:*", "*.example", "https://store.example", "store.example/a", "store.example:x", "a b", "a:1:*", "::1"],
)
def test_a_list_that_makes_no_sense_is_refused(listed: str) -> None:
    assert endpoints.allowed_host(listed) is None
