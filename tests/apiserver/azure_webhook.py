"""A stand-in for Azure's workload identity webhook: mutates pods as it does, in either of its two ways.

Its releases up to 1.5 have one volume name for all pods, and replace volume and mount by that name. Later ones derive
name and path from the pod's name. Both add those variables that are not there and not empty, to every container.
"""

from __future__ import annotations

import base64
import copy
import hashlib
import http.server
import json
import pathlib
import ssl
import subprocess
import threading
import typing

AUDIENCE = "api://AzureADTokenExchange"
AUTHORITY = "https://login.microsoftonline.com/"


class AzureWebhook:
    """The server; ``configuration`` registers it."""

    def __init__(self, directory: pathlib.Path, *, release: str, client: str, tenant: str) -> None:
        self._release, self._client, self._tenant = release, client, tenant
        self._certificate = directory / "azure.crt"
        key = directory / "azure.key"
        subject = ["-subj", "/CN=azure", "-addext", "subjectAltName=IP:127.0.0.1"]
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        command += ["-keyout", str(key), "-out", str(self._certificate), "-days", "2", *subject]
        subprocess.run(command, check=True, capture_output=True)
        self.calls = 0
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                answer = json.dumps(owner.review(review)).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (its name there)
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self._certificate, key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def configuration(self, name: str) -> dict[str, typing.Any]:
        """Return what registers it, as its own chart writes it."""
        return {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "MutatingWebhookConfiguration",
            "metadata": {"name": name},
            "webhooks": [
                {
                    "name": "mutation.azure-workload-identity.io",
                    "admissionReviewVersions": ["v1"],
                    "sideEffects": "None",
                    "failurePolicy": "Fail",
                    "matchPolicy": "Equivalent",
                    "reinvocationPolicy": "IfNeeded",
                    "objectSelector": {"matchLabels": {"azure.workload.identity/use": "true"}},
                    "clientConfig": {
                        "url": f"https://127.0.0.1:{self._server.server_address[1]}/mutate-v1-pod",
                        "caBundle": base64.b64encode(self._certificate.read_bytes()).decode(),
                    },
                    "rules": [
                        {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
                    ],
                }
            ],
        }

    def review(self, review: dict[str, typing.Any]) -> dict[str, typing.Any]:
        """Answer an admission review."""
        self.calls += 1
        request = review["request"]
        spec = self.mutated(request["object"])
        patch = [] if spec == request["object"]["spec"] else [{"op": "replace", "path": "/spec", "value": spec}]
        response = {
            "uid": request["uid"],
            "allowed": True,
            **(
                {"patchType": "JSONPatch", "patch": base64.b64encode(json.dumps(patch).encode()).decode()}
                if patch
                else {}
            ),
        }
        return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}

    def mutated(self, pod: dict[str, typing.Any]) -> dict[str, typing.Any]:
        """Return the pod's spec as it leaves it."""
        spec = copy.deepcopy(pod["spec"])
        volume, directory, file = self._names(pod)
        variables = {
            "AZURE_CLIENT_ID": self._client,
            "AZURE_TENANT_ID": self._tenant,
            "AZURE_FEDERATED_TOKEN_FILE": f"{directory}/{file}",
            "AZURE_AUTHORITY_HOST": AUTHORITY,
        }
        for container in [*spec.get("initContainers", ()), *spec["containers"]]:
            present = container.setdefault("env", [])
            known = {variable["name"] for variable in present}
            present += [
                {"name": name, "value": value} for name, value in variables.items() if value and name not in known
            ]
            mount = {"name": volume, "mountPath": directory, "readOnly": True}
            _replace(container.setdefault("volumeMounts", []), mount)
        token = {"audience": AUDIENCE, "expirationSeconds": 3600, "path": file}
        _replace(
            spec.setdefault("volumes", []),
            {"name": volume, "projected": {"sources": [{"serviceAccountToken": token}]}},
        )
        return spec

    def _names(self, pod: dict[str, typing.Any]) -> tuple[str, str, str]:
        if self._release == "1.5":
            return "azure-identity-token", "/var/run/secrets/azure/tokens", "azure-identity-token"
        name = pod["metadata"].get("name") or pod["metadata"].get("generateName", "") + " (prefix)"
        prefix = "azure-workload-identity-reserved-"
        digest = hashlib.sha256(name.encode()).hexdigest()[: 63 - len(prefix)]
        return f"{prefix}{digest}", f"/var/run/secrets/azure/wi/{digest}", "token/azure-identity-token"


def _replace(items: list[dict[str, typing.Any]], item: dict[str, typing.Any]) -> None:
    for place, present in enumerate(items):
        if present["name"] == item["name"]:
            items[place] = item
            return
    items.append(item)
