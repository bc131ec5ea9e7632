"""Pods that sign in themselves: by a stand-in for Microsoft Entra, to an Azurite that takes its tokens over https."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import pathlib
import subprocess
import sys
import time
import typing
import uuid

import pytest
from azure.storage.blob import ContainerClient

from modeldata import settings
from modeldata.delivery.azure import answers, blobs, credentials

from ..conftest import AZURITE_KEY, Azurite
from .authority import Authority, token
from .conftest import Pod
from .server import Server

pytestmark = pytest.mark.azurite

CLIENT = "01234567-89ab-cdef-0123-456789abcdef"
TENANT = "76543210-89ab-cdef-0123-456789abcdef"
SUBJECT = "system:serviceaccount:models:scoring"


@dataclasses.dataclass
class SigningPod(Pod):
    """A pod with a service account's token and no SAS."""

    authority: Authority = dataclasses.field(kw_only=True)

    def settings(self, **changes: typing.Any) -> None:
        who = {"clientId": CLIENT, "tenantId": TENANT, "authority": self.authority.url}
        super().settings(**changes)
        path = self.directory / "settings/settings.json"
        document = json.loads(path.read_text())
        document["storage"]["credential"] = {"workloadIdentity": who}
        self._replace(path, json.dumps(document))

    @property
    def token_file(self) -> pathlib.Path:
        return self.directory / "identity/token"

    def service_account(self, **claims: object) -> str:
        """Write the service account's token, as the kubelet does; return it."""
        usual = {"iss": "https://oidc.example.com/", "sub": SUBJECT, "aud": ["api://AzureADTokenExchange"]}
        written = token({**usual, "exp": int(time.time()) + 3600, **claims})
        self._replace(self.token_file, written)
        return written

    def environment(self, **more: str) -> dict[str, str]:
        trusted = {"REQUESTS_CA_BUNDLE": str(self.authority.certificate)}
        return super().environment(**trusted, **more)

    def doctor(self) -> str:
        command = [sys.executable, "-m", "modeldata", "doctor"]
        done = subprocess.run(command, env=self.environment(), text=True, capture_output=True, timeout=120, check=False)
        assert done.stderr == ""
        return done.stdout


