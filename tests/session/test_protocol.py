"""Messages arrive whole, or the connection is over with a reason."""

from __future__ import annotations

import os
import shutil
import socket
import struct
import subprocess
import threading
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transreward.cli import main
from transreward.cli.serve import HEADER, tell_line
from transreward.session.client import Client
from transreward.session.protocol import MOST, Gone, address, receive, send
from transreward.session.server import Server, listening
from transreward.types import RequestError


@pytest.fixture
def pair():
    ends = socket.socketpair()
    yield ends
    for end in ends:
        end.close()


json = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=5),
    max_leaves=20,
)


@given(message=st.dictionaries(st.text(max_size=8), json, max_size=6))
@settings(deadline=None)
def test_what_is_sent_arrives(message):
    one, other = socket.socketpair()
    with one, other:
        send(one, message)
        send(one, {"next": 1})
        assert receive(other, 1.0) == message and receive(other, 1.0) == {"next": 1}
        one.close()
        assert receive(other, 1.0) is None


@given(content=st.binary(max_size=200))
@settings(deadline=None, max_examples=200)
def test_whatever_is_sent_is_a_message_or_a_reason(content):
    one, other = socket.socketpair()
    with one, other:
        one.sendall(content)
        one.close()
        try:
            while (found := receive(other, 1.0)) is not None:
                assert isinstance(found, dict)
        except Gone as error:
            assert "\n" not in str(error)


SENT = {
    b"": None,
    b"\0\0": "half a message",
    struct.pack(">I", 5) + b"{}": "half a message",
    struct.pack(">I", MOST + 1): "bytes was announced",
    struct.pack(">I", 2) + b"[]": "must be a JSON object",
    struct.pack(">I", 12) + b'{"a":   NaN}': "NaN is no number",
    struct.pack(">I", 4) + b"\xff\xff\xff\xff": "no JSON",
    struct.pack(">I", 100_000) + b"[" * 100_000: "no JSON",
}


@pytest.mark.parametrize("content", SENT, ids=range(len(SENT)))
def test_what_is_no_message(pair, content):
    one, other = pair
    threading.Thread(target=lambda: (one.sendall(content), one.close())).start()
    if SENT[content] is None:
        assert receive(other, 1.0) is None
        return
    with pytest.raises(Gone, match=SENT[content]):
        receive(other, 1.0)


def test_half_a_message_is_not_waited_for(pair):
    pair[0].sendall(struct.pack(">I", 50) + b"{")
    with pytest.raises(Gone, match=r"nothing more for 0.05 s"):
        receive(pair[1], 0.05)


def test_the_socket_of_a_server_that_is_gone(tmp_path):
    path = str(tmp_path / "robot.sock")
    listening(path).close()
    assert Path(path).is_socket()
    with listening(path), pytest.raises(RequestError, match=r"nothing can listen at .*robot\.sock"):
        listening(path)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(RequestError, match="nothing can listen"):
        listening(str(tmp_path / "file"))
    assert (tmp_path / "file").read_text() == "mine" and oct(Path(path).stat().st_mode)[-3:] == "600"


@pytest.mark.parametrize(
    ("at", "words"),
    [
        ("127.0.0.1:9", "nothing listens at 127.0.0.1:9: is 'transreward serve' running"),
        ("no such host:9", "cannot be"),
    ],
)
def test_where_nobody_answers_a_client_says_so_as_of_any_wrong_request(at, words):
    with pytest.raises(RequestError, match=words) as said:
        Client(at, "token")
    assert isinstance(said.value, OSError) and "\n" not in str(said.value)


def test_addresses():
    assert address("127.0.0.1:80") == ("127.0.0.1", 80) and address("[::1]:80") == ("::1", 80)
    assert address("/tmp/x:1") == "/tmp/x:1" and address("here.sock") == "here.sock"
    for wrong in ("host:", "host:x", "host:70000", ":-1"):
        with pytest.raises(RequestError, match="is no address"):
            address(wrong)


