"""However a process ends: rows whose collect() returned arrive, once."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys
import typing

import pytest

pytestmark = pytest.mark.azurite

PRELUDE = """
import multiprocessing, os, signal, sys, threading, time
import modeldata, modeldata.process.ending
from modeldata import ModelDataCollector
modeldata.process.ending.EXIT_SECONDS = 60  # the machine may be slow
model = ModelDataCollector("m", "inputs", ["n"])
def collect(first, count):
    for n in range(first, first + count):
        model.collect([[n]])
def ready():
    print("ready", flush=True)
def wait():
    while True: time.sleep(0.05)  # never for long: a signal that comes just before a pause does not end it
"""
WAITING = PRELUDE + "collect(0, 20); ready(); wait()"
NEXT = PRELUDE + "ready(); wait()"


def numbers(pod: typing.Any) -> list[int]:
    rows = pod.rows("inputs")
    return sorted(rows["n"]) if len(rows) else []


def started(pod: typing.Any, script: str) -> subprocess.Popen[str]:
    process = pod.start(script)
    assert process.stdout.readline() == "ready\n"
    return process


def ended(process: subprocess.Popen[str]) -> int:
    process.communicate(timeout=120)  # twice what it may take to send what is left
    return process.returncode


def test_after_sigkill_the_next_process_delivers(pod: typing.Any, eventually: typing.Any) -> None:
    pod.settings(flushInterval="1h")
    process = started(pod, WAITING)
    process.kill()
    ended(process)
    assert numbers(pod) == []
    pod.settings()
    after = started(pod, NEXT)
    eventually(lambda: numbers(pod) == list(range(20)))
    eventually(lambda: not list(pod.directory.glob("spool/*/*.seg")))
    after.terminate()
    ended(after)
    assert numbers(pod) == list(range(20))


def test_a_process_that_ends_at_once_delivers_what_a_killed_one_left(pod: typing.Any) -> None:
    pod.settings(flushInterval="1h")
    process = started(pod, WAITING)
    process.kill()
    ended(process)
    pod.run(PRELUDE)
    assert numbers(pod) == list(range(20))


def test_at_sigterm_rows_are_delivered_before_the_process_dies_of_it(pod: typing.Any) -> None:
    pod.settings(flushInterval="1h")
    process = started(pod, WAITING)
    process.terminate()
    assert ended(process) == -signal.SIGTERM
    assert numbers(pod) == list(range(20))


def test_at_sigint_rows_are_delivered(pod: typing.Any) -> None:
    pod.settings(flushInterval="1h")
    process = started(pod, WAITING)
    process.send_signal(signal.SIGINT)
    ended(process)
    assert numbers(pod) == list(range(20))


def test_at_os_exit_rows_wait_for_the_next_process(pod: typing.Any) -> None:
    pod.settings(flushInterval="1h")
    pod.run(PRELUDE + "collect(0, 20); os._exit(0)")
    assert numbers(pod) == []
    pod.run(PRELUDE)
    assert numbers(pod) == list(range(20))


def test_a_script_that_is_pid_1_goes_on_after_sigterm_as_it_would_and_its_rows_are_delivered(
    pod: typing.Any, eventually: typing.Any
) -> None:
    pod.settings(flushInterval="1h")
    script = "collect(0, 10); ready(); sys.stdin.readline(); collect(10, 10); ready(); wait()"
    # A PID namespace of its own, as a container has: the kernel keeps signals from PID 1 that it has no handler for.
    container = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", sys.executable, "-c", PRELUDE + script]
    with subprocess.Popen(
        container, env=pod.environment(), text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        try:
            assert process.stdout.readline() == "ready\n"
            children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children")
            os.kill(int(children.read_text()), signal.SIGTERM)
            eventually(lambda: numbers(pod) == list(range(10)))
            process.stdin.write("\n")
            process.stdin.flush()
            assert process.stdout.readline() == "ready\n"
            eventually(lambda: numbers(pod) == list(range(20)))
        finally:
            process.kill()


def test_where_storage_is_away_a_process_dies_of_sigterm_all_the_same(pod: typing.Any, proxy: typing.Any) -> None:
    proxy.down = True
    pod.endpoint = proxy.endpoint
    pod.settings(flushInterval="1h")
    # The interrupted code holds a lock that logging wants.
    script = """
import logging
lock = threading.Lock()
class Locked(logging.Handler):
    def emit(self, record):
        with lock: print(record.getMessage(), flush=True)
logging.getLogger("modeldata").addHandler(Locked())
collect(0, 20)
with lock:
    modeldata.process.ending.EXIT_SECONDS = 0.5
    os.kill(os.getpid(), signal.SIGTERM)
    sys.stdin.read()
