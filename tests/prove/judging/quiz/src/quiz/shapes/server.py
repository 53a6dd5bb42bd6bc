"""The contract of shapes: says back what it was asked."""

from quiz_proto.shapes.v1 import shapes_pb2 as pb
from quiz_proto.shapes.v1.shapes_tricorn import ShapesServiceBase

from tricorn.host import Host
from tricorn.wire import Call


class ShapesServer(ShapesServiceBase):
    async def draw(self, request: pb.DrawRequest, call: Call) -> pb.DrawResponse:
        return pb.DrawResponse(drawn=request.SerializeToString(deterministic=True))


def register(host: Host) -> None:
    host.serve(ShapesServer())