@pytest.fixture(scope="module")
def azurite(azurite_program: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> typing.Iterator[typing.Any]:
    """An Azurite over https that takes tokens, and a certificate that it shares with the authority."""
    directory = tmp_path_factory.mktemp("oauth")
    authority = Authority(directory)
    flags = ["--oauth", "basic", "--cert", str(authority.certificate), "--key", str(authority.key)]
    server = Server(azurite_program, directory, flags=flags)
    yield server, authority
    server.stop()
    authority.stop()


@pytest.fixture
def pod(azurite: typing.Any, tmp_path: pathlib.Path) -> typing.Iterator[SigningPod]:
    server, authority = azurite
    verified = {"connection_verify": str(authority.certificate)}
    name = f"test-{uuid.uuid4().hex[:12]}"
    with ContainerClient(server.endpoint, name, credential=AZURITE_KEY, **verified) as container:
        container.create_container()
        made = SigningPod(
            tmp_path / "modeldata", container, Azurite(server.endpoint), server.endpoint, authority=authority
        )
        made.settings()
        made.service_account()
        authority.asked.clear()
        yield made
    authority.stop()
    authority.refuses, authority.audience, authority.lifetime = False, "https://storage.azure.com", 3600
    authority.start()


@pytest.mark.parametrize("file", ["Shared", "PerPod"])
def test_rows_arrive_by_the_pods_own_identity(
    pod: SigningPod, model: typing.Any, eventually: typing.Any, file: str
) -> None:
    pod.file = file
    pod.settings()
    ours = model(pod)
    for first in range(0, 1000, 250):
        ours.collect(first, 250)
        eventually(pod.arrived(first + 250))
    asked = pod.authority.asked[0]
    assert len(pod.authority.asked) == 1
    assert asked.tenant == TENANT
    assert asked.form["grant_type"] == "client_credentials"
    assert asked.form["client_id"] == CLIENT
    assert asked.form["client_assertion"] == pod.token_file.read_text()
    assert asked.form["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    assert asked.form["scope"] == "https://storage.azure.com/.default"
    assert not (pod.directory / "credential").exists()


def test_rows_wait_while_the_authority_is_down_and_arrive_later(
    pod: SigningPod, model: typing.Any, eventually: typing.Any
) -> None:
    pod.authority.stop()
    ours = model(pod)
    ours.collect(0, 300)
    eventually(pod.taken)
    ours.collect(300, 300)
    assert pod.numbers() == []
    pod.authority.start()
    eventually(pod.arrived(600))


def test_a_refused_identity_is_tried_again_in_growing_pauses_until_it_is_taken(
    pod: SigningPod, model: typing.Any, eventually: typing.Any
) -> None:
    pod.authority.refuses = True
    ours = model(pod, before=f"import logging; logging.basicConfig(filename='{pod.directory}/log')\n")
    ours.collect(0, 300)
    eventually(lambda: len(pod.authority.asked) >= 4)
    first, *_, last = [each.at for each in pod.authority.asked[:4]]
    assert last - first > 1.5  # 0.25, 0.5 and 1 s at least
    renewed = pod.service_account(jti="renewed")
    pod.authority.refuses = False
    eventually(pod.arrived(300))
    assert pod.authority.asked[-1].form["client_assertion"] == renewed
    said = (pod.directory / "log").read_text()
    assert "400 invalid_client AADSTS700213" in said
    assert "Trace ID" not in said
    assert pod.authority.asked[0].form["client_assertion"] not in said


def test_a_token_that_storage_refuses_is_given_back_for_another(
    pod: SigningPod, model: typing.Any, eventually: typing.Any
) -> None:
    pod.authority.audience = "https://vault.azure.net"
    model(pod).collect(0, 300)
    eventually(lambda: len(pod.authority.asked) >= 2)
    pod.authority.audience = "https://storage.azure.com"
    eventually(pod.arrived(300))


def test_a_token_that_ends_is_renewed_while_rows_come(
    pod: SigningPod, model: typing.Any, eventually: typing.Any
) -> None:
    pod.authority.lifetime = 2
    ours = model(pod)
    count = 0
    while len(pod.authority.asked) < 3 and count < 1000:
        ours.collect(count, 10)
        count += 10
        eventually(pod.arrived(count))
    assert len(pod.authority.asked) >= 3


def test_a_token_that_comes_later(pod: SigningPod, model: typing.Any, eventually: typing.Any) -> None:
    pod.token_file.unlink()
    model(pod).collect(0, 300)
    eventually(pod.taken)
    assert "can't be read" in pod.doctor()
    pod.service_account()
    eventually(pod.arrived(300))


def test_from_a_sas_to_an_identity_and_back_while_rows_come(
    pod: SigningPod, model: typing.Any, eventually: typing.Any
) -> None:
    pod.credential()
    Pod.settings(pod)
    ours = model(pod)
    ours.collect(0, 200)
    eventually(pod.arrived(200))
    assert pod.authority.asked == []
    pod.settings()
    ours.collect(200, 200)
    eventually(pod.arrived(400))
    (pod.directory / "credential/sas").unlink()
    ours.collect(400, 200)
    eventually(pod.arrived(600))
    assert len(pod.authority.asked) == 1
    pod.credential()
    Pod.settings(pod)
    pod.authority.stop()
    ours.collect(600, 200)
    eventually(pod.arrived(800))


def test_without_azure_identity_rows_wait_and_the_log_says_what_to_install(
    pod: SigningPod, model: typing.Any, eventually: typing.Any
) -> None:
    before = "import sys; sys.modules['azure.identity'] = None\n"
    before += f"import logging; logging.basicConfig(filename='{pod.directory}/log')\n"
    ours = model(pod, before=before)
    ours.collect(0, 100)
    eventually(lambda: "pip install 'modeldata[workload-identity]'" in (pod.directory / "log").read_text())
    assert pod.waits()
    ours.kill()
    model(pod).collect(100, 100)
    eventually(pod.arrived(200))


def test_a_token_is_never_sent_in_plain_text(pod: SigningPod, model: typing.Any, eventually: typing.Any) -> None:
    pod.endpoint = pod.endpoint.replace("https:", "http:")
    pod.settings()
    model(pod, before=f"import logging; logging.basicConfig(filename='{pod.directory}/log')\n").collect(0, 100)
    eventually(lambda: "a token is sent over https only" in (pod.directory / "log").read_text())
    assert pod.authority.asked == []
    assert "is not https" in pod.doctor()


def test_the_doctor_tells_who_the_pod_is_and_that_it_may_append(pod: SigningPod) -> None:
    text = pod.doctor()
    assert "wrong" not in text
    assert CLIENT in text
    assert SUBJECT in text
    assert "this identity may append" in text
    assert pod.token_file.read_text() not in text


def test_the_doctor_tells_why_there_is_no_token(pod: SigningPod) -> None:
    pod.authority.refuses = True
    text = pod.doctor()
    assert "AADSTS700213" in text
    assert "federated credential" in text
    pod.service_account(aud=["kubernetes"], exp=1)
    text = pod.doctor()
    assert "is for kubernetes" in text
    assert "expired" in text
    with contextlib.suppress(OSError):
        pod.authority.stop()
    assert "can't be reached" in pod.doctor()


@pytest.mark.parametrize(
    ("status", "text", "answer"),
    [
        (400, '{"error": "invalid_request", "error_description": "AADSTS90002: x"}', answers.Answer.DENIED),
        (401, '{"error": "invalid_client"}', answers.Answer.DENIED),
        (429, '{"error": "throttled"}', answers.Answer.AMBIGUOUS),
        (500, '{"error": "server_error"}', answers.Answer.AMBIGUOUS),
        (503, "", answers.Answer.AMBIGUOUS),
        (200, "<html>sign in to the hotel's network</html>", answers.Answer.AMBIGUOUS),
        (200, "{cut", answers.Answer.AMBIGUOUS),
        (200, "{}", answers.Answer.AMBIGUOUS),
        (200, '{"expires_in": 3600}', answers.Answer.AMBIGUOUS),
    ],
)
def test_no_answer_of_an_authority_loses_rows_or_is_taken_for_storages(
    pod: SigningPod, monkeypatch: pytest.MonkeyPatch, status: int, text: str, answer: answers.Answer
) -> None:
    for name, value in pod.environment().items():
        monkeypatch.setenv(name, value)
    pod.authority.answers = (status, text)
    identity = settings.WorkloadIdentity(CLIENT, TENANT, pod.authority.url)
    sas = pod.directory / "credential/sas"
    account = credentials.Account(pod.endpoint, pod.container.container_name, sas, identity)
    requests = blobs.Blobs(account, credentials.of(account))
    try:
        reply = requests.append("data.csv", b"row", 0)
        assert reply.answer is answer
        assert "no token" in reply.detail
        assert len(pod.authority.asked) == 1
        assert reply.retry_after == 7.0 or status not in (429, 500, 503)
    finally:
        pod.authority.answers = None
        requests.close()
