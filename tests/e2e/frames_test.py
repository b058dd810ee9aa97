"""RFC 6455 as it comes over the wire: fragments, control frames, sizes, text that is none, and what breaks the rules."""

import json
import socket
import struct
import time

import pytest
from stack import PATIENCE, Stack, wait_until
from wire import BINARY, CLOSE, CONT, PING, PONG, TEXT, Closed, Wire, fragments, frame, head, question

LIMIT = 64 << 10


@pytest.fixture(scope="module")
def stack():
    with Stack(TELEMED_WS_RATE=0) as s:
        yield s


@pytest.fixture(scope="module")
def user(stack):
    return stack.patient()


@pytest.fixture
def wire(user):
    with Wire.open(user) as w:
        yield w


def answered(wire, id):
    """Asserts that the next answer is that to question(ID)."""
    answer = wire.next(type="error")
    assert (answer["code"], answer["id"]) == ("not_found", id), answer


def test_a_message_in_one_frame(wire):
    wire.send(frame(question("one")))
    answered(wire, "one")


def test_a_message_in_fragments(wire):
    text = question("parts").encode()
    for parts in ([text[:10], text[10:]], [b"", text], [text, b""], [b"", text[:1], b"", b"", text[1:], b""],
                  [bytes([b]) for b in text]):
        wire.send(fragments(*parts))
        answered(wire, "parts")


def test_control_frames_between_fragments(wire):
    text = question("between").encode()
    wire.send(frame(text[:9], TEXT, False) + frame(b"1", PING))
    assert wire.next(PONG) == b"1"
    wire.send(frame(text[9:20], CONT, False) + frame(b"unasked", PONG) + frame(b"", CONT, False) + frame(b"", PING))
    assert wire.next(PONG) == b""
    wire.send(frame(b"2", PING) + frame(text[20:], CONT))
    answered(wire, "between")


def test_many_messages_in_one_write_are_answered_in_order(wire):
    many = 250  # fewer than PARKED_USER_MAX: all of them wait for the database
    wire.send(b"".join(frame(question(f"m{i}")) for i in range(many)))
    for i in range(many):
        answered(wire, f"m{i}")


def test_a_frame_that_comes_byte_by_byte(wire):
    for byte in frame(question("slowly")) + fragments(question("slowly")[:7], question("slowly")[7:]):
        wire.send(bytes([byte]))
    answered(wire, "slowly")
    answered(wire, "slowly")


