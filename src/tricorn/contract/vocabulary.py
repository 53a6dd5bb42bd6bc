"""The page that says what every reason means, made from the contracts."""

from collections.abc import Iterable, Mapping

from google.protobuf.descriptor import EnumDescriptor

from tricorn.v1 import options_pb2

_HEAD = """\
# Errors

Made by `tricorn gen` from the contracts' `Reason` enums.

A call either gives its answer or refuses with one of these reasons. On HTTP a refusal is `application/problem+json` (RFC
9457): `code` is the reason, `status` its HTTP status, `detail` says what was wrong and with what, `violations` the broken
rules of an `INVALID_ARGUMENT` (`field`, `rule`, `message`), and `traceId` finds the request in the logs. On gRPC it is a
status of the code below with a `google.rpc.ErrorInfo`. Programs decide by `code`; `detail` is for people and may change.
"""


def errors_page(enums: Iterable[EnumDescriptor], comments: Mapping[str, str]) -> str:
    """The Markdown page.

    Args:
        enums: The platform's reasons and the application's.
        comments: The contracts' comments by full name.
    """
    lines = [_HEAD]
    for enum in enums:
        lines += [f"## {enum.full_name}", "", comments.get(enum.full_name, ""), ""]
        lines += ["| code | HTTP | gRPC | when |", "| --- | --- | --- | --- |"]
        for value in enum.values:
            options = value.GetOptions()
            if options.HasExtension(options_pb2.reason):
                reason = options.Extensions[options_pb2.reason]
                when = " ".join(comments.get(f"{enum.full_name}.{value.name}", "").split())
                lines.append(f"| `{value.name.removeprefix('REASON_')}` | {reason.http} | {reason.grpc} | {when} |")
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"
