"""How an application's roles are called on a server."""

from dataclasses import dataclass

from tricorn.data.errors import DataError

_LONGEST_NAME = 63


@dataclass(frozen=True, slots=True)
class RoleNames:
    """The names of an application's roles, from a prefix that all its databases on a server share."""

    prefix: str

    def owner(self, context: str) -> str:
        return self._name(f"{context}_owner")

    def runtime(self, context: str) -> str:
        return self._name(f"{context}_runtime")

    def viewer(self, name: str) -> str:
        """Who may read the published views of some contexts, and nothing else."""
        return self._name(f"{name}_viewer")

    @property
    def readers(self) -> str:
        """The group of all runtime roles: it may read what is published."""
        return self._name("readers")

    def _name(self, suffix: str) -> str:
        name = f"{self.prefix}_{suffix}"
        if len(name) > _LONGEST_NAME:
            raise DataError(
                f"the role name {name!r} is longer than PostgreSQL's {_LONGEST_NAME} characters",
                where=f"application {self.prefix!r}",
                remedy="choose a shorter name for the application or the context",
            )
        return name
