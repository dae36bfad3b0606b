"""Command ``install-service``: make the bridge a service of systemd."""

from pathlib import Path

import click

from tinybms_bridge.cli.common import fail
from tinybms_bridge.errors import BridgeError

__all__ = ["install_service_command"]


@click.command("install-service")
@click.option(
    "--files-to", metavar="DIR", required=True, help="Only write the files there, for the build of a package."
)
@click.option("--program", metavar="PATH", required=True, help="Where the program will be.")
def install_service_command(files_to: str, program: str) -> None:
    """Write the files that make the bridge a service of systemd."""
    from tinybms_bridge.app.units import unit_files

    try:
        folder = Path(files_to)
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in unit_files(program).items():
            (folder / name).write_text(text, encoding="utf-8")
            click.echo(str(folder / name))
    except (BridgeError, OSError) as error:
        fail(error)
