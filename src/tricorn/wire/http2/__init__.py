"""Unary gRPC over unix sockets without a thread of its own: as much of HTTP/2 (RFC 9113, RFC 7541) as that needs.

grpcio speaks to a socket through threads of its own, each of which wakes the next; for a call between two processes of one
machine that is most of the price. Here the event loop reads and writes the socket itself. Streams, and whatever is not a
unix socket, remain grpcio's.
"""
