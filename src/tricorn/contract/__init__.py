"""What the contracts say: policies, reasons, rules."""

from tricorn.contract.page_token import decode_page_token, encode_page_token, query_fingerprint
from tricorn.contract.policy import CachePolicy, HttpRoute, Level, MethodPolicy, method_policy, service_policies
from tricorn.contract.refusal import (
    PlatformReason,
    ReasonEntry,
    Refusal,
    Violation,
    declare_reasons,
    reason_entry,
    reasons,
)
from tricorn.contract.timestamps import timestamp
from tricorn.contract.validation import validate

__all__ = [
    "CachePolicy",
    "HttpRoute",
    "Level",
    "MethodPolicy",
    "PlatformReason",
    "ReasonEntry",
    "Refusal",
    "Violation",
    "declare_reasons",
    "decode_page_token",
    "encode_page_token",
    "method_policy",
    "query_fingerprint",
    "reason_entry",
    "reasons",
    "service_policies",
    "timestamp",
    "validate",
]
