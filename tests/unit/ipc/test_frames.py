"""Frames on the wire."""

import types
import typing
from typing import Any

import msgspec
import pytest

from mosn_mp.ipc import frames
from mosn_mp.ipc.frames import AdminUp, Prepare, SocketName, Sockets, chunked, decode_frame, encode_frame


def test_a_frame_is_a_map_that_names_its_kind() -> None:
    assert msgspec.msgpack.decode(encode_frame(Prepare(3))) == {"frame": "Prepare", "version": 3}


def test_every_frame_class_can_be_received() -> None:
    classes = [kind for kind in vars(frames).values() if isinstance(kind, type) and issubclass(kind, frames.Frame)]
    assert len(classes) > 20
    for kind in classes:
        if kind is not frames.Frame:
            values = {field.name: _value(field.type) for field in msgspec.structs.fields(kind)}
            frame = kind(**values)
            assert decode_frame(encode_frame(frame)) == frame


def test_a_frame_of_a_later_release_with_more_keys_is_understood() -> None:
    packed = msgspec.msgpack.encode({"frame": "AdminUp", "address": "a:1", "colour": "blue"})
    assert decode_frame(packed) == AdminUp("a:1")


def test_socket_names_are_sent_in_pieces_that_fit() -> None:
    names = [SocketName("front", slot) for slot in range(300)]
    pieces = chunked(names)
    assert [len(piece) for piece in pieces] == [32] * 9 + [12]
    assert [name for piece in pieces for name in piece] == names
    for piece in pieces:
        assert decode_frame(encode_frame(Sockets(list(piece)))) == Sockets(list(piece))


def test_a_frame_that_is_nested_too_deeply_is_none() -> None:
    with pytest.raises(ValueError, match="nested too deeply"):
        decode_frame(b"\x82\xa5frame\xa4Quit\xa1x" + b"\x91" * 100_000 + b"\xc0")


def test_numbers_of_a_transfer_are_what_their_receiver_can_hold() -> None:
    fields = {"frame": "Transfer", "serial": 1, "listener": "l", "protocol": "", "word": 1 << 32, "requests": 0, "idle_ms": 0}
    with pytest.raises(ValueError, match="word"):
        decode_frame(msgspec.msgpack.encode(fields))


SIMPLE: dict[object, object] = {int: 1, float: 1.5, str: "x", bytes: b"x", bool: True}


def _value(kind: Any) -> object:
    """Some value of the type *kind*."""
    if kind in SIMPLE:
        return SIMPLE[kind]
    if typing.get_origin(kind) is typing.Annotated:
        return _value(typing.get_args(kind)[0])
    arguments = [argument for argument in typing.get_args(kind) if argument is not type(None)]
    if typing.get_origin(kind) is list:
        return [_value(arguments[0])]
    if typing.get_origin(kind) is tuple:
        return tuple(_value(argument) for argument in arguments)
    if typing.get_origin(kind) is dict:
        return {_value(arguments[0]): _value(arguments[1])}
    if typing.get_origin(kind) is types.UnionType:
        return _value(arguments[0])
    return kind(**{field.name: _value(field.type) for field in msgspec.structs.fields(kind)})
