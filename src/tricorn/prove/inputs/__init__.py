"""Inputs for `verify`: messages drawn from what a contract says of its requests."""

from tricorn.prove.inputs.draws import Draws, RandomDraws
from tricorn.prove.inputs.seen import Seen

__all__ = ["Draws", "RandomDraws", "Seen"]
