"""Train a recogniser of spoken digit strings: python examples/speech_ctc.py fsdd.tar.xz

The Free Spoken Digit Dataset's recordings are joined to strings of 3 to 6 digits; those of the test
strings are held back from training. A net of two convolutions and a recurrent layer in both
directions learns by connectionist temporal classification. Then, without a microphone:

    python examples/speech_ctc.py --demo runs/speech/4071.wav

With --librispeech FOLDER it learns the letters of LibriSpeech's utterances instead.
"""

import argparse
import os
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from anode import layers
from anode.data import ctc
from anode.data.audio import Sound, read_sound, write_wav
from anode.data.sequences import SequenceBatches
from anode.data.speech import (
    DIGITS,
    LETTERS,
    Alphabet,
    Utterance,
    digit_strings,
    held_back,
    list_librispeech,
    load_spoken_digits,
)
from anode.data.speech_features import MFCC, LogMel
from anode.data.transcripts import label_error_rate
from anode.pictures import learning_curves
from anode.scripts import plain_errors, positive

RELU = layers.Rectlin()
WAVS = 3
TEST_BATCH = 25  # of the 125 test strings in a bucket


@dataclass(frozen=True)
class Task:
    """What is heard, from which features, and after how many strides of two."""

    alphabet: Alphabet
    features: LogMel | MFCC
    strides: tuple[int, int]
    metric: str


def task_of(letters: bool, mfcc: bool = False) -> Task:
    rate = 16_000 if letters else 8_000
    features = MFCC(rate, deltas=True) if mfcc else LogMel(rate)
    if letters:  # as many as 20 a second
        return Task(LETTERS, features, (2, 1), "LetterErrorRate")
    return Task(DIGITS, features, (2, 2), "DigitErrorRate")


def network(task: Task, width: int, seed: int, backend: str | None) -> layers.Model:
    return layers.Model(
        [
            layers.Conv((5, 64), strides=task.strides[0], padding=2, bias=0.0, activation=RELU),
            layers.Conv((5, 64), strides=task.strides[1], padding=2, bias=0.0, activation=RELU),
            layers.BiGRU(width),
            layers.Dropout(0.8, scaled=True),
            layers.Affine(task.alphabet.classes, bias=0.0),
        ],
        seed=seed,
        backend=backend,
    )


def digits(options: argparse.Namespace, out: Path) -> tuple[list[Utterance], ...]:
    """Training and test strings; a few of the latter are written as wav files to `out`."""
    train, test = held_back(load_spoken_digits(options.recordings), 0.1, options.seed)
    spoken = list(digit_strings(test, options.test_strings, seed=options.seed + 1))
    for utterance in spoken[:WAVS]:
        write_wav(out / f"{utterance.text}.wav", utterance.sound)
    return list(digit_strings(train, options.strings, seed=options.seed)), spoken


def letters(folder: str, count: int, seed: int) -> tuple[list[Utterance], ...]:
    """Training and test utterances of LibriSpeech's first `count`, one in twenty for testing."""
    found = islice(list_librispeech(folder), count)
    return held_back([Utterance(read_sound(t.path), t.text, t.speaker) for t in found], 0.05, seed)


def batches(
    utterances: list[Utterance], task: Task, batch: int, seed: int | None
) -> SequenceBatches:
    return SequenceBatches(
        [task.features(utterance.sound) for utterance in utterances],
        [task.alphabet.encode(utterance.text) for utterance in utterances],
        batch,
        seed=seed,
        last="drop" if seed is not None else "keep",
    )


