"""A consultation, and who may do what to it."""

import pytest
from stack import Stack, call


@pytest.fixture(scope="module")
def stack():
    with Stack() as s:
        yield s


async def test_from_call_start_to_call_end(stack):
    patient, doctor = stack.patient(), stack.doctor()
    p, d = await patient.connect(), await doctor.connect()
    await call(p, d, "first")
    await p.wait_status(doctor, "BUSY")
    await p.wait_status(patient, "BUSY")
    assert stack.status_of(doctor) == "BUSY"
    await d.send("call_end", callId="first")
    end = await p.wait("call_end")
    assert end == {"type": "call_end", "from": doctor.id, "data": {"callId": "first", "reason": "hangup"}}
    await p.wait_status(doctor, "ONLINE")
    await p.wait_status(patient, "ONLINE")
    assert stack.status_of(doctor) == "ONLINE"
