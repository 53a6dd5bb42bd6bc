"""gRPC without threads of its own: as much of HTTP/2 (RFC 9113, RFC 7541) as that needs.

grpcio speaks to a socket through threads of its own, each of which wakes the next; for a call between two processes of one
machine that is most of the price. Here the event loop reads and writes the socket itself: unary calls over unix sockets, and all
that a server does. Calls that are streams, or leave the machine, remain grpcio's.
"""
