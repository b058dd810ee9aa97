"""RFC 6455 as it comes over the wire: fragments, control frames, sizes, text that is none, and what breaks the rules."""

import struct
import time

import pytest
from stack import PATIENCE, Stack
from wire import BINARY, CLOSE, CONT, PING, PONG, TEXT, Closed, Wire, fragments, frame, question

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
    wire.send(b"".join(frame(question(f"m{i}")) for i in range(300)))
    for i in range(300):
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


def test_a_length_of_64_bits_with_the_first_set_is_none(wire):
    wire.send(frame(b"x", claim=1 << 63))
    assert wire.closed() in (1002, 1009, None)


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
    assert well.is_open()


def test_an_empty_message_is_no_json(wire):
    for message in (frame(b""), fragments(b"", b""), fragments(b"", b"", b"")):
        wire.send(message)
        assert wire.next(type="error")["code"] == "bad_json"
    assert wire.is_open()


TEXT_OF_ALL_LENGTHS = "aé€\U0001F600\U0010FFFF\uFFFF\u0080\u0800"


def test_utf8_that_is_split_at_every_byte(wire):
    text = question(TEXT_OF_ALL_LENGTHS).encode()
    at = text.index("é".encode())
    for i in range(at - 2, at + 24):
        wire.send(fragments(text[:i], text[i:]))
        answered(wire, TEXT_OF_ALL_LENGTHS)
        wire.send(fragments(text[:i], text[i:i + 1], b"", text[i + 1:]))
        answered(wire, TEXT_OF_ALL_LENGTHS)
        wire.send(frame(text[:i], TEXT, False) + frame(b"", PING) + frame(text[i:], CONT))
        answered(wire, TEXT_OF_ALL_LENGTHS)


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


@pytest.mark.parametrize("code", [1000, 1001, 1003, 1007, 1009, 1011, 3000, 3999, 4000, 4999])
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


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 2999])
def test_a_close_code_that_is_none_1002_or_a_drop(wire, code):
    wire.send(frame(struct.pack("!H", code), CLOSE))
    assert wire.closed() in (1002, None)
