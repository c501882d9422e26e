"""The commands and their options, as typer reads them."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Console

from anode import __version__
from anode.commands.data import app as data_app
from anode.commands.settings import (
    ACTIVATIONS,
    DATASETS,
    INITIALIZERS,
    MODELS,
    RATES,
    SCHEDULES,
    Settings,
    known,
)
from anode.commands.train import FOLDER, Run
from anode.commands.train import train as run_training

app = typer.Typer(
    name="anode",
    help="A small deep-learning compiler: the whole training step as one native function.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.add_typer(data_app, name="data")
DEFAULT = Settings()

Dataset = Annotated[str, typer.Argument(help=f"The data: {', '.join(DATASETS)}.")]
Model = Annotated[str, typer.Option(help=f"{', '.join(MODELS)}; bn is batch normalisation.")]
Hidden = Annotated[str, typer.Option(help="Sizes of the hidden layers, such as 300,100.")]
Activation = Annotated[str, typer.Option(help=f"{', '.join(ACTIVATIONS)}.")]
Init = Annotated[
    str | None, typer.Option(help=f"Of hidden layers: {', '.join(INITIALIZERS)}; else the model's.")
]
Dropout = Annotated[float, typer.Option(help="Probability of dropping a hidden value.")]
Batch = Annotated[int, typer.Option(help="Rows of a minibatch.")]
Optimizer = Annotated[str, typer.Option(help=f"{', '.join(RATES)}.")]
Rate = Annotated[float | None, typer.Option(help="Learning rate, by default the optimiser's.")]
Momentum = Annotated[float | None, typer.Option(help="Of momentum and nesterov, by default 0.9.")]
Scheduled = Annotated[str | None, typer.Option(help=f"Learning rate over epochs: {SCHEDULES}.")]
Threads = Annotated[int | None, typer.Option(help="Threads of the cpu backend, by default all.")]


def version(wanted: bool) -> None:
    if wanted:
        print(f"anode {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def start(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        print(context.get_help())


@app.command()
def train(
    context: typer.Context,
    dataset: Dataset,
    model: Model = DEFAULT.model,
    hidden: Hidden = DEFAULT.hidden,
    activation: Activation = DEFAULT.activation,
    init: Init = None,
    dropout: Dropout = DEFAULT.dropout,
    batch: Batch = DEFAULT.batch,
    epochs: Annotated[int, typer.Option(help="Epochs in all.")] = DEFAULT.epochs,
    optimizer: Optimizer = DEFAULT.optimizer,
    rate: Rate = None,
    momentum: Momentum = None,
    schedule: Scheduled = None,
    seed: Annotated[int, typer.Option(help="Of initial values, order and dropout.")] = 0,
    data: Annotated[
        str | None, typer.Option(help="Folder of your own IDX files, by default anode's MNIST.")
    ] = None,
    fashion: Annotated[
        bool, typer.Option("--fashion", help="The files are Fashion-MNIST.")
    ] = False,
    backend: Annotated[str | None, typer.Option(help="cpu, or reference: NumPy.")] = None,
    threads: Threads = None,
    resume: Annotated[
        str | None,
        typer.Option(help="Go on from a checkpoint or a run's folder, as it was."),
    ] = None,
    out: Annotated[str, typer.Option(help="Folder of the run's files.")] = FOLDER,
) -> None:
    """Train a model and report its accuracy on test images.

    After each epoch a checkpoint is written; a run that was stopped goes on with --resume, and ends
    with the same bits as if it had not been.
    """
    known("data set", dataset, DATASETS)
    run_training(Run.of(given(context)), Console())


@app.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
def run(
    script: Annotated[str, typer.Argument(help="A Python file or a notebook.")],
    arguments: Annotated[list[str] | None, typer.Argument(help="The script's own.")] = None,
    report: Annotated[
        bool, typer.Option("--report", help="Say what was compiled, what was not, and the times.")
    ] = False,
) -> None:
    """Run a script or notebook for TensorFlow 1, neon or ngraph, without these libraries."""
    from anode.commands.run import main  # cli.py calls it without typer, for a faster start

    raise typer.Exit(main([*(["--report"] if report else []), "--", script, *(arguments or [])]))


@app.command()
def explain(
    context: typer.Context,
    what: Annotated[
        str,
        typer.Argument(help="mnist, a model such as alexnet, a graph's text, or an archive."),
    ],
    model: Model = DEFAULT.model,
    hidden: Hidden = DEFAULT.hidden,
    activation: Activation = DEFAULT.activation,
    init: Init = None,
    dropout: Dropout = DEFAULT.dropout,
    batch: Batch = DEFAULT.batch,
    optimizer: Optimizer = DEFAULT.optimizer,
    rate: Rate = None,
    momentum: Momentum = None,
    schedule: Scheduled = None,
    threads: Threads = None,
    function: Annotated[
        str | None, typer.Option(help="The function of an archive, if it has several.")
    ] = None,
    size: Annotated[
        list[str] | None, typer.Option(help="A size of a graph's symbolic dim, such as n=32.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Only what concerns a kernel, op, layer or variable.")
    ] = None,
    measure: Annotated[
        bool, typer.Option("--measure", help="Run it, and time every kernel.")
    ] = False,
    html: Annotated[
        str | None, typer.Option(help="Write the report as one HTML file, with pictures.")
    ] = None,
    trace: Annotated[
        str | None, typer.Option(help="Time a run and write its trace for Chrome's viewer.")
    ] = None,
    select: Annotated[
        str | None, typer.Option(help="List what a selector finds, such as 'convolution > relu'.")
    ] = None,
    svg: Annotated[
        str | None, typer.Option(help="Draw the layers, or the graph, what is selected marked.")
    ] = None,
    dot: Annotated[str | None, typer.Option(help="The same as text for Graphviz.")] = None,
) -> None:
    """Show what a training step, or a graph, is compiled to, and why."""
    from anode.commands.explain import run

    print(run(what, given(context)), end="")


@app.command("export")
def export_(
    checkpoint: Annotated[str, typer.Argument(help="A checkpoint that anode train wrote.")],
    file: Annotated[str, typer.Argument(help="The archive to write, such as mnist.anode.")],
    rows: Annotated[int, typer.Option(help="Images of a minibatch of inference.")] = 32,
    training: Annotated[
        bool, typer.Option("--training", help="With the training step, to train on.")
    ] = False,
) -> None:
    """Write a trained model as one file that needs no Python class to be read."""
    from anode.commands.archive import write

    print(write(checkpoint, file, rows, training))


@app.command()
def show(
    file: Annotated[str, typer.Argument(help="An archive.")],
    graph: Annotated[
        str | None, typer.Option(help="Print the graph of this function, such as predict.")
    ] = None,
) -> None:
    """Show what is in an archive: functions with inputs and outputs, variables."""
    from anode.commands.archive import show

    print(show(file, graph), end="")


@app.command()
def tune(
    model: Annotated[str, typer.Argument(help="An architecture, such as alexnet or resnet-20.")],
    batch: Annotated[int | None, typer.Option(help="Rows of a minibatch.")] = None,
) -> None:
    """Measure a model's convolutions by oneDNN and by generated code, for the faster to be used."""
    from anode.commands.tune import tune

    tune(model, batch, Console())


@app.command()
def bench(
    model: Annotated[str, typer.Argument(help="An architecture, such as alexnet or vgg-a.")],
    batch: Annotated[int | None, typer.Option(help="Images of a minibatch.")] = None,
    runs: Annotated[int, typer.Option(help="Runs whose mean is shown.")] = 10,
    skip: Annotated[int, typer.Option(help="Runs before that do not count.")] = 2,
    backend: Annotated[
        str | None, typer.Option("-b", "--backend", help="cpu or reference.")
    ] = None,
    threads: Threads = None,
) -> None:
    """Time a model's forward pass, backward pass, update and iteration on random images."""
    from anode.commands.bench import bench

    bench(model, Console(), batch, runs, skip, backend, threads)


@app.command()
def doctor() -> None:
    """Show what this machine offers, and what is not installed."""
    from anode.inspect.doctor import diagnose

    print(diagnose())


def given(context: typer.Context) -> dict[str, Any]:
    """The options that were given on the command line, by name, without those left out."""
    return {
        name: value
        for name, value in context.params.items()
        if name not in ("dataset", "what")
        and context.get_parameter_source(name) is not None
        and context.get_parameter_source(name).name == "COMMANDLINE"  # type: ignore[union-attr]
    }
