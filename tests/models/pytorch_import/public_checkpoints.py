"""What public checkpoints look like: the names of their tensors, as their authors' code saves them."""

import numpy as np

EXPANSION = {"resnet18": 1, "resnet34": 1, "resnet50": 4}
BLOCKS = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3), "resnet50": (3, 4, 6, 3)}


def resnet_shapes(name="resnet18"):
    """Name → shape of every tensor of torchvision's ResNet, without the classifier."""
    shapes = {}

    def convolution(module, norm, outputs, inputs, size):
        shapes[f"{module}.weight"] = (outputs, inputs, size, size)
        shapes.update({f"{norm}.{part}": (outputs,) for part in ("weight", "bias", "running_mean", "running_var")})
        shapes[f"{norm}.num_batches_tracked"] = ()

    convolution("conv1", "bn1", 64, 3, 7)
    before, bottleneck = 64, EXPANSION[name] == 4
    for stage, blocks in enumerate(BLOCKS[name]):
        width = 64 * 2**stage
        for block in range(blocks):
            path, after = f"layer{stage + 1}.{block}", width * EXPANSION[name]
            sizes, widths = ((1, 3, 1), (width, width, after)) if bottleneck else ((3, 3), (width, after))
            inputs = before
            for number, (size, outputs) in enumerate(zip(sizes, widths, strict=True), 1):
                convolution(f"{path}.conv{number}", f"{path}.bn{number}", outputs, inputs, size)
                inputs = outputs
            if block == 0 and (stage > 0 or bottleneck):
                convolution(f"{path}.downsample.0", f"{path}.downsample.1", after, before, 1)
            before = after
    return shapes


def resnet_tensors(name="resnet18", seed=0):
    rng = np.random.default_rng(seed)
    return {
        key: np.array(7) if not shape else rng.uniform(0.05, 0.1, shape).astype(np.float32)
        for key, shape in resnet_shapes(name).items()
    }


def prefixed(prefix, tensors):
    return {prefix + name: values for name, values in tensors.items()}


def numbered(tensors):
    """As in a Sequential of a ResNet's children."""
    numbers = {"conv1": 0, "bn1": 1, "layer1": 4, "layer2": 5, "layer3": 6, "layer4": 7}
    split = {name: name.split(".", 1) for name in tensors}
    return {f"{numbers[first]}.{rest}": tensors[name] for name, (first, rest) in split.items()}


def linear(inputs, outputs, bias=True, seed=0):
    rng = np.random.default_rng(seed)
    tensors = {"weight": rng.normal(0, 0.1, (outputs, inputs)).astype(np.float32)}
    return tensors | ({"bias": rng.normal(0, 0.1, outputs).astype(np.float32)} if bias else {})


def batch_norm(width, affine=True, seed=0):
    rng = np.random.default_rng(seed)
    parts = ("weight", "bias", "running_mean", "running_var") if affine else ("running_mean", "running_var")
    return {part: rng.uniform(0.5, 1.5, width).astype(np.float32) for part in parts} | {
        "num_batches_tracked": np.array(7)
    }


def sequential(modules):
    return {f"{number}.{name}": values for number, module in modules.items() for name, values in module.items()}


def two_layers(inputs=512, hidden=32, outputs=16):
    """MoCo v2's head: linear, ReLU, linear."""
    return sequential({0: linear(inputs, hidden, seed=1), 2: linear(hidden, outputs, seed=2)})


def with_batch_norm(inputs=512, hidden=32, outputs=16, bias=True):
    """Linear, batch norm, ReLU, linear, as SwAV, BYOL and SimSiam have it."""
    return sequential(
        {0: linear(inputs, hidden, bias, seed=1), 1: batch_norm(hidden), 3: linear(hidden, outputs, bias, seed=2)}
    )


def classifier(inputs=512):
    return prefixed("fc.", linear(inputs, 10))


def momentum(of):
    """SGD's state beside a state dict, as torch.optim saves it."""
    state = {index: {"momentum_buffer": values} for index, values in enumerate([*of.values()][:2])}
    return {"state": state, "param_groups": [{"lr": 0.03, "params": [0, 1]}]}
