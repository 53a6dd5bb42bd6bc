"""Payments' SQL: payments with the answers to their keys, and the ledger."""

from agora.payments.repository.ledger import LedgerRepository
from agora.payments.repository.payments import PaymentsRepository

__all__ = ["LedgerRepository", "PaymentsRepository"]
