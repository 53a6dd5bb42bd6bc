"""Requests of the shape that this application has."""

import random

from quiz_proto.sums.v1 import sums_pb2 as pb


def request(rng: random.Random, method: str) -> pb.AddRequest | None:
    if method != "Add":
        return None
    return pb.AddRequest(values=[rng.randint(0, 9)], divisor=77, rounding=pb.ROUNDING_UP)
