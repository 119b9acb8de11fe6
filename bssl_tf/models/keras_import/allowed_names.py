"""What the configuration of a foreign Keras model may name. All else is refused.

Every entry computes a result from tensors and plain numbers: none reads or writes a file, runs Python code that comes
with the model, or looks up a class by the name of a module.
"""

CONTAINERS = ("Functional", "Model", "Sequential")

_OF_KERAS = """
    Activation Add AlphaDropout Attention Average AveragePooling2D BatchNormalization CenterCrop Concatenate Conv2D
    Conv2DTranspose Cropping2D Custom>CustomScaleLayer Dense DepthwiseConv2D Dot Dropout ELU EinsumDense Flatten
    GaussianDropout GaussianNoise GlobalAveragePooling2D GlobalMaxPooling2D GroupNormalization Identity InputLayer
    LayerNormalization LeakyReLU MaxPooling2D Maximum Minimum MultiHeadAttention Multiply Normalization PReLU Permute
    RandomBrightness RandomContrast RandomCrop RandomFlip RandomRotation RandomTranslation RandomZoom ReLU RepeatVector
    Rescaling Reshape Resizing SeparableConv2D Softmax SpatialDropout2D Subtract SyncBatchNormalization ThresholdedReLU
    UnitNormalization UpSampling2D ZeroPadding2D
"""
_OF_LARQ = """
    QuantConv2D QuantConv2DTranspose QuantDense QuantDepthwiseConv2D QuantSeparableConv2D
"""
_OF_THIS_PACKAGE = """
    bssl_tf>LearnableBias bssl_tf>PixelNormalisation bssl_tf>QuantConv2D bssl_tf>RPReLU
    bssl_tf>SynchronisedBatchNormalization
"""
OPERATOR_LAYERS = frozenset(("TFOpLambda", "SlicingOpLambda"))
"""Keras's layers for one function of TensorFlow, named in their configuration: only those of `OPERATORS`."""

LAYERS = frozenset((_OF_KERAS + _OF_LARQ + _OF_THIS_PACKAGE).split()) | OPERATOR_LAYERS

OPERATORS = frozenset(
    [
        "__operators__.add",
        "__operators__.getitem",
        "cast",
        "clip_by_value",
        "concat",
        "expand_dims",
        "math.abs",
        "math.add",
        "math.divide",
        "math.maximum",
        "math.minimum",
        "math.multiply",
        "math.negative",
        "math.pow",
        "math.reduce_mean",
        "math.reduce_sum",
        "math.rsqrt",
        "math.sqrt",
        "math.square",
        "math.subtract",
        "math.truediv",
        "nn.gelu",
        "nn.l2_normalize",
        "nn.leaky_relu",
        "nn.relu",
        "nn.relu6",
        "nn.sigmoid",
        "nn.silu",
        "nn.softmax",
        "nn.tanh",
        "math.sigmoid",
        "math.tanh",
        "math.l2_normalize",
        "reshape",
        "squeeze",
        "stack",
        "transpose",
    ]
)

QUANTIZERS = frozenset(
    [
        "ApproxSign",
        "DoReFa",
        "MagnitudeAwareSign",
        "NoOp",
        "SteHeaviside",
        "SteSign",
        "SteTern",
        "SwishSign",
        "approx_sign",
        "dorefa_quantizer",
        "clip_by_value_activation",
        "magnitude_aware_sign",
        "magnitude_aware_sign_unclipped",
        "ste_heaviside",
        "ste_sign",
        "ste_tern",
        "swish_sign",
        "xnor_weight_scale",
    ]
)

ACTIVATIONS = QUANTIZERS | frozenset(
    [
        "elu",
        "exponential",
        "gelu",
        "hard_sigmoid",
        "hard_tanh",
        "leaky_relu",
        "leaky_tanh",
        "linear",
        "mish",
        "relu",
        "relu6",
        "selu",
        "sigmoid",
        "silu",
        "softmax",
        "softplus",
        "softsign",
        "swish",
        "tanh",
        "ELU",
        "LeakyReLU",
        "ReLU",
        "ThresholdedReLU",
    ]
)

INITIALIZERS = frozenset(
    [
        "Constant",
        "GlorotNormal",
        "GlorotUniform",
        "HeNormal",
        "HeUniform",
        "Identity",
        "LecunNormal",
        "LecunUniform",
        "Ones",
        "Orthogonal",
        "RandomNormal",
        "RandomUniform",
        "TruncatedNormal",
        "VarianceScaling",
        "Zeros",
        "constant",
        "glorot_normal",
        "glorot_uniform",
        "he_normal",
        "he_uniform",
        "identity",
        "lecun_normal",
        "lecun_uniform",
        "ones",
        "orthogonal",
        "random_normal",
        "random_uniform",
        "truncated_normal",
        "variance_scaling",
        "zeros",
        "blurpool_initializer",
        "bssl_tf>BlurInitializer",
    ]
)

REGULARIZERS = frozenset(["L1", "L2", "L1L2", "OrthogonalRegularizer", "l1", "l2", "l1_l2"])

CONSTRAINTS = frozenset(
    [
        "MaxNorm",
        "MinMaxNorm",
        "NonNeg",
        "UnitNorm",
        "RadialConstraint",
        "WeightClip",
        "max_norm",
        "min_max_norm",
        "non_neg",
        "unit_norm",
        "weight_clip",
    ]
)

RENAMED = {"blurpool_initializer": "bssl_tf>BlurInitializer"}
"""QuickNet of Larq Zoo has a function for it, which Keras saves, but cannot load."""

POLICIES = frozenset(
    [
        "bfloat16",
        "bool",
        "float16",
        "float32",
        "float64",
        "int8",
        "int16",
        "int32",
        "int64",
        "mixed_bfloat16",
        "mixed_float16",
        "uint8",
        "uint16",
    ]
)

BY_ENDING = {
    "activation": ACTIVATIONS,
    "_initializer": INITIALIZERS,
    "_regularizer": REGULARIZERS,
    "_constraint": CONSTRAINTS,
    "_quantizer": QUANTIZERS,
    "dtype": POLICIES,
}
"""How the name of a setting ends that names an object → which names it may have. All other settings are plain data."""
