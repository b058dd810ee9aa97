"""What is counted by address, and whose word counts for what the address is: lighttpd's, and that of a proxy it was told to trust."""

import json
import os

import pytest
from stack import Stack, wait_until
from wire import TEXT, Closed, Wire, head

MOST = 3


@pytest.fixture(scope="module")
def stack():
    with Stack(TELEMED_ADDRESS_CONNECTIONS=MOST) as s:
        yield s


@pytest.fixture(scope="module")
def behind_a_proxy():
    with Stack(TELEMED_ADDRESS_CONNECTIONS=MOST, TELEMED_AUTH_RATE=MOST, TELEMED_TRUSTED_PROXY="127.0.0.1") as s:
        yield s


def connect(door, user, forwarded=None):
    """A WebSocket of USER's, as through a proxy that says FORWARDED; and the code that it was closed with at once, or None."""
    wire = Wire(door)
    lines = [] if forwarded is None else [f"X-Forwarded-For: {forwarded}"]
    assert wire.ask(head(f"/ws?token={user.token}", *lines))[0] == 101
    try:
        assert json.loads(wire.next(TEXT))["type"] == "users"
        return wire, None
    except Closed as end:
        return wire, end.code


def codes(door, stack, *forwarded):
    """Connects from one after the other, each time another user: the codes. All are gone again when it returns."""
    got = [connect(door, stack.patient(), f) for f in forwarded]
    for wire, _ in got:
        wire.socket.close()
    wait_until(lambda: stack.metric("telemed_connections") == 0, "all to be gone")
    return [code for _, code in got]


def test_one_too_many_from_an_address_1013(stack):
    users = [stack.patient() for _ in range(MOST + 2)]
    wires = [connect(stack.relay_socket, u, "198.51.100.7") for u in users[:MOST]]
    assert [code for _, code in wires] == [None] * MOST
    assert connect(stack.relay_socket, users[MOST], "198.51.100.7")[1] == 1013
    other, code = connect(stack.relay_socket, users[MOST], "198.51.100.8")
    assert code is None
    for wire, _ in wires:
        assert wire.is_open()
    wires[0][0].socket.close()
    again = []

    def is_let_in():
        again.append(connect(stack.relay_socket, users[MOST + 1], "198.51.100.7"))
        return again[-1][1] is None

    wait_until(is_let_in, "one to be let in where another has left")
    for wire, _ in [*wires, *again, (other, None)]:
        wire.socket.close()
    wait_until(lambda: stack.metric("telemed_connections") == 0, "all to be gone")


SAME = {
    "the same": ("198.51.100.7", "198.51.100.7"),
    "an IPv4 address in IPv6": ("198.51.100.7", "::ffff:198.51.100.7"),
    "of one /64": ("2001:db8::1", "2001:db8::ffff:0:0:2"),
    "whatever stands before it": ("198.51.100.7", "203.0.113.1, 198.51.100.7"),
    "whatever stands before it, many times": ("198.51.100.7", ", ,, x, 203.0.113.1,198.51.100.8,198.51.100.7"),
}
OTHER = {
    "another": ("198.51.100.7", "198.51.100.8"),
    "of another /64": ("2001:db8::1", "2001:db8:0:1::1"),
    "with the same before it": ("198.51.100.7", "198.51.100.7, 203.0.113.1"),
}


@pytest.mark.parametrize("row", SAME)
def test_addresses_that_are_one(stack, row):
    one, same = SAME[row]
    assert codes(stack.relay_socket, stack, *[one] * (MOST - 1), same, one, same) == [None] * MOST + [1013] * 2


@pytest.mark.parametrize("row", OTHER)
def test_addresses_that_are_two(stack, row):
    one, other = OTHER[row]
    assert codes(stack.relay_socket, stack, *[one] * MOST, other, one) == [None] * (MOST + 1) + [1013]


@pytest.mark.parametrize("address", [None, "127.0.0.1", "::1", "garbage", "198.51.100.7, ", "198.51.100.7, 127.0.0.1"])
def test_what_is_of_this_machine_is_not_counted(stack, address):
    assert codes(stack.relay_socket, stack, *[address] * (MOST + 2)) == [None] * (MOST + 2)


