"""What TensorBoard would read: the scalars of an event file."""

from __future__ import annotations

from pathlib import Path


def events(directory: Path) -> dict[tuple[str, int], float]:
    """(tag, step) -> value of the one event file in a directory: records of length, its checksum, data, checksum."""
    from tensorboardX.proto.event_pb2 import Event

    [file] = directory.glob("events.out.tfevents.*")
    data, place, found = file.read_bytes(), 0, {}
    while place < len(data):
        size = int.from_bytes(data[place : place + 8], "little")
        event = Event.FromString(data[place + 12 : place + 12 + size])
        place += 16 + size
        found |= {(value.tag, event.step): value.simple_value for value in event.summary.value}
    return found