def split(text, n):
    """TEXT in N pieces of about the same size."""
    step = -(-len(text) // n)
    return [text[i:i + step] for i in range(0, len(text), step)]


@pytest.mark.parametrize("pieces", [1, 2, 17, 1000])
def test_a_message_of_64_kib_is_taken(wire, pieces):
    text = question("large", LIMIT).encode()
    assert len(text) == LIMIT
    wire.send(fragments(*split(text, pieces)))
    answered(wire, "large")


@pytest.mark.parametrize("pieces", [1, 2, 17, 1000])
def test_a_message_of_64_kib_and_a_byte_1009(wire, pieces):
    text = question("too large", LIMIT + 1).encode()
    assert len(text) == LIMIT + 1
    wire.send(fragments(*split(text, pieces)))
    assert wire.closed() == 1009


def test_ten_thousand_fragments_of_a_byte_are_taken(wire):
    text = question("crumbs", 10000).encode()
    wire.send(fragments(*[bytes([b]) for b in text]))
    answered(wire, "crumbs")


def test_endless_fragments_end_at_64_kib(stack, wire):
    try:
        wire.send(frame(b"x", TEXT, False))
        for _ in range(200):
            wire.send(frame(b"x" * 1000, CONT, False))
    except ConnectionError:
        pass
    assert wire.closed() in (1009, None)  # a reset, where we have written on after the end
    assert Wire.open(stack.patient()).is_open()


@pytest.mark.parametrize("claim", [LIMIT + 1, 1 << 20, 1 << 31, 1 << 32, 1 << 62], ids=str)
def test_nothing_is_allocated_for_what_a_header_claims(stack, user, claim):
    before = stack.memory("ws-relay", "VmData")
    wires = [Wire.open(user) for _ in range(6)]
    for wire in wires:
        wire.send(frame(b"x", claim=claim))
    assert [wire.closed() for wire in wires] == [1009] * len(wires)
    assert stack.memory("ws-relay", "VmData") - before < 1 << 20


@pytest.mark.parametrize("opcode", [TEXT, CONT, BINARY, PING, CLOSE])
@pytest.mark.parametrize("claim", [1 << 63, (1 << 63) + 5, (1 << 64) - 1], ids=hex)
def test_a_length_of_64_bits_with_the_first_set_is_none(wire, opcode, claim):
    wire.send(frame(b"x", opcode, claim=claim))
    assert wire.closed() in (1002, 1003, 1009, None)


def test_a_message_that_is_not_finished_is_cut_after_ten_seconds(stack, user):
    """One that stops after its first fragment, one that trickles, and one in the middle of a frame."""
    started = time.monotonic()
    silent, trickling, halfway, well = (Wire.open(user) for _ in range(4))
    silent.send(frame(b'{"type":', TEXT, False))
    trickling.send(frame(b'{"type":', TEXT, False))
    halfway.send(frame(question("half a frame"))[:40])
    trickling.socket.settimeout(0.2)
    while time.monotonic() < started + 10 + PATIENCE:
        try:
            trickling.send(frame(b" ", CONT, False))
            if trickling.read_frame()[0] == CLOSE:
                break
        except TimeoutError:
            pass
        except (EOFError, ConnectionError):
            break
    assert 9 < time.monotonic() - started < 10 + PATIENCE
    assert silent.closed() == 1008
    assert halfway.closed() == 1008
    well.socket.settimeout(0)
    with pytest.raises(BlockingIOError):  # it has not had its first ping, of 25 seconds after it was opened
        while True:
            assert well.read_frame()[0] != PING
    well.socket.settimeout(PATIENCE)
    assert well.is_open()


def test_an_empty_message_is_no_json(wire):
    for message in (frame(b""), fragments(b"", b""), fragments(b"", b"", b"")):
        wire.send(message)
        assert wire.next(type="error")["code"] == "bad_json"
    assert wire.is_open()


TEXT_OF_ALL_LENGTHS = "aé€\U0001F600\U0010FFFF\uFFFF\u0080\u0800"


@pytest.mark.parametrize("letter", TEXT_OF_ALL_LENGTHS, ids=lambda c: f"U+{ord(c):04X}")
def test_utf8_that_is_split_at_every_byte(wire, letter):
    """Each character in every way in which it can be cut into fragments, and with empty ones and a ping in each cut."""
    text = question(letter).encode()
    at, size = text.index(letter.encode()), len(letter.encode())
    for cuts in range(1, 1 << (size + 1)):
        places = [0, *(at + i for i in range(size + 1) if cuts >> i & 1), len(text)]
        parts = [text[a:b] for a, b in zip(places, places[1:])]
        wire.send(fragments(*parts))
        answered(wire, letter)
        wire.send(fragments(*(part for each in parts for part in (each, b""))))
        answered(wire, letter)
        wire.send(b"".join(frame(part, CONT if i else TEXT, i == len(parts) - 1) + frame(b"", PING)
                           for i, part in enumerate(parts)))
        answered(wire, letter)


@pytest.mark.parametrize("letter", TEXT_OF_ALL_LENGTHS[1:], ids=lambda c: f"U+{ord(c):04X}")
def test_utf8_that_ends_in_a_character_1007(user, letter):
    """The message ends there; the next one does not go on with it."""
    for size in range(1, len(letter.encode())):
        half = b"a" + letter.encode()[:size]
        for message in (frame(half), fragments(b"a", half[1:]), fragments(half, b""),
                        frame(half) + frame(letter.encode()[size:])):
            with Wire.open(user) as wire:
                wire.send(message)
                assert wire.closed() == 1007


NOT_UTF8 = [bytes.fromhex(h) for h in (
    "ff", "feff", "c0af", "c1bf", "e080af", "eda080", "edbfbf", "f08080af", "f4908080", "f888808080", "80", "c3", "e282", "f09f98",
    "c328", "e228a1",
)]


@pytest.mark.parametrize("bad", NOT_UTF8, ids=lambda b: b.hex())
def test_text_that_is_not_utf8_1007(user, bad):
    text = question("@").encode().replace(b"@", bad)
    i = text.index(bad) + 1
    for message in (frame(text), fragments(text[:i], text[i:]), fragments(b"", text, b""), frame(bad)):
        with Wire.open(user) as wire:
            wire.send(message)
            assert wire.closed() == 1007


def test_a_binary_message_1003(user):
    for message in (frame(question("binary"), BINARY), frame(b"", BINARY), frame(b"\xff\xff", BINARY),
                    frame(b"x", BINARY, False), fragments(b"x", b"y", opcode=BINARY)):
        with Wire.open(user) as wire:
            wire.send(message)
            assert wire.closed() == 1003


BREACHES = {
    "reserved bit 1": frame(b"{}", reserved=4),
    "reserved bit 2": frame(b"{}", reserved=2),
    "reserved bit 3": frame(b"{}", reserved=1),
    "reserved bits in a ping": frame(b"", PING, reserved=7),
    "reserved bit in a later fragment": frame(b"{", TEXT, False) + frame(b"}", CONT, reserved=4),
    "reserved bits in a close": frame(struct.pack("!H", 1000), CLOSE, reserved=1),
    "a pong in fragments": frame(b"1", PONG, False) + frame(b"2", CONT),
    "a pong of 126 bytes": frame(b"x" * 126, PONG),
    "a fragment within another's": frame(b"{", TEXT, False) + frame(b"}", TEXT, False),
    "a binary fragment within a text's": frame(b"{", TEXT, False) + frame(b"}", BINARY),
    "an unknown opcode in a message": frame(b"{", TEXT, False) + frame(b"}", 3),
    "an unknown control in a message": frame(b"{", TEXT, False) + frame(b"}", 11),
    **{f"opcode {n}": frame(b"{}", n) for n in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)},
    "a continuation of nothing": frame(b"{}", CONT),
    "a continuation of what is finished": frame(question("x")) + frame(b"{}", CONT),
    "a fragment that continues nothing": frame(b"{}", CONT, False),
    "a new message within another": frame(b"{", TEXT, False) + frame(b"}", TEXT),
    "a ping in fragments": frame(b"1", PING, False) + frame(b"2", CONT),
    "a close in fragments": frame(struct.pack("!H", 1000), CLOSE, False),
    "a ping of 126 bytes": frame(b"x" * 126, PING),
    "a ping of 64 KiB": frame(b"x" * LIMIT, PING),
    "a close of 126 bytes": frame(struct.pack("!H", 1000) + b"x" * 124, CLOSE),
}


