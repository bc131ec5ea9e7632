"""The webhook's own certificate authority and certificate, in one Secret: made, checked and renewed here."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ..api import names
from ..api.keys import ObjectKey

CA_LIFE = timedelta(days=3650)
LEAF_LIFE = timedelta(days=90)
RENEW_BEFORE = timedelta(days=30)
BACKDATED = timedelta(hours=1)

_KEYS = ("ca.crt", "ca.key", "tls.crt", "tls.key")


@dataclass(frozen=True, slots=True)
class Certificates:
    """What the Secret holds, as PEM. The bundle may carry an older authority beside the present one."""

    bundle: bytes
    ca_key: bytes = field(repr=False)
    certificate: bytes
    key: bytes = field(repr=False)

    @property
    def ca_bundle(self) -> str:
        """Encode the bundle as a webhook configuration carries it."""
        return base64.b64encode(self.bundle).decode()


@dataclass(frozen=True, slots=True)
class Served:
    """What the webhook shows to the API server, as PEM."""

    certificate: bytes
    key: bytes = field(repr=False)

    @property
    def expires(self) -> datetime | None:
        """Say until when it is believed; None if that can't be read."""
        try:
            return x509.load_pem_x509_certificate(self.certificate).not_valid_after_utc
        except ValueError:
            return None


def served(secret: Mapping[str, Any] | None) -> Served | None:
    """Read what the webhook serves with, whoever issued it; None if it is not there."""
    data = (secret or {}).get("data") or {}
    try:
        return Served(*(base64.b64decode(data[key], validate=True) for key in ("tls.crt", "tls.key")))
    except (KeyError, ValueError):
        return None


def from_secret(secret: Mapping[str, Any] | None) -> Certificates | None:
    """Read the Secret; None if it is not there or not whole."""
    data = (secret or {}).get("data") or {}
    try:
        return Certificates(*(base64.b64decode(data[key], validate=True) for key in _KEYS))
    except (KeyError, ValueError):
        return None


def to_secret(certificates: Certificates, secret: ObjectKey) -> dict[str, Any]:
    """Write the Secret."""
    values = (certificates.bundle, certificates.ca_key, certificates.certificate, certificates.key)
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": {
            "name": secret.name,
            "namespace": secret.namespace,
            "labels": {names.MANAGED_BY_LABEL: names.FIELD_MANAGER},
        },
        "data": {key: base64.b64encode(value).decode() for key, value in zip(_KEYS, values, strict=True)},
    }


def good_until_renewal(present: Certificates, *, host: str, now: datetime) -> bool:
    """Tell whether the certificate is for this host, signed by the authority beside it, and far from its end."""
    try:
        authority = x509.load_pem_x509_certificates(present.bundle)[0]
        leaf = x509.load_pem_x509_certificate(present.certificate)
        leaf.verify_directly_issued_by(authority)
        key = serialization.load_pem_private_key(present.key, password=None)
        named = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, TypeError, IndexError, x509.ExtensionNotFound, InvalidSignature):
        return False
    return (
        key.public_key() == leaf.public_key()
        and host in named.get_values_for_type(x509.DNSName)
        and now < leaf.not_valid_after_utc - RENEW_BEFORE
        and now < authority.not_valid_after_utc - LEAF_LIFE
    )


def renewed(present: Certificates | None, *, host: str, now: datetime) -> Certificates:
    """Make a certificate, by the present authority while that lives long enough, else by a new one.

    A new authority keeps its predecessor in the bundle, so that replicas that still show the old certificate are
    believed until they have read the new one.
    """
    authority, ca_key, bundle = _reusable(present, now) or _new_authority(present, now)
    key = ec.generate_private_key(ec.SECP256R1())
    leaf = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "modeldata-operator webhook")]))
        .issuer_name(authority.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + LEAF_LIFE)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    return Certificates(
        bundle=bundle,
        ca_key=_pem_key(ca_key),
        certificate=leaf.public_bytes(serialization.Encoding.PEM),
        key=_pem_key(key),
    )


_Authority = tuple[x509.Certificate, ec.EllipticCurvePrivateKey, bytes]


def _reusable(present: Certificates | None, now: datetime) -> _Authority | None:
    if present is None:
        return None
    try:
        authority = x509.load_pem_x509_certificates(present.bundle)[0]
        key = serialization.load_pem_private_key(present.ca_key, password=None)
    except (ValueError, TypeError, IndexError):
        return None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != authority.public_key():
        return None
    if now >= authority.not_valid_after_utc - LEAF_LIFE:
        return None
    return authority, key, present.bundle


def _new_authority(present: Certificates | None, now: datetime) -> _Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "modeldata-operator webhook authority")])
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + CA_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    bundle = certificate.public_bytes(serialization.Encoding.PEM) + _predecessor(present)
    return certificate, key, bundle


def _predecessor(present: Certificates | None) -> bytes:
    try:
        older = x509.load_pem_x509_certificates(present.bundle)[:1] if present else []
    except ValueError:
        older = []
    return b"".join(certificate.public_bytes(serialization.Encoding.PEM) for certificate in older)


def _pem_key(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