def heard(model: layers.Model, task: Task, sound: Sound, width: int) -> tuple[str, list[str]]:
    """What the likeliest classes say, and the best three that a search of `width` finds."""
    x = task.features(sound)
    steps = -(-len(x) // 100) * 100  # one compilation for all of about a length
    padded = np.pad(x, ((0, steps - len(x)), (0, 0)))
    (scores,) = model.predict((padded[None], np.array([len(x)], np.int32)))
    scores = scores[: -(-len(x) // (task.strides[0] * task.strides[1]))]
    found = ctc.beam_search(scores, width)[:3]
    return task.alphabet.decode(ctc.greedy(scores)), [task.alphabet.decode(h.labels) for h in found]


def beam_error_rate(model: layers.Model, data: SequenceBatches, stride: int, width: int) -> float:
    """The error rate of the best that a search of `width` finds."""
    guesses, truths = [], []
    for (x, lengths), (labels, counts) in data:
        for scores, length, row, count in zip(
            model.predict((x, lengths)), lengths, labels, counts, strict=True
        ):
            guesses.append(ctc.beam_search(scores[: -(-length // stride)], width)[0].labels)
            truths.append(tuple(row[:count].tolist()))
    return label_error_rate(guesses, truths)


def loaded(options: argparse.Namespace) -> tuple[Task, layers.Model, Path]:
    """The model, as far as it has been trained, and where its checkpoint is."""
    task = task_of(options.librispeech is not None, options.mfcc)
    model = network(task, options.width, options.seed, options.backend)
    checkpoint = Path(options.out, f"speech-{len(task.alphabet.characters)}.safetensors")
    if checkpoint.exists():
        model.load(checkpoint)
    return task, model, checkpoint


def demo(options: argparse.Namespace) -> str:
    """What the likeliest classes say in a sound; printed beside what the search finds."""
    task, model, checkpoint = loaded(options)
    if not checkpoint.exists():
        raise SystemExit(f"there is no {checkpoint}: train first, without --demo")
    greedy, found = heard(model, task, read_sound(options.demo), options.beam)
    print(f"greedy  {greedy}\nbeam    {', then '.join(found)}")
    return greedy


def main(options: argparse.Namespace) -> float:
    """The error rate of the search on the test utterances; checkpoints and curves are in `out`."""
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    task, model, checkpoint = loaded(options)
    if options.librispeech is not None:
        spoken, unheard = letters(options.librispeech, options.strings, options.seed)
    else:
        spoken, unheard = digits(options, out)
    train = batches(spoken, task, options.batch, options.seed)
    test = batches(unheard, task, TEST_BATCH, None)
    cost = layers.CTC(zero_infinity=True)
    metric = layers.LabelErrorRate(name=task.metric)
    words = [] if task.alphabet is DIGITS else [layers.WordErrorRate()]
    optimizer = layers.Adam(0.002, schedule=layers.PolySchedule(options.epochs, 1.0))
    callbacks = [
        layers.Evaluate(test, [cost, metric, *words]),
        layers.Progress(),
        layers.Checkpoint(checkpoint),
    ]
    curves = model.fit(train, cost, optimizer, options.epochs, callbacks).epochs
    drawn = {"train loss": "cost", "test loss": "CTC", "test error": task.metric}
    drawn = {label: curves[name] for label, name in drawn.items()}
    learning_curves(drawn, out / "speech.png", "Spoken strings")
    rate = beam_error_rate(model, test, task.strides[0] * task.strides[1], options.beam)
    print(f"{task.metric}: greedy {100 * curves[task.metric][-1]:.2f} %, beam {100 * rate:.2f} %")
    return rate


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    found.add_argument(
        "recordings", nargs="?", default="fsdd.tar.xz", help="the archive, or its folder"
    )
    found.add_argument("--librispeech", metavar="FOLDER", help="learn letters from this instead")
    found.add_argument("--demo", metavar="WAV", help="print what a trained net hears in a sound")
    found.add_argument(
        "--strings", type=positive, default=3000, help="training strings, or utterances"
    )
    found.add_argument("--test-strings", type=positive, default=500)
    found.add_argument("--epochs", type=positive, default=12)
    found.add_argument("--batch", type=positive, default=32)
    found.add_argument("--width", type=positive, default=96, help="of the recurrent layer")
    found.add_argument(
        "--beam", type=positive, default=16, help="how many prefixes the search keeps"
    )
    found.add_argument("--mfcc", action="store_true", help="39 cepstral features, not 40 bands")
    found.add_argument("--seed", type=int, default=0)
    found.add_argument("-b", "--backend", choices=("cpu", "reference"))
    found.add_argument("--out", default=os.path.join("runs", "speech"))
    return found


if __name__ == "__main__":
    given = parser().parse_args()
    with plain_errors():
        (demo if given.demo else main)(given)
