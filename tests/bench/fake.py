"""A small server of the contract, for the load generator to be tried against: honest, but for what a fault makes of it."""

import asyncio
import json
import struct

ANSWER = ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
          "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n").encode()  # RFC 6455 1.3


def frame(text):
    payload = text.encode()
    length = bytes([len(payload)]) if len(payload) < 126 else struct.pack("!BH", 126, len(payload))
    return b"\x81" + length + payload


async def read_frame(reader):
    """The text of a client's next frame."""
    _, size = await reader.readexactly(2)
    size &= 0x7F
    if size == 126:
        size, = struct.unpack("!H", await reader.readexactly(2))
    mask = await reader.readexactly(4)
    return bytes(byte ^ mask[i % 4] for i, byte in enumerate(await reader.readexactly(size))).decode()


class Fake:
    """Users 1 to COUNT, the last a doctor. Each of the methods before serve() does what is right; a fault does something else."""

    count = 4

    def __init__(self):
        self.clients = {}  # id -> writer
        self.status = dict.fromkeys(range(1, self.count + 1), "ONLINE")
        self.relayed = 0  # chats so far
        self.asked = 0  # connections that have sent a request
        self.tasks = set()

    def relay(self, to, text):
        """What becomes of a chat to each that is to get it: (id, text)."""
        return [(to, text)]

    def list_for(self, whom):
        """The ids that WHOM is told of; None: she is told nothing."""
        return list(self.clients)

    def accept(self, whom):
        return ANSWER

    def changed(self):
        """A doctor has set her status."""
        self.announce()

    def answer(self, connection, request):
        """To the REQUESTth request, from 0, on the CONNECTIONth connection."""
        return self.ok({"doctors": []})

    # What follows is the same for all.

    def ok(self, body, status="200 OK"):
        text = json.dumps(body)
        return f"HTTP/1.1 {status}\r\nETag: \"1\"\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode()

    def later(self, seconds, do):
        async def wait():
            await asyncio.sleep(seconds)
            do()
        task = asyncio.ensure_future(wait())
        self.tasks.add(task)

    def send(self, to, text):
        if to in self.clients:
            self.clients[to].write(frame(text))

    def list_text(self, ids):
        users = [{"id": i, "name": f"user{i}", "role": "DOCTOR" if i == self.count else "PATIENT", "status": self.status[i]} for i in ids]
        return json.dumps({"type": "users", "users": users}, separators=(",", ":"))

    def announce(self):
        for whom in list(self.clients):
            ids = self.list_for(whom)
            if ids is not None:
                self.send(whom, self.list_text(ids))

    def received(self, whom, message):
        if message["type"] == "set_status":
            self.status[whom] = message["data"]["status"]
            self.changed()
            return
        to = [message["to"]] if "to" in message else [i for i in self.clients if i != whom]
        self.relayed += 1
        for one in to:
            for receiver, text in self.relay(one, message["data"]["message"]):
                self.send(receiver, json.dumps({"type": "chat", "from": whom, "data": {"message": text}}, separators=(",", ":")))

    async def websocket(self, reader, writer, whom):
        answer = self.accept(whom)
        writer.write(answer)
        if answer != ANSWER:
            return
        self.clients[whom] = writer
        self.announce()
        while True:
            self.received(whom, json.loads(await read_frame(reader)))

    async def http(self, reader, writer):
        connection, self.asked = self.asked, self.asked + 1
        request = 0
        while True:
            answer = self.answer(connection, request)
            if answer == b"":
                break
            writer.write(answer or b"")
            request += 1
            await reader.readuntil(b"\r\n\r\n")

    async def serve(self, reader, writer):
        try:
            path = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
            if path.startswith("/ws?token="):
                await self.websocket(reader, writer, int(path.rpartition("=")[2]))
            else:
                await self.http(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def __aenter__(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self.server.close()
        for task in self.tasks:
            task.cancel()
