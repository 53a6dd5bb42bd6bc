"""The rules of prices: pure, exact, the same in every implementation.

`money` (arithmetic) <- `lines` (the price of a unit), `promotions` (what they mean) <- `offers` (promotions over one
basket) <- `settlement` (stacking) <- `components` <- `search` <- `basket` (the whole); `repricing`, `demand` and
`standing` stand by themselves.
"""
