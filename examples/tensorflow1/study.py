"""The study of `two_layers.py`: 18 networks on MNIST, and six figures of their accuracy.

anode run examples/tensorflow1/study.py            (about ten minutes; --quick: half a minute)

Three topologies, with raw images and with their principal components, each with ReLU, with ELU and
with ELU and batch normalisation. Results are kept in FOLDER/results.csv: a network that is done is
not trained again. The figures, accuracy against epochs and against time for each topology, are
drawn from that file.
"""

import csv
import os

import matplotlib
import tensorflow as tf
import two_layers

matplotlib.use("Agg")
from matplotlib import pyplot as plt

KINDS = {"ReLU": ("relu", False), "ELU": ("elu", False), "ELU+BN": ("elu", True)}
COLUMNS = ["network", "epoch", "seconds", "accuracy"]


def networks(topology, components):
    """The six networks of a topology, given as "300-100", by what figures call them."""
    hidden = [int(units) for units in topology.split("-")]
    return {
        f"{inputs} inputs, {kind}": two_layers.Network(inputs, *hidden, activation, norm)
        for inputs in (784, components)
        for kind, (activation, norm) in KINDS.items()
    }


def read(path):
    """The results so far: lists of (epoch, seconds, accuracy) by the network's name."""
    results = {}
    if os.path.exists(path):
        with open(path) as file:
            for row in csv.DictReader(file):
                point = int(row["epoch"]), float(row["seconds"]), float(row["accuracy"])
                results.setdefault(row["network"], []).append(point)
    return results


def write(path, results):
    """Replace the file of results at once, so that one that is killed leaves a whole file."""
    with open(path + ".new", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        table.writerows([name, *point] for name, points in results.items() for point in points)
    os.replace(path + ".new", path)


class Progress:
    """A bar where `rich` is installed, lines otherwise."""

    def __init__(self, total):
        try:
            from rich.progress import MofNCompleteColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar
        except ImportError:
            self.bar = None
            return
        self.bar = Bar(*Bar.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
        self.task = self.bar.add_task("", total=total)

    def __enter__(self):
        if self.bar:
            self.bar.start()
        return self

    def __exit__(self, *error):
        if self.bar:
            self.bar.stop()

    def advance(self, text):
        """One epoch more."""
        if self.bar:
            self.bar.update(self.task, advance=1, description=text)
        else:
            print(text, flush=True)

    def log(self, text):
        """A line that stays."""
        print(text, flush=True) if self.bar is None else self.bar.console.print(text)


def run(wanted, flags):
    """Train the networks that have no results for so many epochs; gives all results."""
    path = os.path.join(flags.folder, "results.csv")
    results, data = read(path), {}
    left = [n for n in wanted if len(results.get(str(n), ())) < flags.epochs]
    settings = two_layers.Settings(flags.epochs, flags.batch, flags.rate, flags.seed, flags.folder)
    with Progress(len(left) * flags.epochs) as progress:
        for network in left:
            if network.inputs not in data:
                limit = 7000 if flags.quick else None
                data[network.inputs] = two_layers.load(flags.data_dir, network.inputs, limit)
            points = []
            for point in two_layers.train(network, data[network.inputs], settings):
                points.append(point)
                progress.advance(f"{network}: epoch {point[0]}, {100 * point[2]:.2f} %")
            results[str(network)] = points
            write(path, results)
            progress.log(
                f"{network}: {points[-1][1]:.1f} s, test accuracy {100 * points[-1][2]:.2f} %"
            )
    return results


def draw(title, curves, axis, path):
    """One figure: a curve for each network, over epochs (axis 0) or seconds (axis 1)."""
    figure, axes = plt.subplots(figsize=(7, 4.5))
    colours = dict(zip(KINDS, ("tab:blue", "tab:orange", "tab:green")))  # noqa: B905, as Python 3.7
    for label, points in curves.items():
        inputs, kind = label.split(", ")
        style = "-" if inputs.startswith("784") else "--"
        accuracy = [100 * point[2] for point in points]
        axes.plot([p[axis] for p in points], accuracy, style, color=colours[kind], label=label)
    axes.axhline(98, color="grey", linewidth=0.5)
    axes.set(title=title, xlabel=("epochs", "seconds of training")[axis], ylabel="test accuracy, %")
    highest = max(100 * p[2] for points in curves.values() for p in points)
    axes.set_ylim(min(90, highest - 10), min(100, highest + 1))
    if not axis:
        axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=100)
    plt.close(figure)


def main(_):
    flags = tf.flags.FLAGS
    if flags.quick:
        flags.epochs = min(flags.epochs, 2)
    os.makedirs(flags.folder, exist_ok=True)
    sets = {t: networks(t, flags.components) for t in flags.topologies}
    results = run([network for named in sets.values() for network in named.values()], flags)
    for topology, named in sets.items():
        curves = {label: results[str(network)] for label, network in named.items()}
        for axis, unit in enumerate(("epochs", "time")):
            path = os.path.join(flags.folder, f"{topology}-{unit}.png")
            draw(f"Hidden layers of {topology.replace('-', ' and ')} units", curves, axis, path)
            print(path)


if __name__ == "__main__":
    flags = tf.flags
    flags.DEFINE_string("data_dir", "/tmp/mnist_data", "where MNIST's files are")
    flags.DEFINE_string("folder", "runs/study", "where results, checkpoints and figures go")
    flags.DEFINE_list("topologies", "300-100,784-300,1568-500", "sizes of the hidden layers")
    flags.DEFINE_integer("components", 154, "principal components: 154 have 95 % of the variance")
    flags.DEFINE_integer("epochs", 20, "passes over the training images")
    flags.DEFINE_integer("batch", 70, "images in a minibatch")
    flags.DEFINE_float("rate", 0.01, "learning rate of plain gradient descent")
    flags.DEFINE_integer("seed", 1, "of weights and of the order of the images")
    flags.DEFINE_boolean("quick", False, "two epochs of 7,000 images")
    tf.app.run()