def test_a_header_of_the_clients_is_not_believed(stack):
    """Or these would all come from one address."""
    assert codes(stack.port, stack, *["198.51.100.7"] * (MOST + 2)) == [None] * (MOST + 2)


def test_a_setting_of_0_counts_nothing():
    with Stack(TELEMED_ADDRESS_CONNECTIONS=0) as stack:
        assert codes(stack.relay_socket, stack, *["198.51.100.7"] * 8) == [None] * 8


def test_the_word_of_a_proxy_that_is_trusted_is_believed(behind_a_proxy):
    stack = behind_a_proxy
    users = [stack.register("PATIENT", headers={"X-Forwarded-For": f"192.0.2.{i}"}) for i in range(8)]
    wires = [connect(stack.port, user, f"6.6.6.{i}, 198.51.100.7") for i, user in enumerate(users[:5])]
    assert [code for _, code in wires] == [None] * MOST + [1013] * 2
    assert connect(stack.port, users[5], "198.51.100.7, 198.51.100.8")[1] is None


def login(stack, forwarded=None, **more):
    headers = {**({} if forwarded is None else {"X-Forwarded-For": forwarded}), **more}
    return stack.rest("POST", "/auth/login", {"email": f"{os.urandom(8).hex()}@example.org", "password": "password"}, headers=headers)[0]


def test_attempts_behind_a_proxy_are_counted_by_the_clients_address(behind_a_proxy):
    for one, same, other in (("198.51.100.17", "198.51.100.17", "198.51.100.18"),
                             ("2001:db8:1::1", "2001:db8:1::ff:2", "2001:db8:1:1::1")):
        assert [login(behind_a_proxy, f"203.0.113.{i}, {one}") for i in range(MOST)] == [401] * MOST
        assert login(behind_a_proxy, one) == login(behind_a_proxy, same) == 429
        assert login(behind_a_proxy, f"{other}, {one}") == 429
        assert login(behind_a_proxy, one, Forwarded=f"for={other}", **{"X-Real-IP": other}) == 429
        assert login(behind_a_proxy, other) == 401


def test_an_account_is_closed_to_who_guesses_and_to_nobody_else():
    with Stack(TELEMED_AUTH_RATE=1000, TELEMED_TRUSTED_PROXY="127.0.0.1") as stack:
        ann = {"name": "Ann", "email": "ann@example.org", "password": "password", "role": "PATIENT"}
        assert stack.rest("POST", "/auth/register", ann)[0] == 201

        def attempt(forwarded, password):
            return stack.rest("POST", "/auth/login", {**ann, "password": password}, headers={"X-Forwarded-For": forwarded})[0]

        for guesser, again in (("198.51.100.7", "198.51.100.7"), ("2001:db8:1::1", "2001:db8:1::2")):
            assert [attempt(guesser, "wrong password") for _ in range(6)] == [401] * 5 + [429]
            assert attempt(again, "password") == 429
        for forwarded in ("198.51.100.8", "2001:db8:1:1::1", "198.51.100.7, 198.51.100.8"):
            assert attempt(forwarded, "password") == 200


def test_behind_a_proxy_this_machine_is_who_comes_from_it(behind_a_proxy):
    assert behind_a_proxy.rest("GET", "/metrics", headers={"X-Forwarded-For": "198.51.100.7"})[0] == 403
    assert behind_a_proxy.rest("GET", "/metrics", headers={"X-Forwarded-For": "127.0.0.1, 198.51.100.7"})[0] == 403
    assert behind_a_proxy.metric("telemed_connections") >= 0


@pytest.mark.parametrize("trusted", [True, False])
def test_whether_a_page_came_by_tls_is_the_trusted_proxys_word(stack, behind_a_proxy, trusted):
    s = behind_a_proxy if trusted else stack
    user = s.register("PATIENT", headers={"X-Forwarded-For": "192.0.2.77"})
    lines = [f"Origin: https://127.0.0.1:{s.port}", "X-Forwarded-For: 192.0.2.77", "X-Forwarded-Proto: https",
             f"Host: 127.0.0.1:{s.port}"]
    with Wire(s.port) as wire:
        assert wire.ask(head(f"/ws?token={user.token}", *lines, without=["Host"]))[0] == (101 if trusted else 403)
