"""Broken variants of the corpus: flipped bits, cuts, splices, repeated and lost parts, extreme numbers. Seeded."""

import random
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence

from tests.images import png_writer as png
from tests.images.case import CorpusCase
from tests.images.corpus import all_cases

MOST_SEED_BYTES = 60_000  # larger files cost time and have no other code in them
EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
HEADER = 256  # bytes; where most of a file's structure is

Mutation = Callable[[bytearray, bytes, random.Random], bytes]


def mutated_files(count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """`count` files, each with the name of the case that it was made of and of its mutations."""
    choose = random.Random(seed)
    seeds = [case for case in all_cases() if 0 < len(case.data) <= MOST_SEED_BYTES]
    for number in range(count):
        yield mutate(seeds[number % len(seeds)], seeds, choose)


def mutate(case: CorpusCase, others: Sequence[CorpusCase], choose: random.Random) -> tuple[str, bytes]:
    data, names = case.data, []
    for mutation in choose.choices(MUTATIONS, k=choose.choice((1, 1, 2, 3))):
        data = mutation(bytearray(data), choose.choice(others).data, choose)
        names.append(mutation.__name__)
    if data.startswith(png.SIGNATURE) and choose.random() < 0.5:
        data = repair_checksums(data)
        names.append(repair_checksums.__name__)
    return f"{case.name}: {', '.join(names)}", data


def place_in(data: bytes | bytearray, choose: random.Random) -> int:
    """A place in the file; half of them in its first bytes."""
    most = len(data) if choose.random() < 0.5 else min(len(data), HEADER)
    return choose.randrange(max(most, 1))


def flip_bits(data: bytearray, _: bytes, choose: random.Random) -> bytes:
    for _bit in range(choose.choice((1, 2, 8)) if data else 0):
        data[place_in(data, choose)] ^= 1 << choose.randrange(8)
    return bytes(data)


def replace_bytes(data: bytearray, _: bytes, choose: random.Random) -> bytes:
    place = place_in(data, choose)
    length = min(choose.choice((1, 4, 32, 200)), len(data) - place)
    data[place : place + length] = choose.randbytes(max(length, 0))
    return bytes(data)


def set_number(data: bytearray, _: bytes, choose: random.Random) -> bytes:
    """An extreme value of 1, 2 or 4 bytes in either order."""
    size, letter = choose.choice(((1, "B"), (2, "H"), (4, "I")))
    place = place_in(data, choose)
    if place + size <= len(data):
        value = choose.choice(EXTREMES) & (256**size - 1)
        struct.pack_into(choose.choice("<>") + letter, data, place, value)
    return bytes(data)


def cut(data: bytearray, _: bytes, choose: random.Random) -> bytes:
    return bytes(data[: place_in(data, choose)])


def lose_part(data: bytearray, _: bytes, choose: random.Random) -> bytes:
    place = place_in(data, choose)
    del data[place : place + choose.choice((1, 7, 64, 1000))]
    return bytes(data)


def repeat_part(data: bytearray, _: bytes, choose: random.Random) -> bytes:
    place = place_in(data, choose)
    part = data[place : place + choose.choice((1, 12, 64, 1000))]
    return bytes(data[:place] + part * choose.choice((2, 3, 40)) + data[place:])


def splice(data: bytearray, other: bytes, choose: random.Random) -> bytes:
    """The head of one file and the tail of another."""
    return bytes(data[: place_in(data, choose)]) + other[place_in(other, choose) :]


def repair_checksums(data: bytes) -> bytes:
    """The chunks of a PNG with right checksums, so that their content is read at all."""
    try:
        chunks = png.split(data)
    except struct.error:
        return data
    fixed = [part[:-4] + struct.pack(">I", zlib.crc32(part[4:-4])) for part in chunks if len(part) >= 12]
    return png.SIGNATURE + b"".join(fixed)


MUTATIONS: tuple[Mutation, ...] = (flip_bits, replace_bytes, set_number, cut, lose_part, repeat_part, splice)
