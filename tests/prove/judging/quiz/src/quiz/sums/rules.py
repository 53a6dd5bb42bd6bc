"""The arithmetic."""


def divided(total: int, divisor: int, up: bool) -> int:
    if up:
        return -(-total // divisor)
    return total // divisor


def mean(values: list[int]) -> float:
    return sum(values) / len(values) if values else 0.0