@pytest.mark.parametrize("breach", BREACHES)
def test_what_breaks_the_rules_1002_or_a_drop(wire, breach):
    wire.send(BREACHES[breach])
    assert wire.closed() in (1002, None)


def test_who_breaks_the_rules_is_alone_in_it(stack):
    well = Wire.open(stack.patient())
    for breach in BREACHES.values():
        with Wire.open(stack.patient()) as wire:
            wire.send(breach)
            wire.closed()
    assert well.is_open()


@pytest.mark.parametrize("payload", [b"", b"x", b"\x00\xff" * 10, b"x" * 125], ids=len)
def test_a_ping_is_answered_with_what_it_holds(wire, payload):
    for _ in range(3):
        wire.send(frame(payload, PING))
        assert wire.next(PONG) == payload
    assert wire.is_open()


def test_a_pong_that_nobody_asked_for_is_nothing(wire):
    wire.send(frame(b"", PONG) + frame(b"x" * 125, PONG))
    assert wire.is_open()


VALID_CODES = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3001, 3999, 4000, 4001, 4100, 4999]
# Reserved (RFC 6455 7.4.1), not for the wire, unassigned in its day, and past all ranges (7.4.2).
INVALID_CODES = [0, 1, 125, 999, 1004, 1005, 1006, 1012, 1013, 1014, 1015, 1016, 1100, 2000, 2999, 5000, 5001, 9999, 32768, 65535]


@pytest.mark.parametrize("code", VALID_CODES)
def test_a_close_code_is_echoed(wire, code):
    wire.send(frame(struct.pack("!H", code) + "Grüße".encode(), CLOSE))
    assert wire.closed() == code


@pytest.mark.parametrize("bad", NOT_UTF8, ids=lambda b: b.hex())
def test_a_close_whose_reason_is_not_utf8_1007(user, bad):
    for reason in (bad, b"a" + bad, "é".encode() + bad):
        with Wire.open(user) as wire:
            wire.send(frame(struct.pack("!H", 1000) + reason, CLOSE))
            assert wire.closed() == 1007


def test_a_close_without_a_code_is_answered(wire):
    wire.send(frame(b"", CLOSE))
    with pytest.raises(Closed) as end:
        wire.next(PONG)
    assert end.value.code in (None, 1000)
    with pytest.raises((EOFError, ConnectionError)):
        wire.read_frame()


@pytest.mark.parametrize("code", INVALID_CODES)
def test_a_close_code_that_is_none_1002(user, code):
    for reason in (b"", "Grüße".encode()):
        with Wire.open(user) as wire:
            wire.send(frame(struct.pack("!H", code) + reason, CLOSE))
            assert wire.closed() == 1002


def test_a_close_with_half_a_code_1002(wire):
    wire.send(frame(b"\x03", CLOSE))
    assert wire.closed() == 1002


def test_a_close_with_the_longest_reason_is_echoed(wire):
    wire.send(frame(struct.pack("!H", 1000) + b"x" * 123, CLOSE))
    assert wire.closed() == 1000


