"""Caffe's own arithmetic for training resnet20_cifar: its calls of BLAS, by NumPy's OpenBLAS.

With the kernels that Caffe ran with (`OPENBLAS_CORETYPE=Haswell`, one thread) and the C library's
expf and logf, the ten losses that it recorded come out to the last bit. Run as a program, this
writes what Caffe holds before each iteration and after the last.
"""

import ctypes
import sys
import zlib
from ctypes import POINTER, c_float, c_int, c_int64
from pathlib import Path

import numpy as np

F32 = np.float32
BATCH, STEPS = 8, 10
RATE, MOMENTUM, DECAY = F32(0.1), F32(0.9), F32(1e-4)
KEPT, EPSILON = F32(0.999), F32(1e-5)
ROW_MAJOR, AS_IS, TURNED = 101, 111, 112


def library():
    """NumPy's OpenBLAS, with the types of what is called."""
    folder = Path(np.__file__).parents[1] / "numpy.libs"
    found = ctypes.CDLL(str(next(folder.glob("libscipy_openblas64_*"))))
    found.scipy_openblas_set_num_threads64_(c_int(1))
    n, array = c_int64, POINTER(c_float)
    matrix, vector = [array, n], [array, n]
    end = [c_float, array, n]
    found.scipy_cblas_sgemm64_.argtypes = [*[c_int] * 3, n, n, n, c_float, *matrix, *matrix, *end]
    found.scipy_cblas_sgemv64_.argtypes = [c_int, c_int, n, n, c_float, *matrix, *vector, *end]
    found.scipy_cblas_saxpy64_.argtypes = [n, c_float, *vector, *vector]
    found.scipy_cblas_sscal64_.argtypes = [n, c_float, *vector]
    return found


BLAS, LIBM = library(), ctypes.CDLL("libm.so.6")
LIBM.expf.restype = LIBM.logf.restype = c_float
exp = np.vectorize(lambda x: LIBM.expf(c_float(x)), otypes=[F32])
log = np.vectorize(lambda x: LIBM.logf(c_float(x)), otypes=[F32])


def at(array):
    assert array.dtype == F32 and array.flags.c_contiguous
    return array.ctypes.data_as(POINTER(c_float))


def gemm(a, b, c, *, keep=0, turn=""):
    """c = a·b + keep·c, with the factors named in `turn` transposed."""
    a, b = np.ascontiguousarray(a), np.ascontiguousarray(b)
    modes = (TURNED if "a" in turn else AS_IS), (TURNED if "b" in turn else AS_IS)
    sizes = *c.shape, a.shape[0 if "a" in turn else 1]
    factors = at(a), a.shape[1], at(b), b.shape[1]
    BLAS.scipy_cblas_sgemm64_(ROW_MAJOR, *modes, *sizes, 1, *factors, keep, at(c), c.shape[1])
    return c


def sums(a, *, axis=1, scale=1.0, into=None):
    """scale · the sums of a matrix over an axis, added to `into`."""
    a, ones = np.ascontiguousarray(a), np.ones(a.shape[axis], F32)
    out = np.zeros(a.shape[1 - axis], F32) if into is None else into
    mode, keep = AS_IS if axis else TURNED, 0 if into is None else 1
    operands = at(a), a.shape[1], at(ones), 1
    BLAS.scipy_cblas_sgemv64_(ROW_MAJOR, mode, *a.shape, scale, *operands, keep, at(out), 1)
    return out


def add(scale, x, y, keep=None):
    """y = scale·x + y, or scale·x + keep·y in two steps."""
    x = np.ascontiguousarray(x)
    if keep is not None:
        BLAS.scipy_cblas_sscal64_(y.size, keep, at(y), 1)
    BLAS.scipy_cblas_saxpy64_(y.size, scale, at(x), 1, at(y), 1)


def moment(x, scale=1.0):
    """scale · the sum of each channel: first over places, then over images."""
    parts = sums(x.reshape(-1, x[0, 0].size), scale=scale)
    return sums(parts.reshape(x.shape[:2]), axis=0)


def spread(channels, like):
    """A value per channel at every place, times a one."""
    return np.broadcast_to(channels[:, None, None], like.shape)


def random(key):
    return np.random.RandomState(zlib.crc32(key.encode()) & 0xFFFFFFFF)


def recipe(layer, index, shape):
    r = random(f"{layer}/{index}")
    if layer.endswith("_bn"):
        return (0.1 * r.standard_normal(shape), 1 + 0.5 * r.random_sample(shape))[index]
    if layer.endswith("_scale") and index == 0:
        return 1 + 0.1 * r.standard_normal(shape)
    if len(shape) > 1:
        return r.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))
    return 0.1 * r.standard_normal(shape)


