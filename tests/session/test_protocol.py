"""Messages arrive whole, or the connection is over with a reason."""

from __future__ import annotations

import socket
import struct
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transreward.session.client import Client
from transreward.session.protocol import MOST, Gone, address, receive, send
from transreward.session.server import listening
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
