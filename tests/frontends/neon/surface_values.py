"""Values of activations, costs, metrics, optimisers and schedules, by the `neon` there is.

surface_values.json has neon 2.6's: `python surface_values.py > surface_values.json` (Python 3.6).
"""

import json

import numpy as np

BATCH = 4


def tensors():
    from neon import NervanaObject

    rng = np.random.RandomState(0)
    y = rng.uniform(0.05, 0.95, (3, BATCH))
    y[:, 1] = 0.25  # equal outputs
    t = np.eye(3)[:, [0, 2, 1, 2]]
    return NervanaObject.be.array(y), NervanaObject.be.array(t)


def rounded(array):
    return [float(f"{x:.5g}") for x in np.asarray(array, dtype=np.float64).ravel()]


def computed(shape, make):
    from neon import NervanaObject

    out = NervanaObject.be.empty(shape)
    out[:] = make
    return rounded(out.get())


def activations():
    from neon import NervanaObject
    from neon import transforms as T

    be, found = NervanaObject.be, {}
    x = np.linspace(-2, 2, 12).reshape(4, 3)
    x[2, 1] = 0
    for name, f in [
        ("Identity", T.Identity()),
        ("Rectlin", T.Rectlin()),
        ("Rectlin leaky", T.Rectlin(slope=0.1)),
        ("Rectlinclip", T.Rectlinclip(slope=0.2, xcut=1.5)),
        ("Explin", T.Explin(alpha=0.5)),
        ("Normalizer", T.Normalizer(divisor=4.0)),
        ("Softmax", T.Softmax()),
        ("Softmax 1", T.Softmax(axis=1)),
        ("PixelwiseSoftmax", T.PixelwiseSoftmax(2)),
        ("Tanh", T.Tanh()),
        ("Logistic", T.Logistic()),
        ("Logistic shortcut", T.Logistic(shortcut=True)),
        ("Sign", T.Sign()),
    ]:
        value = be.empty(x.shape)
        value[:] = f(be.array(x))
        found[name] = [rounded(value.get()), computed(x.shape, f.bprop(value))]
    return found


def costs():
    from neon import transforms as T

    found = {}
    for name, cost in [
        ("CrossEntropyBinary", T.CrossEntropyBinary(scale=2)),
        ("CrossEntropyMulti", T.CrossEntropyMulti()),
        ("CrossEntropyMulti bits", T.CrossEntropyMulti(usebits=True)),
        ("SumSquared", T.SumSquared()),
        ("MeanSquared", T.MeanSquared()),
        ("SmoothL1Loss", T.SmoothL1Loss(sigma=2.0)),
        ("SquareHingeLoss", T.SquareHingeLoss(margin=0.5)),
    ]:
        y, t = tensors()
        value = computed((1, BATCH), cost(y, t))
        found[name] = [value, computed((3, BATCH), cost.bprop(y, t))]
    return found


def gan_costs():
    from neon import NervanaObject
    from neon import transforms as T

    be, found = NervanaObject.be, {}
    data, noise = be.array([[0.9, 0.6, 0.5, 0.2]]), be.array([[0.1, 0.2, 0.7, 0.9]])
    for func in ("original", "modified", "wasserstein"):
        cost = T.GANCost(func=func)
        made = [cost(data, noise, kind) for kind in ("dis", "dis_data", "dis_noise")]
        made += [cost.bprop_noise(noise), cost.bprop_data(data), cost.bprop_generator(noise)]
        found[func] = [computed((1, BATCH), value) for value in made]
    return found


def metrics():
    from neon import transforms as T

    found = {}
    for metric in [
        T.LogLoss(),
        T.TopKMisclassification(2),
        T.Misclassification(),
        T.Accuracy(),
        T.PrecisionRecall(3),
        T.PrecisionRecall(3, binarize=True),
    ]:
        y, t = tensors()
        name = " ".join(metric.metric_names) + (
            " binarized" if getattr(metric, "bin_buf", 0) else ""
        )
        found[name] = rounded(metric(y, t, calcrange=slice(0, 3)))
    return found


def detection():
    from neon import NervanaObject
    from neon import transforms as T

    be = NervanaObject.be
    y, t = tensors()
    boxes = be.array(np.linspace(-1, 3, 6 * BATCH).reshape(6, BATCH))
    mask = be.array((np.arange(6 * BATCH).reshape(6, BATCH) % 3 > 0) * 1.0)
    target = be.array(np.linspace(1, 0, 6 * BATCH).reshape(6, BATCH))
    ones = be.array(np.ones((3, BATCH)))
    metric = T.ObjectDetection()
    return [rounded(metric((y, boxes), (given, (target, mask)))) for given in (t, (t, ones))]


