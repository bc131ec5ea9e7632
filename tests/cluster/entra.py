"""What of Azure a signing pod needs: an authority outside of the cluster, and a storage account that trusts it."""

from __future__ import annotations

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


def account(cluster: typing.Any, namespace: str) -> tuple[list[str], typing.Callable[[Authority], Azurite]]:
    """Prepare examples/azurite.yaml in a namespace, over https and with tokens.

    Returns: the names that it has, and what starts it with an authority's certificate.

    """
    _, deployment, service = yaml.safe_load_all((REPOSITORY / "examples/azurite.yaml").read_text(encoding="utf-8"))
    in_namespace = ("-n", namespace)
    service["metadata"]["namespace"] = deployment["metadata"]["namespace"] = namespace
    cluster.kubectl("apply", "-f", "-", input=json.dumps(service))
    address = cluster.kubectl(*in_namespace, "get", "service", "azurite", "-o", "jsonpath={.spec.clusterIP}")
    host = f"azurite.{namespace}.svc"

    def start(authority: Authority) -> Azurite:
        files = (f"--cert={authority.certificate}", f"--key={authority.key}")
        cluster.kubectl(*in_namespace, "create", "secret", "tls", "azurite", *files)
        spec = deployment["spec"]["template"]["spec"]
        (container,) = spec["containers"]
        container["args"] = ["--oauth", "basic", "--cert", "/tls/tls.crt", "--key", "/tls/tls.key"]
        container["volumeMounts"].append({"name": "tls", "mountPath": "/tls"})
        spec["volumes"].append({"name": "tls", "secret": {"secretName": "azurite"}})
        cluster.kubectl("apply", "-f", "-", input=json.dumps(deployment))
        cluster.kubectl(*in_namespace, "rollout", "status", "deploy/azurite", "--timeout=120s")
        inside, outside = (f"https://{name}:10000/{ACCOUNT}" for name in (host, address))
        return Azurite(inside, outside, trusted=authority.certificate)

    return [f"DNS:{host}", f"IP:{address}"], start