class Blobs(dict):
    """Parameters by layer and number, with gradients and momenta of those that learn."""

    def __init__(self):
        self.gradients, self.history = {}, {}

    def take(self, layer, index, shape):
        self[layer, index] = value = recipe(layer, index, shape).astype(F32)
        return value

    def learn(self, layer, index, shape):
        value, gradient = self.take(layer, index, shape), np.zeros(shape, F32)
        self.gradients[layer, index], self.history[layer, index] = gradient, np.zeros(shape, F32)
        return value, gradient

    def update(self):
        """A step of Nesterov's method, the decay in the gradients."""
        for key, g in self.gradients.items():
            rate, decay = (2 * RATE, 0) if key == ("fc", 1) else (RATE, DECAY)
            if decay:
                add(decay, self[key], g)
            move, history = self.history[key].copy(), self.history[key]
            add(rate, g, history, MOMENTUM)
            add(F32(1) + MOMENTUM, history, move, -MOMENTUM)
            add(-1, move, self[key])
            g[...] = 0


class Conv:
    """Image by image: windows as columns, a product with them, the bias times ones."""

    def __init__(self, blobs, name, inputs, outputs, size=3, stride=1):
        self.size, self.stride, self.pad, self.name = size, stride, size // 2, name
        self.weight, self.weight_ct = blobs.learn(name, 0, (outputs, inputs, size, size))
        self.bias, self.bias_ct = blobs.learn(name, 1, (outputs,))

    def forward(self, x):
        self.shape, p = x.shape, self.pad
        padded = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
        view = np.lib.stride_tricks.sliding_window_view(padded, (self.size, self.size), (2, 3))
        view = view[:, :, :: self.stride, :: self.stride].transpose(0, 1, 4, 5, 2, 3)
        self.places = view.shape[-2:]
        self.columns = view.reshape(len(x), -1, np.prod(self.places))
        y = np.empty((len(x), len(self.bias), np.prod(self.places)), F32)
        weight, ones = self.weight.reshape(len(self.bias), -1), np.ones((1, y.shape[-1]), F32)
        for column, image in zip(self.columns, y, strict=True):
            gemm(weight, column, image)
            gemm(self.bias[:, None], ones, image, keep=1)
        return y.reshape(*y.shape[:2], *self.places)

    def backward(self, ct):
        ct, weight = ct.reshape(*ct.shape[:2], -1), self.weight.reshape(len(self.bias), -1)
        x_ct = np.empty(self.shape, F32)
        for column, image, out in zip(self.columns, ct, x_ct, strict=True):
            sums(image, into=self.bias_ct)
            gemm(image, column, self.weight_ct.reshape(weight.shape), keep=1, turn="b")
            if self.name != "first_conv":
                out[...] = self.fold(gemm(weight, image, np.empty_like(column), turn="a"))
        return x_ct

    def fold(self, column):
        """The image whose windows these are cotangents of."""
        (channels, *image), p = self.shape[1:], self.pad
        folded = np.zeros((channels, *[n + 2 * p for n in image]), F32)
        column = column.reshape(channels, self.size, self.size, *self.places)
        rows, columns = [self.stride * n for n in self.places]
        for i, j in np.ndindex(self.size, self.size):
            folded[:, i : i + rows : self.stride, j : j + columns : self.stride] += column[:, i, j]
        return folded[:, p : p + image[0], p : p + image[1]]


