"""``python -m modeldata doctor`` beside a model: it finds what is wrong, says the way out, and changes nothing."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import fcntl
import http.server
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import typing

import pytest
from azure.storage.blob import ContainerSasPermissions, generate_container_sas

from modeldata.doctor import findings

from . import policies

pytestmark = pytest.mark.azurite

MODEL = """
import os, signal, sys
from modeldata import ModelDataCollector
model = ModelDataCollector("m", "inputs", ["n"])
for n in range(20):
    model.collect([[n]])
print("collected", flush=True)
signal.pause()
"""


@dataclasses.dataclass
class Report:
    code: int
    text: str

    def lines(self, level: str) -> list[str]:
        """Return the findings of a level, each with its way out."""
        findings = self.text.replace("\n" + " " * 21, " -> ").splitlines()
        return [line.partition(" ")[2].strip() for line in findings if line.startswith(level + " ")]

    @property
    def wrong(self) -> list[str]:
        return self.lines("wrong")

    @property
    def warnings(self) -> list[str]:
        return self.lines("warning")


def doctor(environment: dict[str, str]) -> Report:
    done = subprocess.run(
        [sys.executable, "-m", "modeldata", "doctor"],
        env=environment,
        text=True,
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.stderr == ""
    assert "sig=" not in done.stdout
    report = Report(done.returncode, done.stdout)
    assert report.code == (1 if report.wrong else 0)
    assert all(" -> " in line for line in report.wrong + report.warnings)
    return report


@pytest.fixture
def model(pod: typing.Any) -> typing.Iterator[typing.Callable[[], subprocess.Popen[str]]]:
    """Start a model that collects 20 rows and goes on."""
    with contextlib.ExitStack() as stack:

        def start() -> subprocess.Popen[str]:
            process = pod.start(MODEL)
            stack.callback(process.communicate)
            stack.callback(process.kill)
            assert process.stdout.readline() == "collected\n"
            return typing.cast("subprocess.Popen[str]", process)

        yield start


def tree(directory: pathlib.Path) -> dict[str, tuple[int, int, int]]:
    """Return what would tell that a file was changed."""
    status = {str(path): path.stat() for path in directory.rglob("*")}
    return {name: (each.st_ino, each.st_size, each.st_mtime_ns) for name, each in status.items()}


def test_all_is_well(pod: typing.Any) -> None:
    (pod.directory / "spool").mkdir()
    report = doctor(pod.environment())
    assert (report.code, report.wrong, report.warnings) == (0, [], [])
    assert "models/test, generation 1" in report.text
    day = datetime.datetime.now(datetime.UTC).strftime("%Y/%m/%d")
    assert f"{pod.container.container_name}/churn/MODEL/10/DESIGNATION/{day}/data.csv" in report.text
    assert "it is valid for 60 min" in report.text
    assert "may append (404 BlobNotFound)" in report.text
    assert "as the storage service's" in report.text
    assert pod.blobs() == {}  # nothing was left in the container
    assert list((pod.directory / "spool").iterdir()) == []  # nor in the spool


def test_a_credential_that_can_only_add_and_create_reaches_storage_too(pod: typing.Any) -> None:
    pod.credential("ac")
    assert "may append (404 BlobNotFound)" in doctor(pod.environment()).text


@pytest.mark.parametrize("rights", ["ra", "rc", "ac"])
def test_a_credential_that_lacks_a_right(pod: typing.Any, rights: str) -> None:
    pod.credential(rights)
    (missing,) = set("rac") - set(rights)
    found = doctor(pod.environment()).wrong
    assert any(f"sp={rights} lack {missing} " in line and "sp=rac is needed" in line for line in found)


def test_a_pod_with_a_file_of_its_own_needs_no_right_to_read(pod: typing.Any) -> None:
    pod.settings(storage={"endpoint": pod.endpoint, "container": pod.container.container_name, "file": "PerPod"})
    pod.credential("ac")
    report = doctor(pod.environment())
    assert (report.code, report.wrong) == (0, [])


def test_a_credential_that_can_do_more_than_is_needed(pod: typing.Any) -> None:
    pod.credential("racwd")
    report = doctor(pod.environment())
    assert report.code == 0
    assert any("overwrite, delete" in line for line in report.warnings)


def test_a_credential_that_expired(pod: typing.Any) -> None:
    pod.credential(lifetime=-datetime.timedelta(hours=3, minutes=-90))
    found = doctor(pod.environment()).wrong
    assert any("it expired 90 min ago" in line for line in found)
    assert any("403" in line and "the SAS is not valid" in line for line in found)


def test_a_credential_that_expires_soon(pod: typing.Any) -> None:
    pod.credential(lifetime=datetime.timedelta(minutes=5))
    report = doctor(pod.environment())
    assert report.code == 0
    assert any("should have been renewed" in line for line in report.warnings)


def test_a_credential_that_is_not_valid_yet(pod: typing.Any) -> None:
    now = datetime.datetime.now(datetime.UTC)
    sas = generate_container_sas(
        pod.azurite.account_name,
        pod.container.container_name,
        account_key=pod.azurite.account_key,
        permission=ContainerSasPermissions.from_string("rac"),
        start=now + datetime.timedelta(hours=3),
        expiry=now + datetime.timedelta(hours=9),
    )
    (pod.directory / "credential/sas").write_text(sas)
    assert any("it is valid only in 3 h" in line for line in doctor(pod.environment()).wrong)


def test_a_credential_with_a_wrong_signature(pod: typing.Any) -> None:
    path = pod.directory / "credential/sas"
    head, _, _ = path.read_text().partition("sig=")
    path.write_text(f"{head}sig=c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2Vj")
    found = doctor(pod.environment())
    assert "c2VjcmV0" not in found.text
    assert any(line.startswith("storage") and "403" in line for line in found.wrong)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "the file is empty"),
        ("https://account.blob.core.windows.net/c?sv=1&sig=c2VjcmV0", "the file holds a URL"),
        ("AccountKey=c2VjcmV0", "there is no signature in it"),
    ],
)
def test_a_credential_that_is_none(pod: typing.Any, content: str, expected: str) -> None:
    (pod.directory / "credential/sas").write_text(content)
    report = doctor(pod.environment())
    assert any(expected in line for line in report.wrong)
    assert "c2VjcmV0" not in report.text


def test_no_credential(pod: typing.Any) -> None:
    (pod.directory / "credential/sas").unlink()
    assert any("No such file" in line and "CredentialsReady" in line for line in doctor(pod.environment()).wrong)


def test_a_container_that_is_not_there(pod: typing.Any) -> None:
    pod.container.delete_container()
    (wrong,) = doctor(pod.environment()).wrong
    assert "does not exist (404 ContainerNotFound): rows wait -> create the container" in wrong


def test_an_endpoint_where_nobody_listens(pod: typing.Any, proxy: typing.Any) -> None:
    pod.endpoint = proxy.endpoint
    pod.settings()
    proxy.close()
    (wrong,) = doctor(pod.environment()).wrong
    assert "can't be reached: Connection refused" in wrong


def test_an_endpoint_that_takes_connections_and_does_not_answer(pod: typing.Any, proxy: typing.Any) -> None:
    pod.endpoint = proxy.endpoint
    pod.settings()
    proxy.down = True
    (wrong,) = doctor(pod.environment()).wrong
    assert "can't be reached: no answer" in wrong


def test_an_endpoint_whose_name_is_unknown(pod: typing.Any) -> None:
    pod.endpoint = "http://account.invalid"
    pod.settings()
    (wrong,) = doctor(pod.environment()).wrong
    assert "account.invalid/" in wrong
    assert "can't be reached: the name can't be resolved" in wrong


def test_an_endpoint_that_does_not_speak_tls(pod: typing.Any) -> None:
    pod.endpoint = pod.endpoint.replace("http://", "https://")
    pod.settings()
    (wrong,) = doctor(pod.environment()).wrong
    assert "can't be reached: TLS fails" in wrong


class NoBlobService(http.server.BaseHTTPRequestHandler):
    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response_only(404)
        self.send_header("Content-Length", "0")
        self.end_headers()


def test_an_endpoint_that_is_no_blob_service(pod: typing.Any) -> None:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), NoBlobService)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    pod.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    pod.settings()
    try:
        (wrong,) = doctor(pod.environment()).wrong
    finally:
        server.shutdown()
        server.server_close()
    assert "is no blob service (404)" in wrong


def test_an_endpoint_that_is_no_url(pod: typing.Any) -> None:
    pod.endpoint = "account"
    pod.settings()
    assert any("'account' is no URL" in line for line in doctor(pod.environment()).wrong)


def test_storage_that_is_busy(pod: typing.Any, proxy: typing.Any) -> None:
    pod.endpoint = proxy.endpoint
    pod.settings()
    proxy.rates = {"503": 1.0}
    report = doctor(pod.environment())
    assert report.code == 0
    assert any("busy or out of order (503" in line for line in report.warnings)


@pytest.mark.parametrize(
    ("answer", "way_out"),
    [
        (policies.DISABLED, "enable the account again"),
        (policies.VAULT, "mend the account's or container's encryption"),
        (policies.SCOPE, "mend the account's or container's encryption"),
        (policies.CONTAINER_DISABLED, "enable the container"),
        (policies.LEASE, "somebody holds a lease"),
    ],
    ids=lambda each: each if isinstance(each, str) else each[1],
)
def test_what_the_owner_of_the_storage_has_set_is_not_blamed_on_the_credential(
    pod: typing.Any, proxy: typing.Any, answer: policies.Answer, way_out: str
) -> None:
    pod.endpoint = proxy.endpoint
    pod.settings()
    proxy.policies = [policies.Refuses(answer)]
    (wrong,) = doctor(pod.environment()).wrong
    assert f"({answer[0]} {answer[1]})" in wrong
    assert way_out in wrong


def test_nothing_is_configured() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "MODELDATA_DIR"}
    (wrong,) = doctor(environment).wrong
    assert "MODELDATA_DIR is not set: nothing is collected here" in wrong


def test_a_directory_that_is_missing(pod: typing.Any) -> None:
    (wrong,) = doctor(pod.environment(MODELDATA_DIR="/nowhere/modeldata")).wrong
    assert "/nowhere/modeldata (MODELDATA_DIR) is no directory" in wrong


def test_settings_that_cannot_be_read(pod: typing.Any) -> None:
    path = pod.directory / "settings/settings.json"
    path.unlink()
    path.symlink_to(path)
    assert any("settings.json can't be read: Too many levels" in line for line in doctor(pod.environment()).wrong)


def test_an_endpoint_with_a_signature_in_it_is_not_shown(pod: typing.Any) -> None:
    pod.endpoint += "?sv=2024-11-04&sig=c2VjcmV0"
    pod.settings()
    report = doctor(pod.environment())
    assert any("more than an address" in line for line in report.wrong)
    assert "c2VjcmV0" not in report.text


def test_settings_that_make_no_sense(pod: typing.Any) -> None:
    path = pod.directory / "settings/settings.json"
    path.write_text("{")
    assert any("settings.json: no JSON" in line for line in doctor(pod.environment()).wrong)
    pod.settings(enabled="yes")
    assert any("enabled is 'yes', not of type bool" in line for line in doctor(pod.environment()).wrong)


def test_settings_that_ask_for_what_this_client_cannot_do(pod: typing.Any) -> None:
    pod.settings(version=2)
    assert any("version 2" in line and "use a newer client" in line for line in doctor(pod.environment()).wrong)


def test_what_is_left_out_of_the_rows(pod: typing.Any) -> None:
    redact = [{"feature": "ssn", "action": "Drop"}, {"feature": "email", "action": "Hash"}]
    pod.settings(sampling={"percent": 10}, redact=redact)
    report = doctor(pod.environment())
    assert all(text in report.text for text in ("10 % of the requests", "left out: ssn", "hashed: email"))
    (wrong,) = report.wrong
    assert "hash-key has no key for the hashes" in wrong
    (pod.directory / "credential/hash-key").write_text("c2VjcmV0")
    report = doctor(pod.environment())
    assert (report.code, report.wrong) == (0, [])
    assert "c2VjcmV0" not in report.text


def test_collection_that_is_switched_off(pod: typing.Any) -> None:
    pod.settings(enabled=False)
    report = doctor(pod.environment())
    assert report.code == 0
    assert any("collection is off" in line and "enabled: true" in line for line in report.warnings)


def test_rows_of_a_running_process_wait(pod: typing.Any, model: typing.Any) -> None:
    pod.settings(flushInterval="1h")
    model()
    report = doctor(pod.environment())
    assert report.code == 0
    assert "1 running" in report.text
    assert "the oldest row that waits was collected" in report.text


def test_rows_of_a_killed_process_wait(pod: typing.Any, model: typing.Any) -> None:
    pod.settings(flushInterval="1h")
    process = model()
    process.kill()
    process.wait()
    report = doctor(pod.environment())
    assert report.code == 0
    waiting = sum(path.stat().st_size for path in pod.directory.glob("spool/*/*.seg"))
    assert any(f"1 ended; {findings.amount(waiting)} of theirs wait" in line for line in report.warnings)
    assert any("the next process of this pod that collects sends it" in line for line in report.warnings)


def test_an_append_that_gets_no_answer(
    pod: typing.Any, proxy: typing.Any, model: typing.Any, eventually: typing.Any
) -> None:
    pod.endpoint = proxy.endpoint
    pod.settings()
    model()
    eventually(lambda: len(pod.rows("inputs")) == 20)
    proxy.down = True
    model()
    ((name, content),) = pod.blobs().items()
    expected = f"20 rows for {pod.endpoint}/{pod.container.container_name} were taken on"
    eventually(lambda: expected in doctor(pod.environment()).text)
    assert f"the append under way goes to {name} at {len(content.encode())}" in doctor(pod.environment()).text


def test_a_spool_that_is_full(pod: typing.Any, model: typing.Any) -> None:
    pod.settings(flushInterval="1h")
    model()
    pod.settings(flushInterval="1h", spool={"bytes": 100})
    assert any("it is full, new rows are dropped (spool_full)" in line for line in doctor(pod.environment()).wrong)


def test_a_user_who_may_not_read_what_waits_is_told_so(pod: typing.Any) -> None:
    with tempfile.TemporaryDirectory() as temporary:  # pytest's own directory is closed to others
        pod.directory = pathlib.Path(temporary) / "modeldata"
        pod.settings()
        pod.credential()
        segment = pod.directory / "spool/pod-0-another/000000001.seg"
        segment.parent.mkdir(parents=True)
        segment.write_bytes(b"not for everybody\n")
        segment.chmod(0o600)
        (pod.directory / "credential/sas").chmod(0o600)
        pathlib.Path(temporary).chmod(0o755)
        script = """
