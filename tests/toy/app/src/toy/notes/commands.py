"""The toy's own command."""

import typer

app = typer.Typer()


@app.callback()
def notes() -> None:
    """Notes."""


@app.command()
def greet(name: str) -> None:
    """Say hello."""
    typer.echo(f"hello {name}")
