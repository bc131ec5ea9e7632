"""What of Azure a signing pod needs: an authority outside of the cluster, and a storage account that trusts it."""

from __future__ import annotations

import functools
import json
import pathlib
import typing

import jwt
import yaml

from ..delivery.authority import REFUSAL, Authority
from .conftest import ACCOUNT, REPOSITORY, Azurite

AUDIENCE = "api://AzureADTokenExchange"


class Entra(Authority):
    """Gives tokens to who shows a service account's token that this cluster signed: a federated credential's terms.

    Args:
        cluster: whose pods may sign in.
        directory: where its certificate and key are written.
        subject: the service account that it knows.
        client: the id of the identity that this service account may sign in as.
        names: who else shows its certificate.

    """

    def __init__(
        self,
        cluster: typing.Any,
        directory: pathlib.Path,
        *,
        subject: str,
        client: str,
        names: typing.Iterable[str],
    ) -> None:
        discovered = json.loads(cluster.kubectl("get", "--raw", "/.well-known/openid-configuration"))
        self._issuer = discovered["issuer"]
        self._keys = jwt.PyJWKSet.from_json(cluster.kubectl("get", "--raw", "/openid/v1/jwks"))
        self._subject, self._client = subject, client
        node = cluster.kubectl("get", "nodes", "-o", "jsonpath={.items[0].status.addresses[0].address}")
        super().__init__(directory, node, names)

    def knows(self, subject: str) -> None:
        """Know this service account instead: the identity's federated credential was changed."""
        self._subject = subject

    def answer(self, path: str, form: dict[str, str]) -> tuple[int, dict[str, object]]:
        given = super().answer(path, form)
        return given if self._trusts(form) else (400, dict(REFUSAL))

    def _trusts(self, form: dict[str, str]) -> bool:
        assertion = form.get("client_assertion", "")
        try:
            key = self._keys[jwt.get_unverified_header(assertion)["kid"]]
            claims = jwt.decode(assertion, key, ["ES256", "RS256"], audience=AUDIENCE, issuer=self._issuer)
        except (jwt.InvalidTokenError, LookupError):
            return False
        return claims["sub"] == self._subject and form.get("client_id") == self._client


class Account:
    """A storage account: examples/azurite.yaml in a namespace, over https and with tokens."""

    def __init__(self, cluster: typing.Any, namespace: str) -> None:
        """Make its Service, which gives it the address that its certificate must have."""
        text = (REPOSITORY / "examples/azurite.yaml").read_text(encoding="utf-8")
        _, self._deployment, service = yaml.safe_load_all(text)
        service["metadata"]["namespace"] = self._deployment["metadata"]["namespace"] = namespace
        self._kubectl = functools.partial(cluster.kubectl, "-n", namespace)
        self._kubectl("apply", "-f", "-", input=json.dumps(service))
        address = self._kubectl("get", "service", "azurite", "-o", "jsonpath={.spec.clusterIP}")
        host = f"azurite.{namespace}.svc"
        self.names = f"DNS:{host}", f"IP:{address}"
        self._urls = [f"https://{name}:10000/{ACCOUNT}" for name in (host, address)]

    def start(self, authority: Authority) -> Azurite:
        """Start it with an authority's certificate."""
        files = (f"--cert={authority.certificate}", f"--key={authority.key}")
        self._kubectl("create", "secret", "tls", "azurite", *files)
        spec = self._deployment["spec"]["template"]["spec"]
        (container,) = spec["containers"]
        container["args"] = ["--oauth", "basic", "--cert", "/tls/tls.crt", "--key", "/tls/tls.key"]
        container["volumeMounts"].append({"name": "tls", "mountPath": "/tls"})
        spec["volumes"].append({"name": "tls", "secret": {"secretName": "azurite"}})
        self._kubectl("apply", "-f", "-", input=json.dumps(self._deployment))
        self._kubectl("rollout", "status", "deploy/azurite", "--timeout=120s")
        return Azurite(*self._urls, trusted=authority.certificate)
