"""Money's rules: what may become of a payment, how it is booked, and what an acquirer must be able to do."""
