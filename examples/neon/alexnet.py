"""Train AlexNet with neon's own layers, as neon's model zoo did, or test weights it was given.

anode run examples/neon/alexnet.py --manifest train:train.tsv --manifest val:val.tsv -s alexnet.prm
anode run examples/neon/alexnet.py --manifest val:val.tsv --model_file alexnet.prm --test_only

A manifest is a line `@FILE<tab>STRING`, then a line `path<tab>label` for each image.
"""

import numpy as np
from neon import logger as neon_logger
from neon.callbacks.callbacks import Callbacks
from neon.data.aeon_shim import AeonDataLoader
from neon.data.dataloader_transformers import BGRMeanSubtract, OneHot, TypeCast
from neon.initializers import Constant, Gaussian
from neon.layers import Affine, Conv, Dropout, GeneralizedCost, Pooling
from neon.models import Model
from neon.optimizers import GradientDescentMomentum, MultiOptimizer, Schedule
from neon.transforms import CrossEntropyMulti, Rectlin, Softmax, TopKMisclassification
from neon.util.argparser import NeonArgparser

parser = NeonArgparser(__doc__, default_overrides={"epochs": 90})
parser.add_argument("--subset_pct", type=float, default=100, help="of the images, in per cent")
parser.add_argument("--test_only", action="store_true", help="test the weights of --model_file")
parser.add_argument("--classes", type=int, default=1000)
args = parser.parse_args()


def images(part, batch_size, augment):
    """Squares of 224 pixels: any one of an image, mirrored or not, or that in the middle."""
    if part not in (args.manifest or {}):
        parser.error(f"give --manifest {part}:FILE")
    options = {"type": "image", "scale": [0.875, 0.875], "crop_enable": True}
    if augment:
        options.update(center=False, flip_enable=True)
    config = {
        "manifest_filename": args.manifest[part],
        "manifest_root": args.manifest_root,
        "batch_size": batch_size,
        "subset_fraction": args.subset_pct / 100,
        "shuffle_enable": augment,
        "shuffle_manifest": augment,
        "random_seed": args.rng_seed or 0,
        "etl": [{"type": "image", "height": 224, "width": 224}, {"type": "label"}],
        "augmentation": [options],
    }
    loader = OneHot(AeonDataLoader(config), index=1, nclasses=args.classes)
    loader = TypeCast(loader, index=0, dtype=np.float32)
    return BGRMeanSubtract(loader, index=0)


def conv(shape, scale, bias, **options):
    init, bias = Gaussian(scale=scale), Constant(bias)
    return Conv(shape, init=init, bias=bias, activation=Rectlin(), **options)


def affine(nout, bias, activation):
    return Affine(nout, init=Gaussian(scale=0.01), bias=Constant(bias), activation=activation)


model = Model(
    layers=[
        conv((11, 11, 64), 0.01, 0, padding=3, strides=4),
        Pooling(3, strides=2),
        conv((5, 5, 192), 0.01, 1, padding=2),
        Pooling(3, strides=2),
        conv((3, 3, 384), 0.03, 0, padding=1),
        conv((3, 3, 256), 0.03, 1, padding=1),
        conv((3, 3, 256), 0.03, 1, padding=1),
        Pooling(3, strides=2),
        affine(4096, 1, Rectlin()),
        Dropout(keep=0.5),
        affine(4096, 1, Rectlin()),
        Dropout(keep=0.5),
        affine(args.classes, -7, Softmax()),
    ]
)
metric = TopKMisclassification(k=5)
valid = images("val", model.be.bsz, augment=False)
if args.test_only:
    if not args.model_file:
        parser.error("--test_only needs --model_file")
    model.load_params(args.model_file)
else:
    weights = GradientDescentMomentum(
        0.01, 0.9, wdecay=0.0005, schedule=Schedule([22, 44, 65], (1 / 250) ** (1 / 3))
    )
    biases = GradientDescentMomentum(0.02, 0.9, schedule=Schedule([44], 0.1))
    model.fit(
        images("train", model.be.bsz, augment=True),
        optimizer=MultiOptimizer({"default": weights, "Bias": biases}),
        num_epochs=args.epochs,
        cost=GeneralizedCost(costfunc=CrossEntropyMulti()),
        callbacks=Callbacks(model, eval_set=valid, metric=metric, **args.callback_args),
    )
loss, first, five = model.eval(valid, metric=metric)
right = [100 * (1 - missed) for missed in (first, five)]
neon_logger.display(
    f"LogLoss {loss:.3f}, accuracy {right[0]:.1f} % (Top-1), {right[1]:.1f} % (Top-5)"
)
