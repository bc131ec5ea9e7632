"""helm test: a DataCollection is made, and a pod that it selects is injected. The pod is not really made."""

import json
import os
import pathlib
import ssl
import time
import urllib.error
import urllib.request

ACCOUNT = pathlib.Path("/var/run/secrets/kubernetes.io/serviceaccount")
NAMESPACE = os.environ["TEST_NAMESPACE"]
NAME = "modeldata-helm-test"
HOST = os.environ["KUBERNETES_SERVICE_HOST"]
# An address of IPv6 is written in brackets in a URL.
API = f"https://{f'[{HOST}]' if ':' in HOST else HOST}:{os.environ['KUBERNETES_SERVICE_PORT']}"
COLLECTIONS = f"/apis/modeldata.dev/v1alpha1/namespaces/{NAMESPACE}/datacollections"
COLLECTION = {
    "apiVersion": "modeldata.dev/v1alpha1",
    "kind": "DataCollection",
    "metadata": {"name": NAME},
    "spec": {
        "enabled": False,
        "selector": {"matchLabels": {"modeldata.dev/helm-test": NAME}},
        "storage": {"endpoint": "https://nowhere.invalid", "credential": {"secretRef": {"name": NAME}}},
    },
}
SECURITY = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
POD = {
    "metadata": {"name": NAME, "labels": {"modeldata.dev/helm-test": NAME}},
    "spec": {
        "securityContext": {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [{"name": "model", "image": "model", "securityContext": SECURITY}],
    },
}


def ask(method: str, path: str, body: object = None) -> dict:
    request = urllib.request.Request(
        API + path,
        data=json.dumps(body).encode() if body else None,
        method=method,
        headers={
            "Authorization": f"Bearer {(ACCOUNT / 'token').read_text()}",
            "Content-Type": "application/json",
        },
    )
    context = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    with urllib.request.urlopen(request, context=context, timeout=15) as answer:
        return json.load(answer)


def delete() -> None:
    try:
        ask("DELETE", f"{COLLECTIONS}/{NAME}")
    except urllib.error.HTTPError as error:
        if error.code != 404:
            raise


delete()
ask("POST", COLLECTIONS, COLLECTION)
try:
    deadline = time.monotonic() + 60
    while True:  # the webhook's replicas learn of a collection a moment after it is made
        pod = ask("POST", f"/api/v1/namespaces/{NAMESPACE}/pods?dryRun=All", POD)
        if "modeldata.dev/injected" in pod["metadata"].get("annotations", {}):
            break
        if time.monotonic() > deadline:
            raise SystemExit(f"a pod of namespace {NAMESPACE} that a DataCollection selects was not injected")
        time.sleep(0.5)
    print(f"a pod of namespace {NAMESPACE} is injected:", json.dumps(pod["metadata"]["annotations"]))
finally:
    delete()