@contextmanager
def slow_server(delays):
    """Answers `act` with the observation, after so many seconds each, and the last of them for ever; `improve` is
    refused."""

    def answered(connection):
        with connection:
            if receive(connection)["token"] == "wrong":
                send(connection, {"ok": False, "error": "wrong token"})
                return
            send(connection, {"ok": True, "obs": 3, "left": 7, "low": [-0.5], "high": [0.5]})
            left = list(delays)
            while (asked := receive(connection)) is not None:
                if asked["do"] == "improve":
                    send(connection, {"ok": False, "error": "it has failed"})
                    continue
                time.sleep(left.pop(0) if len(left) > 1 else left[0])
                send(connection, {"ok": True, "action": asked["obs"]})

    def answer():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=answered, args=(connection,), daemon=True).start()

    with listening("127.0.0.1:0") as listener:
        threading.Thread(target=answer, daemon=True).start()
        yield "{}:{}".format(*listener.getsockname())
        listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_late_answer_is_not_that_to_the_next_call():
    """A server that does not answer ends the call and the connection: else a robot would take an old action."""
    with slow_server([0.15, 0.0]) as where, Client(where, "token", timeout=5) as client:
        client._timeout = 0.05
        with pytest.raises(Gone, match=r"no answer came for 0\.05 s"):
            client.act(np.zeros(3))
        time.sleep(0.15)
        with pytest.raises(Gone, match="make another one"):
            client.act(np.ones(3))
    with slow_server([0.0]) as where, Client(where, "token", timeout=5) as client:
        assert client.act(np.ones(3)).tolist() == [1, 1, 1]


def test_a_client_that_cannot_be_taken_ends_no_server(monkeypatch):
    """As where a stranger holds open as many files as there may be."""
    monkeypatch.setattr("transreward.session.server.PAUSE", 0.0)
    said, errors = (
        [],
        [OSError(24, "Too many open files"), ConnectionAbortedError(103, "it left"), OSError(22, "closed")],
    )

    class Listener:
        def accept(self):
            raise errors.pop(0)

    Server(Listener(), None, "token", said.append).serve()
    assert not errors and len(said) == 2 and "Too many open files" in said[0]


@pytest.mark.parametrize("told", [["--seed", "0"], ["--change", "0"], ["--robots", "0"], ["--on-request"]])
def test_what_only_a_new_session_can_be_told_is_refused_of_an_old_one(tmp_path, capsys, told):
    """Nothing is passed over, an option of 0 neither."""
    (tmp_path / "session").mkdir()
    with pytest.raises(SystemExit, match="2"):
        main(["serve", str(tmp_path), *told])
    assert f"goes on as it was opened: leave {told[0]} out" in " ".join(capsys.readouterr().err.split())


def test_robots_are_answered_also_where_nobody_reads_what_is_said(monkeypatch):
    for error in (BrokenPipeError(), OSError(28, "No space left on device"), ValueError("closed")):

        def fails(*what, error=error, **how):
            raise error

        monkeypatch.setattr("builtins.print", fails)
        tell_line("a client is robot 0")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="no g++")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_client_in_cpp_within_any_program(tmp_path):
    """Of a locale with decimal commas, with timers that interrupt it, and where it is refused or not answered."""
    flags = ["-std=c++17", "-Wall", "-Wextra", "-Werror", f"-I{HEADER.parent}"]
    program = tmp_path / "robot"
    subprocess.run(["g++", *flags, str(Path(__file__).with_name("robot.cpp")), "-o", str(program)], check=True)

    def said(what, delays):
        with slow_server(delays) as where:
            environment = {**os.environ, "LOCPATH": str(tmp_path)}
            return subprocess.run([program, where, what], env=environment, capture_output=True, text=True, check=True)

    assert said("signals", [0.1]).stdout == "2 6 -1\n"
    assert said("refused", [0.0]).stdout == '"wrong token" "wrong token" "wrong token" 0\n'
    refused = said("improve", [0.4, 0.0]).stdout  # and the time limit is that of a call again
    assert refused.startswith('"it has failed" the server is gone: ')
    assert said("slow", [0.4, 0.0]).stdout.endswith("; the server is gone: make another Client; -1\n")
    with socket.create_server(("127.0.0.1", 0), backlog=0) as deaf, ExitStack() as others:  # nobody is let in any more
        for _ in range(4):
            (one := others.enter_context(socket.socket())).setblocking(False)
            one.connect_ex(deaf.getsockname())
        where = "{}:{}".format(*deaf.getsockname())
        found = subprocess.run([program, where, "slow"], stderr=subprocess.PIPE, text=True, timeout=20)
        assert found.returncode and "no answer: nothing came in time" in found.stderr
    if shutil.which("localedef") and Path("/usr/share/i18n/locales/de_DE").exists():
        made = ["localedef", "-i", "de_DE", "-f", "UTF-8", str(tmp_path / "de_DE.UTF-8")]
        subprocess.run(made, check=True, capture_output=True)
        assert said("comma", [0.0]).stdout == "2 6 -1\n"


def test_a_server_that_still_trains_is_said(tmp_path):
    said = r"no answer came .* answers from 'listening at' on"
    with listening(str(tmp_path / "robot.sock")), pytest.raises(Gone, match=said):
        Client(str(tmp_path / "robot.sock"), "token", timeout=0.02)
