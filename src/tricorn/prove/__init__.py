"""Whether an implementation is the same as the reference: recorded, replayed, verified, shadowed, and moved to by steps."""
