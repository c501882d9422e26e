"""Translate short sentences letter by letter: python examples/seq2seq_multi30k.py FOLDER

FOLDER has Multi30k's train.en.gz, train.de.gz, val.en.gz and val.de.gz (task 1, raw). Sentences of
at most --longest letters count. A decoder that attends to what an encoder reads says the letters;
afterwards a beam search translates the validation sentences.
"""

import argparse
from pathlib import Path

import numpy as np

from anode import layers
from anode.data import Batches, text, transcripts
from anode.scripts import plain_errors, positive

PAD, START, END = 0, 2, 3


def short(folder: str, part: str, longest: int) -> list[tuple[str, str]]:
    """The pairs of a part, of English and German, both short enough."""
    pairs = text.load_pairs(Path(folder, f"{part}.en.gz"), Path(folder, f"{part}.de.gz"))
    return [(a, b) for a, b in pairs if max(len(a), len(b)) <= longest]


def arrays(pairs, english, german, longest: int) -> tuple[np.ndarray, np.ndarray]:
    source = [english.encode(a) for a, _ in pairs]
    target = [[*german.encode(b), END] for _, b in pairs]
    return text.padded(source, longest), text.padded(target, longest + 1)


def network(english: int, german: int, units: int, longest: int) -> layers.Seq2Seq:
    encoder = [
        layers.LookupTable(english, 64, pad_idx=PAD),
        layers.Dropout(0.8, scaled=True),
        layers.BiGRU(units // 2),
    ]
    decoder = [
        layers.LookupTable(german, 64),
        layers.Dropout(0.8, scaled=True),
        layers.GRU(units),
        layers.Attention(units),
        layers.Dropout(0.8, scaled=True),
        layers.Affine(german, bias=0.0, activation=layers.Softmax()),
    ]
    return layers.Seq2Seq(encoder, decoder, start=START, end=END, steps=longest + 1)


def main(
    folder: str,
    longest: int = 50,
    epochs: int = 15,
    units: int = 256,
    beams: int = 5,
    seed: int = 0,
) -> float:
    """The character error rate of the translations of the validation sentences."""
    train, valid = (short(folder, part, longest) for part in ("train", "val"))
    english, german = (text.Vocabulary.of((p[i] for p in train), least=3) for i in range(2))
    print(f"{len(train)} pairs of at most {longest} letters, {len(valid)} to validate")
    model = layers.Model([network(len(english), len(german), units, longest)], seed=seed)
    cost = layers.PerStep(layers.CrossEntropyMulti(), pad_idx=PAD, mean=True)
    schedule = layers.PolySchedule(epochs, 1.0)
    optimizer = layers.Adam(0.003, gradient_clip_norm=5.0, schedule=schedule)
    batches = Batches(arrays(train, english, german, longest), 64, seed=seed)
    model.fit(batches, cost, optimizer, epochs, [layers.Progress()])
    held_out = Batches(arrays(valid, english, german, longest), 50, last="keep")
    found = layers.beamed(model, beams).get_outputs(held_out)
    said = ["".join(german.decode(row)) for row in found]
    for (source, target), heard in list(zip(valid, said, strict=True))[:5]:
        print(f"  {source}\n  {target}\n  {heard}\n")
    return transcripts.character_error_rate(said, [target for _, target in valid])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument(
        "--longest", type=positive, default=50, help="letters of a sentence, at most"
    )
    parser.add_argument("--epochs", type=positive, default=15)
    parser.add_argument("--units", type=positive, default=256)
    parser.add_argument("--beams", type=positive, default=5)
    parser.add_argument("--seed", type=int, default=0)
    options = vars(parser.parse_args())
    with plain_errors():
        rate = main(options.pop("folder"), **options)
        print(f"character error rate {100 * rate:.1f} %")
