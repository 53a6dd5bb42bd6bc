"""Nothing of the contract comes through here."""

ANSWER = 42
