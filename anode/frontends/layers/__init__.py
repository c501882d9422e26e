"""The layers frontend, public as `anode.layers`: models as lists of layers, in neon's terms."""

# ruff: noqa: F401 (everything here is exported)

from anode.frontends.layers.activations import (
    Explin,
    Gelu,
    Identity,
    Logistic,
    Normalizer,
    Rectlin,
    Rectlinclip,
    Selu,
    Sign,
    Silu,
    Softmax,
    Softplus,
    Tanh,
)
from anode.frontends.layers.adversarial import GAN
from anode.frontends.layers.axes import Axis
from anode.frontends.layers.binary import (
    Binary,
    BinaryAffine,
    BinaryLinear,
    ShiftAdaMax,
    ShiftBatchNorm,
)
from anode.frontends.layers.bleu import BLEU, Bleu, bleu
from anode.frontends.layers.callbacks import (
    Callback,
    Checkpoint,
    EarlyStop,
    Evaluate,
    History,
    Progress,
)
from anode.frontends.layers.cells import (
    Cell,
    FunctionCell,
    GRUCell,
    LSTMCell,
    RecurrentCell,
)
from anode.frontends.layers.containers import (
    BranchNode,
    MergeBroadcast,
    MergeMultistream,
    MergeSum,
    Parallel,
    Sequential,
    SingleOutputTree,
    SkipNode,
    Tree,
)
from anode.frontends.layers.convolution import (
    LRN,
    Conv,
    Convolution,
    Deconv,
    Deconvolution,
    Pooling,
    Upsampling,
)
from anode.frontends.layers.costs import (
    Cost,
    CostMask,
    CrossEntropyBinary,
    CrossEntropyMulti,
    GANCost,
    MeanSquared,
    Multicost,
    SmoothL1,
    SquareHinge,
    SumSquared,
)
from anode.frontends.layers.ctc import CTC, LabelErrorRate, WordErrorRate
from anode.frontends.layers.initializers import (
    Array,
    Constant,
    Fans,
    Gaussian,
    GlorotUniform,
    IdentityInit,
    Initializer,
    Kaiming,
    Orthonormal,
    Uniform,
    Xavier,
)
from anode.frontends.layers.layers import (
    Activation,
    Affine,
    Axes,
    BatchNorm,
    Bias,
    Dropout,
    Flatten,
    Layer,
    Linear,
    Reshape,
)
from anode.frontends.layers.metrics import (
    Accuracy,
    LogLoss,
    Metric,
    Misclassification,
    MultiMetric,
    PrecisionRecall,
    TopKMisclassification,
)
from anode.frontends.layers.model import Model, unit_range
from anode.frontends.layers.optimizers import (
    Adadelta,
    Adagrad,
    Adam,
    GradientDescentMomentum,
    MultiOptimizer,
    Optimizer,
    RMSProp,
)
from anode.frontends.layers.precision import Precision
from anode.frontends.layers.q_learning import QLearning
from anode.frontends.layers.recurrent import (
    GRU,
    LSTM,
    BiBNRNN,
    Bidirectional,
    BiGRU,
    BiLSTM,
    BiRNN,
    BiSum,
    DeepBiLSTM,
    DeepBiRNN,
    Recurrent,
)
from anode.frontends.layers.regions import RoiPooling
from anode.frontends.layers.schedules import (
    ExpSchedule,
    PolySchedule,
    PowerSchedule,
    Schedule,
    ShiftSchedule,
    StepSchedule,
)
from anode.frontends.layers.seq2seq import Attention, Seq2Seq, beamed, generate
from anode.frontends.layers.sequences import (
    ExactMatch,
    LookupTable,
    Masking,
    OneHot,
    PerStep,
    RecurrentLast,
    RecurrentMean,
    RecurrentSum,
    StepAccuracy,
)
from anode.frontends.layers.training import Training, TrainingStep
