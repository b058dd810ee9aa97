"""A socket of one's own, for what no client library would send: HTTP request heads and WebSocket frames, byte by byte."""

import json
import os
import socket
import struct
from pathlib import Path

import contract
from stack import NOBODY, PATIENCE

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10

UPGRADE = ("Host: 127.0.0.1", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
           "Sec-WebSocket-Version: 13")


def head(path="/ws", *more, method="GET", without=()):
    """The head of a WebSocket handshake with the lines MORE, and without those of its own that begin with one of WITHOUT."""
    lines = [line for line in UPGRADE if not line.startswith(tuple(without))] if without else list(UPGRADE)
    return "\r\n".join([f"{method} {path} HTTP/1.1", *lines, *more, "", ""]).encode()


def frame(payload=b"", opcode=TEXT, fin=True, reserved=0, claim=None):
    """One masked frame. CLAIM: the length that its header says, where that is not the payload's."""
    if isinstance(payload, str):
        payload = payload.encode()
    size = len(payload) if claim is None else claim
    if size < 126:
        length = struct.pack("!B", 0x80 | size)
    elif size < 1 << 16:
        length = struct.pack("!BH", 0x80 | 126, size)
    else:
        length = struct.pack("!BQ", 0x80 | 127, size)
    mask = os.urandom(4)
    pad = (mask * (len(payload) // 4 + 1))[:len(payload)]
    masked = (int.from_bytes(payload, "big") ^ int.from_bytes(pad, "big")).to_bytes(len(payload), "big")
    return struct.pack("!B", fin << 7 | reserved << 4 | opcode) + length + mask + masked


def fragments(*parts, opcode=TEXT):
    """One message in as many frames."""
    last = len(parts) - 1
    return b"".join(frame(part, CONT if i else opcode, i == last) for i, part in enumerate(parts))


class Closed(Exception):
    """A close frame has come. code: None where there is none in it."""

    def __init__(self, payload):
        super().__init__(payload)
        self.code = struct.unpack("!H", payload[:2])[0] if payload else None
        contract.closing(self.code)


class Wire:
    """To a TCP port of this machine, by TLS where there is a context for it, or to a Unix socket."""

    def __init__(self, to, tls=None):
        if isinstance(to, Path):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(PATIENCE)
            self.socket.connect(str(to))
        else:
            self.socket = socket.create_connection(("127.0.0.1", to), PATIENCE)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_hostname="127.0.0.1")
        self.public = not isinstance(to, Path)
        self.contract = None  # of a WebSocket
        self.ahead = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    @classmethod
    def open(cls, user):
        """A WebSocket of USER."""
        wire = cls(user.stack.port)
        status, _, _ = wire.ask(head(f"/ws?token={user.token}"))
        assert status == 101
        return wire

    def send(self, data):
        self.socket.sendall(data)

    def read_until(self, end):
        while end not in self.ahead:
            self.ahead += self.read_some()
        got, self.ahead = self.ahead.split(end, 1)
        return got

    def fill(self, size):
        while len(self.ahead) < size:
            self.ahead += self.read_some()

    def read(self, size):
        self.fill(size)
        got, self.ahead = self.ahead[:size], self.ahead[size:]
        return got

    def read_some(self):
        got = self.socket.recv(1 << 16)
        if not got:
            raise EOFError
        return got

    def ask(self, request):
        """(status, headers by lower-case name, body) of the answer to a request head. Of a 101 the body is left to the frames."""
        self.send(request)
        status_line, *lines = self.read_until(b"\r\n\r\n").decode().split("\r\n")
        status = int(status_line.split()[1])
        headers = {name.lower(): value.strip() for name, value in (line.split(":", 1) for line in lines)}
        body = b"" if status == 101 else self.read(int(headers.get("content-length", 0)))
        if status == 101:
            self.contract = contract.Connection("sec-websocket-protocol" in headers)
        if self.public and request.count(b" ") > 1:
            method, target, _ = request.decode("latin-1").split(" ", 2)
            contract.rest(method, target, None, status, headers.items(), body)
        return status, headers, body

    def read_frame(self):
        """(opcode, payload) of the next frame; a server's are never masked nor, here, fragmented. What times out can be tried
        again."""
        at = 2
        self.fill(at)
        first, length = self.ahead[:at]
        assert first & 0xF0 == 0x80 and length < 128, (first, length)
        if length > 125:
            at += 2 if length == 126 else 8
            self.fill(at)
            length = int.from_bytes(self.ahead[2:at], "big")
        self.fill(at + length)
        self.read(at)
        opcode, payload = first & 0x0F, self.read(length)
        if opcode == TEXT and self.contract:
            self.contract.received(payload)
        return opcode, payload

    def next(self, opcode=TEXT, type=None):
        """The payload of the next frame of OPCODE, with TYPE the next JSON message of that type."""
        while True:
            got, payload = self.read_frame()
            if got == CLOSE:
                raise Closed(payload)
            if got == opcode and type is None:
                return payload
            if got == opcode and json.loads(payload)["type"] == type:
                return json.loads(payload)

    def closed(self):
        """Reads to the end: the close code, or None where there is no close frame or none in it."""
        try:
            while True:
                self.next()
        except Closed as end:
            return end.code
        except (EOFError, ConnectionError):
            return None

    def is_open(self):
        """Is a message still answered?"""
        self.send(frame(question("still there")))
        answer = self.next(type="error")
        assert answer["id"] == "still there" and answer["code"] == "not_found", answer
        return True


def question(id, size=0):
    """A message that is answered with not_found and its id; as long as SIZE bytes, where that is more."""
    text = json.dumps({"type": "chat", "to": NOBODY, "id": id, "data": {"message": "hello"}, "pad": ""}, ensure_ascii=False)
    return text[:-2] + "x" * (size - len(text.encode())) + text[-2:]
