"""How many connections the processes together may ask for."""

from collections.abc import Mapping

from tricorn.data.errors import DataError

RESERVE = 10


def check_budget(asked: Mapping[str, int], *, limit: int, reserve: int = RESERVE) -> int:
    """The sum of what is asked for, by process or pool, when the server can give it.

    `reserve` connections stay free for migrations, backups and whoever has to look.

    Raises:
        DataError: it cannot; named by who asks for how many.
    """
    total = sum(asked.values())
    if total > limit - reserve:
        shares = ", ".join(f"{name} {count}" for name, count in sorted(asked.items(), key=lambda item: -item[1]))
        raise DataError(
            f"the processes ask for {total} connections, and PostgreSQL has {limit - reserve} to give"
            f" ({limit} less {reserve} kept free)",
            where=shares,
            remedy="give the pools fewer connections, or raise the server's max_connections",
        )
    return total
