"""`dashboard`: a sweep in the browser, to look at."""

import json
from pathlib import Path
from typing import Annotated

import typer

from tune_mixup.cli.options import Json, Name, Root, sweep_path


def dashboard(
    name: Name,
    port: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, max=65535, help="Where it listens. Default: 8080, or a free one."),
    ] = None,
    root: Root = Path("sweeps"),
    as_json: Json = False,
) -> None:
    """Show a sweep in the browser by optuna-dashboard, read-only and on this host only, until Ctrl-C."""
    path = sweep_path(name, root)

    from tune_mixup.analysis.dashboard import LOOPBACK, serving, study_app
    from tune_mixup.analysis.sweep import load_sweep
    from tune_mixup.cluster.halt import interruptible

    record = load_sweep(path).record
    app = study_app(record)
    with serving(app, port) as server:
        url = f"http://{LOOPBACK}:{server.server_port}/"
        said = json.dumps({"name": record.name, "url": url})
        print(said if as_json else f"{record.name}: {url} (read-only; Ctrl-C ends it)", flush=True)
        try:
            with interruptible():
                server.serve_forever()
        except KeyboardInterrupt:  # the way to end it, and so no fault
            return