def bleu():
    from neon import transforms as T

    metric = T.BLEUScore()
    sentences = ["A quick brown fox jumped.", "the rain in <unk> falls mainly on the plains"]
    references = [
        ["a fast brown fox jumped", "a quick brown fox vaulted", "the dog is running on the grass"],
        ["the rain in <unk> falls on the plains", "the rain falls mainly in the plains of spain"],
    ]
    found = []
    for options in ({}, {"N": 2}, {"lower_case": False}):
        metric(sentences, references, **options)
        found.append(rounded(metric.bleu_n))
    metric(["the rain falls today"], [["the rain falls today in spain"]], brevity_penalty=True)
    return [*found, rounded(metric.bleu_n)]


class Layer:
    """What an optimiser sees of a layer."""

    name = "layer"

    def __init__(self, parameters):
        self.parameters = parameters

    def get_params(self):
        return self.parameters


def optimizers():
    from neon import NervanaObject
    from neon import optimizers as O

    be, found = NervanaObject.be, {}
    for name, optimizer in [
        ("sgd", O.GradientDescentMomentum(0.1, 0, wdecay=0.01)),
        ("momentum", O.GradientDescentMomentum(0.1, 0.9, wdecay=0.01, param_clip_value=0.9)),
        ("nesterov", O.GradientDescentMomentum(0.1, 0.9, nesterov=True)),
        ("norm", O.GradientDescentMomentum(0.1, 0.9, gradient_clip_norm=0.2)),
        ("value", O.GradientDescentMomentum(0.1, 0.9, gradient_clip_value=0.1)),
        (
            "schedule",
            O.GradientDescentMomentum(0.1, 0.9, schedule=O.Schedule(step_config=[1], change=0.1)),
        ),
        ("RMSProp", O.RMSProp(gradient_clip_norm=0.2, gradient_clip_value=0.3)),
        ("Adagrad", O.Adagrad(gradient_clip_norm=0.2)),
        ("Adadelta", O.Adadelta(param_clip_value=0.9)),
        ("Adam", O.Adam(gradient_clip_norm=0.2)),
        ("ShiftAdaMax", O.ShiftAdaMax(learning_rate=0.3)),
    ]:
        rng = np.random.RandomState(1)
        parameters = [
            ((be.array(rng.uniform(-1, 1, shape)), be.array(rng.uniform(-2, 2, shape))), [])
            for shape in ((2, 3), (2, 1))
        ]
        for epoch in range(3):
            optimizer.optimize([Layer(parameters)], epoch)
        values = [parameter.get() for (parameter, _), _ in parameters]
        states = [state.get() for _, kept in parameters for state in kept]
        found[name] = [rounded(array) for array in values + states]
    return found


def schedules():
    from neon import optimizers as O

    found = {}
    for name, schedule in [
        ("Schedule", O.Schedule()),
        ("Schedule list", O.Schedule(step_config=[2, 5], change=0.5)),
        ("Schedule int", O.Schedule(step_config=3, change=0.1)),
        ("Schedule lists", O.Schedule(step_config=[2, 5], change=[0.3, 0.2])),
        ("StepSchedule", O.StepSchedule([1, 4], [0.6, 0.4])),
        ("PowerSchedule", O.PowerSchedule(2, 0.5)),
        ("ExpSchedule", O.ExpSchedule(0.2)),
        ("PolySchedule", O.PolySchedule(6, 1.5)),
        ("ShiftSchedule", O.ShiftSchedule(2)),
        ("ShiftSchedule 2", O.ShiftSchedule(2, shift_size=2)),
    ]:
        found[name] = rounded([schedule.get_learning_rate(0.1, epoch) for epoch in range(7)])
    return found


def descriptions():
    from neon import optimizers as O
    from neon import transforms as T

    mapping = {"default": O.GradientDescentMomentum(0.1, 0.9, name="a"), "Bias": O.Adam()}
    return [
        T.Rectlin(slope=0.1, name="r").get_description(),
        T.Softmax(name="s").get_description(),
        T.Logistic(shortcut=True, name="l").get_description(),
        T.CrossEntropyMulti(usebits=True).get_description(),
        O.RMSProp(schedule=O.ExpSchedule(0.1), name="o").get_description(),
        O.MultiOptimizer(mapping).get_description(),
    ]


ALL = [
    activations,
    costs,
    gan_costs,
    metrics,
    detection,
    bleu,
    optimizers,
    schedules,
    descriptions,
]

if __name__ == "__main__":
    from neon.backends import gen_backend

    gen_backend("cpu", rng_seed=0, batch_size=BATCH)
    lines = [f'"{f.__name__}": {json.dumps(f(), sort_keys=True)}' for f in ALL]
    print("{\n" + ",\n".join(lines) + "\n}")
