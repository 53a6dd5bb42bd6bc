"""Which of the 64 partitions an aggregate belongs to.

The rule, the same in every language: take SHA-256 of the subject's UTF-8 bytes, read its first 8 bytes as a
big-endian unsigned integer, and take that modulo 64. `partition_vectors.json` beside this file holds values for tests
in any language. A relay leases *slots*: slot ``s`` holds the partitions ``p`` with ``p % 8 == s``.
"""

from hashlib import sha256

PARTITIONS = 64
SLOTS = 8


def partition_of(subject: str) -> int:
    """The partition, 0 to 63."""
    # The remainder modulo 64 of a big-endian number is decided by its last byte.
    return sha256(subject.encode()).digest()[7] % PARTITIONS
