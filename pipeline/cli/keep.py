"""Living with a warehouse: ``info``, ``delete``, ``rename``, ``vacuum``, ``move-shards``."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from pipeline.base.display import say, say_json, show_bytes
from pipeline.base.progress import choose_progress
from pipeline.cli.complete import complete_dataset, complete_run
from pipeline.cli.options import OneDataset, Warehouse, examples

Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


def add_commands(app: typer.Typer) -> None:
    """Give the command line these commands."""
    app.command(epilog=examples("neurons info --warehouse warehouse"))(info)
    group = typer.Typer(
        help="Take a run or a whole dataset out of the warehouse.", no_args_is_help=True
    )
    group.command("run", epilog=examples("neurons delete run 0123456789ab --warehouse warehouse"))(
        delete_run
    )
    group.command("dataset", epilog=examples("neurons delete dataset mine --warehouse warehouse"))(
        delete_dataset
    )
    app.add_typer(group, name="delete")
    group = typer.Typer(help="Give a run or a dataset another name.", no_args_is_help=True)
    group.command(
        "run", epilog=examples("neurons rename run 0123456789ab pilot --warehouse warehouse")
    )(rename_run)
    group.command(
        "dataset", epilog=examples("neurons rename dataset mine ours --warehouse warehouse")
    )(rename_dataset)
    app.add_typer(group, name="rename")
    app.command(
        epilog=examples(
            "neurons vacuum --warehouse warehouse --dry-run", "neurons vacuum --warehouse warehouse"
        )
    )(vacuum)
    app.command(epilog=examples("neurons move-shards /old/place /new/place --warehouse warehouse"))(
        move_shards
    )


def info(
    warehouse: Warehouse,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print it as JSON, sizes in bytes.")
    ] = False,
) -> None:
    """Show what is in the warehouse, and how large it is.

    Datasets and runs with their sizes by table, what is out of date, and what can go.
    """
    from dataclasses import asdict

    from pipeline.base.storage import FORMAT, Store
    from pipeline.upkeep.usage import DatasetUsage, RunUsage, measure_usage

    usage = measure_usage(Store(warehouse))
    if as_json:
        say_json(asdict(usage))
        return

    def tell_sizes(of: DatasetUsage | RunUsage, indent: str) -> None:
        for table, size in of.bytes.items():
            say(f"{indent}{show_bytes(size):>10}  {table}")

    for dataset in usage.datasets:
        missing = f", {dataset.missing_shard_count} missing" * bool(dataset.missing_shard_count)
        say(
            f"{dataset.name}: {dataset.example_count} images in {dataset.shard_count} shards{missing}, "
            f"{dataset.rejected_count} rejected; {show_bytes(sum(dataset.bytes.values()))}"
        )
        tell_sizes(dataset, "  ")
        for run in dataset.runs:
            failed = f", {run.failed_shard_count} failed" * bool(run.failed_shard_count)
            say(
                f"  run {run.run_id}: {run.model_id}, {run.unit_count} units in {run.layer_count} layers, "
                f"{run.example_count} images in {run.shard_count} shards{failed}"
                f"{', compacted' * run.is_compacted}; {show_bytes(sum(run.bytes.values()))}"
            )
            tell_sizes(run, "    ")
    say(f"marts: {show_bytes(usage.marts_bytes)}; {usage.stale or 'up to date'}")
    for told in usage.left_out:
        say(f"left out: {told}")
    if usage.leftovers:
        size = show_bytes(sum(each.bytes for each in usage.leftovers))
        say(f"{len(usage.leftovers)} files that nothing names, {size}: neurons vacuum removes them")
    formats = " and ".join(map(str, usage.formats)) or FORMAT
    say(f"{show_bytes(usage.bytes)} in {usage.url}; format {formats}")


def delete_run(
    run: Annotated[str, typer.Argument(help="Id of the run, whole.", autocompletion=complete_run)],
    warehouse: Warehouse,
    dataset: OneDataset = None,
    yes: Yes = False,
) -> None:
    """Delete a run with all that was made of it; its dataset stays."""
    _delete(warehouse, "run", run, dataset, yes)


def delete_dataset(
    name: Annotated[
        str, typer.Argument(help="Name of the dataset.", autocompletion=complete_dataset)
    ],
    warehouse: Warehouse,
    yes: Yes = False,
) -> None:
    """Delete a dataset with all its runs. Tars that were indexed where they lie stay."""
    _delete(warehouse, "dataset", name, None, yes)


def _delete(warehouse: str, what: str, name: str, dataset: str | None, yes: bool) -> None:
    from pipeline.base.errors import ConfigError
    from pipeline.base.storage import Store
    from pipeline.upkeep.delete import delete, find_target

    store = Store(warehouse)
    target = find_target(store, what, name, dataset)
    runs = f" and its {len(target.run_ids)} runs" * (what == "dataset" and bool(target.run_ids))
    told = f"{what} {name}{runs}: {target.file_count} files, {show_bytes(target.bytes)}"
    if not yes:
        if not sys.stdin.isatty():
            raise ConfigError(
                f"Nobody can be asked whether to delete {told}.", "Say so: --yes, if that is meant."
            )
        if not typer.confirm(f"Delete {told}?"):
            raise typer.Exit(1)
    delete(store, target)
    say(f"deleted {told}")
    say("Marts that rest on it are stale: neurons build")


def rename_run(
    old: Annotated[str, typer.Argument(help="Id of the run, whole.", autocompletion=complete_run)],
    new: Annotated[str, typer.Argument(help="Id that it gets.")],
    warehouse: Warehouse,
    dataset: OneDataset = None,
) -> None:
    """Give a run another id. All that was made of it stays; extract goes on with it."""
    _rename(warehouse, "run", old, new, dataset)


def rename_dataset(
    old: Annotated[
        str, typer.Argument(help="Name of the dataset.", autocompletion=complete_dataset)
    ],
    new: Annotated[str, typer.Argument(help="Name that it gets.")],
    warehouse: Warehouse,
) -> None:
    """Give a dataset another name. Its runs keep their ids; extract goes on with them."""
    _rename(warehouse, "dataset", old, new, None)


def _rename(warehouse: str, what: str, old: str, new: str, dataset: str | None) -> None:
    from pipeline.base.storage import Store
    from pipeline.upkeep.rename import rename

    rename(Store(warehouse), what, old, new, dataset)
    say(f"{what} {old} is called {new}")
    say("Marts have the old name in them and are stale: neurons build")


def vacuum(
    warehouse: Warehouse,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only list what would be removed.")
    ] = False,
) -> None:
    """Remove files that belong to nothing any more.

    Half-written and superseded files, and what old builds wrote.
    """
    from pipeline.base.storage import Store
    from pipeline.upkeep.vacuum import vacuum as run_vacuum

    done = run_vacuum(Store(warehouse), dry_run)
    for each in done.kept if dry_run else done.removed:
        say(f"{each.why:<12} {show_bytes(each.bytes):>10}  {each.path}")
    size = show_bytes(sum(each.bytes for each in (done.kept if dry_run else done.removed)))
    if dry_run:
        say(f"{len(done.kept)} files, {size}, would be removed")
        return
    say(f"{len(done.removed)} files, {size}, removed")
    if done.kept:
        say(f"{len(done.kept)} left: somebody works there, or they are too young to tell")


def move_shards(
    old: Annotated[str, typer.Argument(help="Folder or URL below which the tars lay.")],
    new: Annotated[str, typer.Argument(help="Folder or URL below which they lie now.")],
    warehouse: Warehouse,
    dataset: OneDataset = None,
) -> None:
    """Say that tars lie elsewhere now. Sizes and some images of each are compared before."""
    from pipeline.base.storage import Store
    from pipeline.upkeep.move import move_shards as run_move

    for moved in run_move(Store(warehouse), old, new, dataset, choose_progress()):
        say(f"{moved.dataset}: {moved.shard_count} shards are at {new}")
