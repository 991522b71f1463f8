"""The benchmarks rest on the receiver's ledger: it must tell what was lost and what was doubled."""

import socket

import pytest

from tests.benchmarks.programs import CompilerMissing, find_compiler
from tests.benchmarks.receiver import LedgerError, LedgerReceiver

try:
    find_compiler()
except CompilerMissing as missing:
    pytest.skip(str(missing), allow_module_level=True)


def post(connection: socket.socket, webhook_id: str, *, destination: int = 0, body: bytes = b"{}") -> bytes:
    head = (
        f"POST /i/{destination} HTTP/1.1\r\nHost: x\r\nWebhook-Id: {webhook_id}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    connection.sendall(head.encode() + body)
    return connection.recv(4096)


@pytest.fixture
def ledger():
    with LedgerReceiver(capacity=100) as receiver:
        yield receiver


@pytest.fixture
def connection(ledger):
    with socket.create_connection(("127.0.0.1", ledger.port), timeout=5) as opened:
        yield opened


def test_each_request_is_answered_and_stands_in_the_ledger(ledger, connection):
    assert post(
        connection, "msg_1", destination=17, body=b'{"sent_us":1234567890123456,"serial":"000000000042"}'
    ).startswith(b"HTTP/1.1 200")
    assert post(connection, "msg_2").endswith(b"{}")
    first, second = ledger.entries()
    assert (first.webhook_id, first.destination, first.sent_us, first.serial) == ("msg_1", 17, 1234567890123456, 42)
    assert (second.webhook_id, second.destination, second.sent_us, second.serial) == ("msg_2", 0, 0, 0)
    assert first.steady_us <= second.steady_us
    ledger.check({"msg_1", "msg_2"})


def test_requests_in_one_segment_are_told_apart(ledger, connection):
    one = b"POST /i/1 HTTP/1.1\r\nwebhook-id: msg_%d\r\nContent-Length: 2\r\n\r\n{}"
    connection.sendall(one % 1 + one % 2 + (one % 3)[:30])
    connection.sendall((one % 3)[30:])
    answers = b""
    while answers.count(b"200 OK") < 3:
        answers += connection.recv(4096)
    ledger.check({"msg_1", "msg_2", "msg_3"})


def test_what_was_lost_or_doubled_or_never_sent_is_said(ledger, connection):
    for name in ("msg_1", "msg_1", "msg_9"):
        post(connection, name)
    with pytest.raises(LedgerError, match="1 lost, 1 doubled, 1 that nobody sent"):
        ledger.check({"msg_1", "msg_2"})


def test_requests_in_flight_are_counted_while_answers_wait():
    with LedgerReceiver(capacity=100, answer_delay=0.05) as receiver:
        opened = [socket.create_connection(("127.0.0.1", receiver.port), timeout=5) for _ in range(3)]
        for number, connection in enumerate(opened):
            connection.sendall(b"POST /i/1 HTTP/1.1\r\nwebhook-id: msg_%d\r\nContent-Length: 0\r\n\r\n" % number)
        for connection in opened:
            assert connection.recv(4096).startswith(b"HTTP/1.1 200")
            connection.close()
        assert (receiver.head.most_in_flight, receiver.head.in_flight) == (3, 0)