"""
    process = pod.start(PRELUDE + script)
    assert ended(process) == -signal.SIGTERM
    proxy.down = False
    pod.run(PRELUDE)
    assert numbers(pod) == list(range(20))


def test_what_waits_at_the_end_is_said(pod: typing.Any, proxy: typing.Any) -> None:
    proxy.down = True
    pod.endpoint = proxy.endpoint
    pod.settings(flushInterval="1h")
    script = "modeldata.process.ending.EXIT_SECONDS = 0.5; collect(0, 20); "
    done = pod.run(PRELUDE + script)
    assert "bytes wait in the spool at the end" in done.stderr
    with pytest.raises(subprocess.CalledProcessError) as died:
        pod.run(PRELUDE + script + "signal.raise_signal(signal.SIGTERM)")
    assert died.value.returncode == -signal.SIGTERM
    assert "bytes wait in the spool at the end" in died.value.stderr


def test_a_servers_own_sigterm_handler_runs_and_its_last_requests_are_delivered(pod: typing.Any) -> None:
    pod.settings(flushInterval="1h")
    server = """
stopping = False
def handler(*_):
    global stopping
    stopping = True
signal.signal(signal.SIGTERM, handler)
collect(0, 10)
ready()
while not stopping:
    time.sleep(0.01)
collect(10, 10)
print("drained", flush=True)
"""
    process = started(pod, PRELUDE + server)
    process.terminate()
    assert process.communicate(timeout=120)[0] == "drained\n"
    assert process.returncode == 0
    assert numbers(pod) == list(range(20))


def test_a_server_that_collects_in_threads_and_raises_the_signal_again(pod: typing.Any) -> None:
    pod.settings(flushInterval="1h")
    server = """
stop = threading.Event()
before = signal.signal(signal.SIGTERM, lambda *_: stop.set())
thread = threading.Thread(target=collect, args=(0, 20))
thread.start(); thread.join()
ready()
while not stop.wait(0.01):
    pass
signal.signal(signal.SIGTERM, before)
signal.raise_signal(signal.SIGTERM)
"""
    process = started(pod, PRELUDE + server)
    process.terminate()
    assert ended(process) == -signal.SIGTERM
    assert numbers(pod) == list(range(20))


def test_who_ships_for_others_does_not_wait_for_what_they_collect_meanwhile(pod: typing.Any) -> None:
    pod.settings(flushInterval="1h")
    ships = started(pod, WAITING.replace("EXIT_SECONDS = 60", "EXIT_SECONDS = 600"))
    busy = started(pod, PRELUDE + "ready()\nwhile True: collect(100, 1); time.sleep(0.001)")
    try:
        ships.terminate()
        assert ended(ships) == -signal.SIGTERM
        assert set(range(20)) <= set(numbers(pod))
        assert busy.poll() is None
    finally:
        for process in (ships, busy):
            process.kill()
            ended(process)


def test_a_collector_that_only_threads_know_is_delivered_at_sigterm(pod: typing.Any) -> None:
    pod.settings(flushInterval="1h")
    script = """
import signal, threading, time
import modeldata.process.ending
modeldata.process.ending.EXIT_SECONDS = 60
modeldata.install()
def serve():
    model = modeldata.ModelDataCollector("m", "inputs", ["n"])
    for n in range(20): model.collect([[n]])
thread = threading.Thread(target=serve)
thread.start(); thread.join()
print("ready", flush=True)
while True: time.sleep(0.05)
"""
    process = started(pod, script)
    process.terminate()
    assert ended(process) == -signal.SIGTERM
    assert numbers(pod) == list(range(20))


def test_an_exception_ends_the_process_after_delivery(pod: typing.Any) -> None:
    with pytest.raises(subprocess.CalledProcessError) as error:
        pod.run(PRELUDE + "collect(0, 20); raise RuntimeError('the model broke')")
    assert "the model broke" in error.value.stderr
    assert numbers(pod) == list(range(20))


def test_parent_and_forked_child_both_deliver(pod: typing.Any) -> None:
    pod.settings(flushInterval="1h")
    pod.run(
        PRELUDE
        + """
collect(0, 10)
child = os.fork()
if child == 0:
    collect(10, 10)
    sys.exit(0)
collect(20, 10)
assert os.waitpid(child, 0)[1] == 0
collect(30, 10)
"""
    )
    assert numbers(pod) == list(range(40))


def test_children_that_end_without_exit_hooks_are_delivered_by_their_parent(pod: typing.Any) -> None:
    pod.settings(flushInterval="1h")
    pod.run(
        PRELUDE
        + """
context = multiprocessing.get_context("fork")
def vanish(first, count):
    collect(first, count)
    os._exit(0)
children = [context.Process(target=vanish, args=(10 * n, 10)) for n in range(4)]
for child in children: child.start()
for child in children: child.join()
assert all(child.exitcode == 0 for child in children)
"""
    )
    assert numbers(pod) == list(range(40))


def test_forking_while_threads_collect_does_no_harm(pod: typing.Any) -> None:
    pod.run(
        PRELUDE
        + """