@pytest.mark.parametrize("first", [b"", struct.pack("!H", 1000), struct.pack("!H", 5000)], ids=["none", "1000", "5000"])
@pytest.mark.parametrize("late", ["message", "fragments", "ping", "close", "what is no frame"])
def test_what_comes_after_a_close_is_not_handled(stack, user, first, late):
    listener = stack.patient()
    told = json.dumps({"type": "chat", "to": listener.id, "data": {"message": "too late"}})
    after = {"message": frame(told) * 3, "fragments": fragments(told[:5], told[5:]), "ping": frame(b"too late", PING),
             "close": frame(struct.pack("!H", 4000), CLOSE), "what is no frame": b"\xff" * 100}[late]
    with Wire.open(listener) as other, Wire.open(user) as wire:
        wire.send(frame(first, CLOSE) + after)
        got = []
        with pytest.raises((EOFError, ConnectionError)):
            while True:
                got.append(wire.read_frame())
        assert [opcode for opcode, _ in got if opcode not in (TEXT, CLOSE)] == []
        assert [payload for opcode, payload in got if opcode == CLOSE][1:] == []
        with Wire.open(user) as again:
            again.send(frame(json.dumps({"type": "chat", "to": listener.id, "data": {"message": "in time"}})))
            assert other.next(type="chat")["data"]["message"] == "in time"


HANGING_UP = {
    "at once": b"",
    "in a frame's header": frame(question("x"))[:1],
    "in its payload": frame(question("x"))[:20],
    "between two fragments": frame(b"{", TEXT, False),
    "in a close frame": frame(struct.pack("!H", 1000), CLOSE)[:3],
    "with a megabyte on its way": frame(question("x")) * 5000,
}


@pytest.mark.parametrize("door", ["lighttpd", "relay"])
def test_who_hangs_up_is_gone_and_nobody_else_is(stack, door):
    """At once, by the relay's own door. lighttpd 1.4.69 reads no further where an end comes with the last bytes, and notices with
    what is written next: a ping at the latest."""
    to = stack.port if door == "lighttpd" else stack.relay_socket
    with Wire.open(stack.patient()) as well:
        wait_until(lambda: stack.metric("telemed_connections") == 1, "those of other tests to be gone", 60)
        for how in ("half_closed", "closed", "reset"):
            user = stack.patient()
            wires = [Wire(to) for _ in HANGING_UP]
            for wire, sent in zip(wires, HANGING_UP.values()):
                assert wire.ask(head(f"/ws?token={user.token}"))[0] == 101
                try:
                    wire.send(sent)
                    if how == "half_closed":
                        wire.socket.shutdown(socket.SHUT_WR)
                except ConnectionError:
                    pass
            for wire in wires:
                if how == "reset":
                    wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                wire.socket.close()
        wait_until(lambda: stack.metric("telemed_connections") == 1, "all of them to be gone", 60)
        assert well.is_open()


def long_form(payload, size, opcode=TEXT):
    """A frame whose length is written in SIZE bytes, though fewer are enough (RFC 6455 5.2)."""
    length = struct.pack("!BH", 0xFE, len(payload)) if size == 2 else struct.pack("!BQ", 0xFF, len(payload))
    return struct.pack("!B", 0x80 | opcode) + length + bytes(4) + payload


@pytest.mark.parametrize("size", [2, 8])
def test_a_length_in_more_bytes_than_it_needs(user, size):
    """A deviation: taken of a message (docs/protocol.md). A control frame's length has one byte."""
    text = question("long form").encode()
    assert len(text) < 126
    with Wire.open(user) as wire:
        wire.send(long_form(text, size))
        answered(wire, "long form")
        wire.send(long_form(question("too long", 200).encode(), 8))
        answered(wire, "too long")
    for opcode in (PING, PONG, CLOSE):
        with Wire.open(user) as wire:
            wire.send(long_form(b"", size, opcode))
            assert wire.closed() in (1002, None)


def test_a_frame_that_is_not_masked_is_taken(wire):
    """A deviation, of libwebsockets (docs/protocol.md)."""
    text = question("bare").encode()
    wire.send(struct.pack("!BB", 0x81, len(text)) + text)
    answered(wire, "bare")


@pytest.mark.parametrize("mask", [bytes(4), b"\xff" * 4, b"\x00\x00\x00\x01"], ids=lambda m: m.hex())
def test_any_mask_will_do(wire, mask):
    text = question("masked").encode()
    wire.send(struct.pack("!BB", 0x81, 0x80 | len(text)) + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(text)))
    answered(wire, "masked")