class BatchNorm:
    """By a batch's own means and variances, of which it keeps running sums."""

    def __init__(self, blobs, name, channels):
        self.mean, self.variance = [blobs.take(f"{name}_bn", i, (channels,)) for i in (0, 1)]

    def forward(self, x):
        count = x.size // x.shape[1]
        mean, y = moment(x, 1 / count), x.copy()
        add(-1, spread(mean, x), y)
        variance = moment(y * y, 1 / count)
        add(1, mean, self.mean, KEPT)
        add(count / (count - 1), variance, self.variance, KEPT)
        self.deviation = spread(np.sqrt(variance + EPSILON), x)
        self.y = y / self.deviation
        return self.y

    def backward(self, ct):
        x_ct = self.y * spread(moment(self.y * ct), ct)
        add(1, spread(moment(ct), ct), x_ct)
        add(1, ct, x_ct, -1 / (ct.size // ct.shape[1]))
        return x_ct / self.deviation


class Scale:
    """A factor and a term per channel."""

    def __init__(self, blobs, name, channels):
        self.scale, self.scale_ct = blobs.learn(f"{name}_scale", 0, (channels,))
        self.bias, self.bias_ct = blobs.learn(f"{name}_scale", 1, (channels,))

    def forward(self, x):
        self.x, y = x, x * spread(self.scale, x)
        add(1, spread(self.bias, x), y)
        return y

    def backward(self, ct):
        for image in ct:
            sums(image.reshape(len(image), -1), into=self.bias_ct)
        parts = sums((ct * self.x).reshape(-1, ct[0, 0].size))
        sums(parts.reshape(ct.shape[:2]), axis=0, into=self.scale_ct)
        return ct * spread(self.scale, ct)


class Relu:
    def forward(self, x):
        self.y = np.maximum(x, F32(0))
        return self.y

    def backward(self, ct):
        return ct * (self.y > 0).astype(F32)


class Sequence(list):
    def forward(self, x):
        for layer in self:
            x = layer.forward(x)
        return x

    def backward(self, ct):
        for layer in reversed(self):
            ct = layer.backward(ct)
        return ct


class Sum(list):
    """Of paths that begin at one value."""

    def forward(self, x):
        return np.add(*[path.forward(x) for path in self])

    def backward(self, ct):
        return np.add(*[path.backward(ct) for path in self])


def normed(blobs, name, inputs, outputs, *conv):
    parts = Conv(blobs, name, inputs, outputs, *conv), BatchNorm(blobs, name, outputs)
    return Sequence([*parts, Scale(blobs, name, outputs)])


def residual(blobs):
    """What is before the classifier."""
    layers, inputs = [normed(blobs, "first_conv", 3, 16), Relu()], 16
    for group, block in np.ndindex(3, 3):
        name, outputs = f"group{group}_block{block}", 16 << group
        halves = group > 0 and block == 0
        long = [normed(blobs, f"{name}_conv0", inputs, outputs, 3, 1 + halves), Relu()]
        long.append(normed(blobs, f"{name}_conv1", outputs, outputs))
        short = [normed(blobs, f"{name}_proj", inputs, outputs, 1, 2)] if halves else []
        layers += [Sum([Sequence(long), Sequence(short)]), Relu()]
        inputs = outputs
    return Sequence(layers)


def softmax(z):
    e = exp(z - z.max(1, keepdims=True))
    return np.stack([row / sums(row[:, None], axis=0) for row in e])


class Classifier:
    """Means over all places, a product with weights, the cross entropy."""

    def __init__(self, blobs):
        self.weight, self.weight_ct = blobs.learn("fc", 0, (10, 64))
        self.bias, self.bias_ct = blobs.learn("fc", 1, (10,))

    def loss(self, x, labels):
        """The loss and its gradient by x."""
        places = x[0, 0].size
        mean = np.add.accumulate(x.reshape(*x.shape[:2], places), 2)[..., -1] / F32(places)
        z = gemm(mean, self.weight, np.empty((len(x), 10), F32), turn="b")
        gemm(np.ones((len(x), 1), F32), self.bias[None], z, keep=1)
        probability, rows = softmax(z), np.arange(len(x))
        loss = -np.add.accumulate(log(probability[rows, labels]))[-1] / F32(len(x))
        probability[rows, labels] -= 1
        z_ct = probability * F32(1 / len(x))
        gemm(z_ct, mean, self.weight_ct, keep=1, turn="a")
        sums(z_ct, axis=0, into=self.bias_ct)
        mean_ct = gemm(z_ct, self.weight, np.empty_like(mean)) / F32(places)
        return loss, np.broadcast_to(mean_ct[..., None, None], x.shape)


def main(path):
    blobs = Blobs()
    body, head, found = residual(blobs), Classifier(blobs), {"losses": []}
    for t in range(STEPS + 1):
        found |= {f"{t}/{layer}/{i}": value.copy() for (layer, i), value in blobs.items()}
        found |= {f"{t}/{layer}/{i}/history": h.copy() for (layer, i), h in blobs.history.items()}
        images = random(f"data/{t}").standard_normal((BATCH, 3, 32, 32)).astype(F32)
        labels = random(f"label/{t}").randint(0, 10, BATCH)
        if t < STEPS:
            loss, ct = head.loss(body.forward(images), labels)
            body.backward(ct)
            blobs.update()
            found["losses"].append(loss)
    np.savez(path, **found)


if __name__ == "__main__":
    main(sys.argv[1])
