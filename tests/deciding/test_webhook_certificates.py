from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from modeldata_operator.api.keys import ObjectKey
from modeldata_operator.trust import certificates

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
HOST = "modeldata-operator-webhook.modeldata-system.svc"


def leaf(made):
    return x509.load_pem_x509_certificate(made.certificate)


def authorities(made):
    return x509.load_pem_x509_certificates(made.bundle)


def test_a_new_certificate_is_good_for_its_host_only():
    made = certificates.renewed(None, host=HOST, now=NOW)
    assert certificates.good_until_renewal(made, host=HOST, now=NOW)
    assert not certificates.good_until_renewal(made, host="other.svc", now=NOW)


def test_it_survives_its_secret():
    made = certificates.renewed(None, host=HOST, now=NOW)
    assert certificates.from_secret(certificates.to_secret(made, ObjectKey("x", "tls"))) == made


def test_it_is_renewed_well_before_its_end_by_the_same_authority():
    made = certificates.renewed(None, host=HOST, now=NOW)
    later = leaf(made).not_valid_after_utc - timedelta(days=29)
    assert not certificates.good_until_renewal(made, host=HOST, now=later)
    again = certificates.renewed(made, host=HOST, now=later)
    assert again.bundle == made.bundle
    assert again.certificate != made.certificate
    assert certificates.good_until_renewal(again, host=HOST, now=later)


def test_an_old_authority_is_replaced_and_still_believed_for_a_while():
    made = certificates.renewed(None, host=HOST, now=NOW)
    later = authorities(made)[0].not_valid_after_utc - timedelta(days=60)
    again = certificates.renewed(made, host=HOST, now=later)
    new, old = authorities(again)
    assert old == authorities(made)[0]
    leaf(again).verify_directly_issued_by(new)
    assert len(authorities(certificates.renewed(again, host=HOST, now=later + certificates.CA_LIFE))) == 2


def test_a_secret_with_something_else_in_it_is_replaced():
    made = certificates.renewed(None, host=HOST, now=NOW)
    other = certificates.renewed(None, host=HOST, now=NOW)
    mixed = certificates.Certificates(made.bundle, made.ca_key, made.certificate, other.key)
    foreign = certificates.Certificates(other.bundle, other.ca_key, made.certificate, made.key)
    garbage = certificates.Certificates(b"x", b"x", b"x", b"x")
    for broken in (mixed, foreign, garbage):
        assert not certificates.good_until_renewal(broken, host=HOST, now=NOW)
        assert certificates.good_until_renewal(certificates.renewed(broken, host=HOST, now=NOW), host=HOST, now=NOW)
    assert certificates.from_secret(None) is None
    assert certificates.from_secret({"data": {"tls.crt": "eA=="}}) is None


def test_the_keys_are_in_no_representation():
    made = certificates.renewed(None, host=HOST, now=NOW)
    assert "PRIVATE" not in repr(made)


def test_what_is_served_needs_no_authoritys_key():
    made = certificates.renewed(None, host=HOST, now=NOW)
    secret = certificates.to_secret(made, ObjectKey("x", "tls"))
    del secret["data"]["ca.key"]
    assert certificates.served(secret) == certificates.Served(made.certificate, made.key)
    assert made.key.decode() not in repr(certificates.served(secret))


@pytest.mark.parametrize(
    "secret", [None, {}, {"data": {"tls.crt": "eA=="}}, {"data": {"tls.crt": "?", "tls.key": "?"}}]
)
def test_a_secret_without_a_certificate_serves_nothing(secret):
    assert certificates.served(secret) is None


def test_what_is_served_says_when_it_ends():
    made = certificates.renewed(None, host=HOST, now=NOW)
    assert certificates.Served(made.certificate, made.key).expires == NOW + certificates.LEAF_LIFE
    assert certificates.Served(b"nonsense", made.key).expires is None
