"""Faults planted in the reference, to see whether the inputs of a verification would notice them in a candidate."""