import os, sys
from modeldata.doctor import examination
examination._version("modeldata")  # imports, which another user may not read either
os.setgid(65534); os.setuid(65534)
examination.report(sys.stdout.write)
"""
        text = pod.run(script).stdout
    assert "credential/sas can't be read: Permission denied" in text
    assert "it can't be written: rows are dropped (disk)" in text
    assert "pod-0-another/000000001.seg: Permission denied" in text


def test_the_running_shipper_is_not_disturbed(pod: typing.Any, model: typing.Any, eventually: typing.Any) -> None:
    pod.settings(flushInterval="1h")
    model()
    model()
    eventually(lambda: "one process ships" in doctor(pod.environment()).text)
    before = tree(pod.directory)
    for _ in range(3):
        doctor(pod.environment())
    assert tree(pod.directory) == before
    for path in [*pod.directory.glob("spool/*/alive"), pod.directory / "spool/.shipper/lock"]:
        with path.open("r+b") as file, pytest.raises(BlockingIOError):  # each is still held
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    pod.settings()
    eventually(lambda: len(pod.rows("inputs")) == 40)


def test_a_command_that_is_none_is_told_the_usage() -> None:
    for arguments, code in (([], 0), (["--help"], 0), (["heal"], 2)):
        done = subprocess.run(
            [sys.executable, "-m", "modeldata", *arguments], text=True, capture_output=True, timeout=60, check=False
        )
        assert done.returncode == code
        assert "usage: python -m modeldata doctor" in (done.stderr if code else done.stdout)
