"""BSSL's stage 2 in PyTorch as one would write it there: the twin of our step for `benchmarks.step_torch`.

    python -m benchmarks.torch_twin IMAGES SIZE CLASSES FORMAT

Networks, views, losses and optimizer are those of `benchmarks.step`: ReActNet-A (±1 with a straight-through gradient,
padding of ones, RPReLU, latent weights clipped), ResNet-50 as the frozen teacher, two views of IMAGES images, both
classifiers, KL in both directions of the views, cosine similarity behind a map with a hidden layer, Adam (the fused
one). FORMAT is ``channels_first`` or ``channels_last``. It is run by a Python that has torch, and needs nothing else.

Two things differ. The teacher's features are standardised over the batch, which the step that `benchmarks.step_parts`
times does not do (a few operations on 2 × IMAGES × 2048 numbers). And nothing is reported but the loss, where ours also
computes entropies of the target and the spread of the features.

Every line on standard input, ``step`` or ``cached`` (the teacher's features are given), is one step, answered with its
loss.
"""

import sys

import torch
from torch import nn
from torch.nn import functional

STEM = 32
BLOCKS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5, (1024, 2), (1024, 1))


class _Sign(torch.autograd.Function):
    @staticmethod
    def forward(context, x):
        context.save_for_backward(x)
        return torch.where(x >= 0, 1.0, -1.0)

    @staticmethod
    def backward(context, upstream):
        (x,) = context.saved_tensors
        return upstream * (x.abs() <= 1)


def sign(x):
    return _Sign.apply(x)


class BinaryConvolution(nn.Module):
    def __init__(self, inputs: int, outputs: int, size: int, stride: int):
        super().__init__()
        self.kernel = nn.Parameter(torch.empty(outputs, inputs, size, size))
        nn.init.xavier_normal_(self.kernel)
        self.stride, self.margin = stride, size // 2
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, signs):
        if self.margin:
            signs = functional.pad(signs, (self.margin,) * 4, value=1.0)
        return self.norm(functional.conv2d(signs, sign(self.kernel), stride=self.stride))


def per_channel(channels: int, value: float = 0.0) -> nn.Parameter:
    return nn.Parameter(torch.full((1, channels, 1, 1), value))


class RPReLU(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.shift, self.offset = per_channel(channels), per_channel(channels)
        self.prelu = nn.PReLU(channels)

    def forward(self, x):
        return self.prelu(x + self.shift) + self.offset


class Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.stride = stride
        self.first_bias, self.second_bias = per_channel(inputs), per_channel(inputs)
        self.first = BinaryConvolution(inputs, inputs, 3, stride)
        self.branches = nn.ModuleList(BinaryConvolution(inputs, inputs, 1, 1) for _ in range(outputs // inputs))
        self.first_activation, self.second_activation = RPReLU(inputs), RPReLU(outputs)

    def forward(self, x):
        shortcut = functional.avg_pool2d(x, 2) if self.stride == 2 else x
        x = self.first_activation(self.first(sign(x + self.first_bias)) + shortcut)
        signs = sign(x + self.second_bias)
        return self.second_activation(torch.cat([branch(signs) + x for branch in self.branches], 1))


class ReActNetA(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, STEM, 3, 2, 1, bias=False), nn.BatchNorm2d(STEM))
        channels = (STEM, *(channels for channels, _ in BLOCKS))
        self.blocks = nn.Sequential(*(Block(channels[i], *block) for i, block in enumerate(BLOCKS)))

    def forward(self, pixels):
        return self.blocks(self.stem((pixels - 120.0) / 60.0)).mean((2, 3))


class Bottleneck(nn.Module):
    def __init__(self, inputs: int, channels: int, stride: int):
        super().__init__()

        def convolution(inputs: int, outputs: int, size: int, stride: int = 1) -> list[nn.Module]:
            return [nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False), nn.BatchNorm2d(outputs)]

        self.path = nn.Sequential(
            *convolution(inputs, channels, 1),
            nn.ReLU(inplace=True),
            *convolution(channels, channels, 3, stride),
            nn.ReLU(inplace=True),
            *convolution(channels, 4 * channels, 1),
        )
        same = stride == 1 and inputs == 4 * channels
        self.shortcut = nn.Identity() if same else nn.Sequential(*convolution(inputs, 4 * channels, 1, stride))

    def forward(self, x):
        return functional.relu(self.path(x) + self.shortcut(x), inplace=True)


class ResNet50(nn.Module):
    def __init__(self):
        super().__init__()
        layers = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True)]
        layers.append(nn.MaxPool2d(3, 2, 1))
        inputs = 64
        for stage, count in enumerate((3, 4, 6, 3)):
            for index in range(count):
                layers.append(Bottleneck(inputs, 64 * 2**stage, 2 if stage and not index else 1))
                inputs = 256 * 2**stage
        self.layers = nn.Sequential(*layers)

    def forward(self, pixels):
        return self.layers((pixels - 120.0) / 60.0).mean((2, 3))


def head(inputs: int, hidden: int, outputs: int) -> nn.Module:
    layers = nn.Linear(inputs, hidden, bias=False), nn.BatchNorm1d(hidden), nn.ReLU(inplace=True)
    return nn.Sequential(*layers, nn.Linear(hidden, outputs))


class Twin:
    """All that a step needs."""

    def __init__(self, images: int, size: int, classes: int, memory_format: torch.memory_format):
        self.student, self.teacher = ReActNetA(), ResNet50().eval()
        self.classifier, self.target_classifier = head(1024, classes, classes), head(2048, classes, classes)
        self.map = head(1024, 2 * 1024, 2048)
        self.trained = nn.ModuleList([self.student, self.classifier, self.target_classifier, self.map])
        for network in (self.student, self.teacher):
            network.to(memory_format=memory_format)
        self.views = (255 * torch.rand(2 * images, 3, size, size)).to(memory_format=memory_format)
        self.binary = [each.kernel for each in self.student.modules() if isinstance(each, BinaryConvolution)]
        self.optimizer = torch.optim.Adam(self.trained.parameters(), lr=1e-4, eps=1e-7, fused=True)
        self.features = self.of_teacher()

    def of_teacher(self):
        with torch.no_grad():
            return self.teacher(self.views)

    def step(self, features, temperature: float = 0.1, balance: float = 0.5) -> float:
        features = (features - features.mean(0)) / (features.var(0, unbiased=False) + 1e-6).sqrt()
        target, student_features = self.target_classifier(features), self.student(self.views)
        student = self.classifier(student_features)
        features, target = (values.roll(len(values) // 2, 0) for values in (features, target))
        log_target, log_student = (functional.log_softmax(each / temperature, 1) for each in (target, student))
        kl = (log_target.exp() * (log_target - log_student)).sum(1).mean()
        similarity = 1 - functional.cosine_similarity(features, self.map(student_features)).mean()
        loss = (1 - balance) * kl + balance * similarity
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        with torch.no_grad():
            for kernel in self.binary:
                kernel.clamp_(-1, 1)
        return loss.item()


def main(images: str, size: str, classes: str, memory_format: str) -> None:
    twin = Twin(int(images), int(size), int(classes), {
        "channels_first": torch.contiguous_format, "channels_last": torch.channels_last
    }[memory_format])  # fmt: skip
    print(sum(each.numel() for each in twin.student.parameters()), torch.__version__, flush=True)
    for line in sys.stdin:
        print(twin.step(twin.of_teacher() if line.strip() == "step" else twin.features), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