threads = [threading.Thread(target=collect, args=(1000 * n, 300)) for n in range(3)]
for thread in threads: thread.start()
children = []
for n in range(10):
    child = os.fork()
    if child == 0:
        collect(10_000 + n, 1)
        os._exit(0)
    children.append(child)
for child in children: assert os.waitpid(child, 0)[1] == 0
for thread in threads: thread.join()
"""
    )
    expected = [1000 * n + each for n in range(3) for each in range(300)] + [10_000 + n for n in range(10)]
    assert numbers(pod) == sorted(expected)


def test_a_child_of_a_server_that_runs_no_hooks_waits_for_no_lock_that_its_parent_held(pod: typing.Any) -> None:
    pod.run(
        PRELUDE
        + """
import ctypes
from modeldata.observe import counters
from modeldata.process import running
from modeldata.threads import forking
collect(0, 1)
assert modeldata.close(60)
ours = running.existing()
def hold():  # and end: who waits for one of them waits for ever, and no thread wants CPython's own lock at the fork
    for lock in (ours.writer._lock, ours.counters._lock.here(), running.making.here(), forking.gate.here()):
        lock.acquire()
    ours.shipper._only.acquire()
threading.Thread(target=hold).start()
while len(os.listdir("/proc/self/task")) > 1: time.sleep(0.01)
child = ctypes.PyDLL(None).fork()
if child:
    os._exit(os.waitpid(child, 0)[1])
modeldata.install()
assert modeldata.stats().accepted == 0
assert modeldata.flush(60) and modeldata.close(60)
assert counters.mine is not None
counters.mine.complain("web", "as a request does before the first collect()")
forked = os.fork()
if forked == 0:
    os._exit(0)
assert os.waitpid(forked, 0)[1] == 0
time.sleep(0.2)  # which process this is, is asked ten times a second
collect(1, 1)
assert modeldata.stats().accepted == 1
"""
    )
    assert numbers(pod) == [0, 1]


def test_of_two_threads_that_notice_such_a_fork_both_collect_into_one_pipeline(pod: typing.Any) -> None:
    pod.run(
        PRELUDE
        + """
import ctypes
from modeldata.process import lifecycle
collect(0, 1)
assert modeldata.close(60)
while len(os.listdir("/proc/self/task")) > 1: time.sleep(0.01)
child = ctypes.PyDLL(None).fork()
if child:
    assert os.waitpid(child, 0)[1] == 0
    sys.exit()
both = threading.Barrier(2)
belongs_here = lifecycle.belongs_here
def together(ours):
    both.wait(30)
    return belongs_here(ours)
lifecycle.belongs_here = together
time.sleep(0.2)  # as above
threads = [threading.Thread(target=collect, args=(n, 1)) for n in (1, 2)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert modeldata.stats().accepted == 2, modeldata.stats()
"""
    )
    assert numbers(pod) == [0, 1, 2]


def test_a_server_that_runs_only_the_hooks_of_the_child_is_followed(pod: typing.Any) -> None:
    pod.run(
        PRELUDE
        + """
import ctypes
from modeldata.process import running
collect(0, 1)
assert modeldata.close(60)
while len(os.listdir("/proc/self/task")) > 1: time.sleep(0.01)
child = ctypes.PyDLL(None).fork()
if child:
    assert os.waitpid(child, 0)[1] == 0
else:
    ctypes.pythonapi.PyOS_AfterFork_Child()
    assert running.mine is None
    collect(1, 1)
"""
    )
    assert numbers(pod) == [0, 1]


def test_after_close_collecting_goes_on(pod: typing.Any) -> None:
    pod.settings(flushInterval="1h")
    pod.run(
        PRELUDE
        + """
collect(0, 10)
assert modeldata.close(60)
collect(10, 10)
assert modeldata.flush(60)
assert modeldata.stats().delivered == modeldata.stats().accepted == 20
"""
    )
    assert numbers(pod) == list(range(20))


def test_the_signature_is_never_logged(pod: typing.Any, proxy: typing.Any) -> None:
    pod.endpoint = proxy.endpoint
    pod.settings()
    proxy.rates = {"lost request": 0.2, "500": 0.2, "403": 0.1}
    done = pod.run("import logging; logging.basicConfig(level=logging.DEBUG)\n" + PRELUDE + "collect(0, 50)")
    signature = (pod.directory / "credential/sas").read_text().split("sig=")[1].split("&")[0]
    assert "modeldata" in done.stderr
    assert signature not in done.stderr
    assert "sig=" not in done.stderr


def test_a_model_that_cannot_have_threads_still_serves(pod: typing.Any) -> None:
    pod.settings(flushInterval="1h")
    pod.run(
        """
import threading
def refuse(self): raise RuntimeError("can't start new thread")
start, threading.Thread.start = threading.Thread.start, refuse
"""
        + PRELUDE
        + "collect(0, 20); assert modeldata.stats().accepted == 20"
    )
    pod.run(PRELUDE)
    assert numbers(pod) == list(range(20))
