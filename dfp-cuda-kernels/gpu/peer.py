"""PyTorch beside dfp on the same card: the same networks trained one user at a time (eager, then as a CUDA graph) and many at once
(batched products), rows scored, and the rates of large products, which are what the card can do. One JSON line per measurement.

    python3 peer.py [--rows 300,2000,10000] [--users 100]
"""
import argparse
import json
import time

import torch
from torch import nn

EPOCHS, BATCH, LAYERS = 30, 512, (512, 500, 512)
# The reference's network of one user: three numbers and six texts with `_other` each; embeddings as wide as dfp's.
CODES = (20, 4, 6, 4, 4, 5)
WIDTHS = tuple(round(1.6 * n**0.56) for n in CODES)


def say(**fields):
    print(json.dumps(fields), flush=True)


def seconds(work, least=2.0):
    """Seconds of one `work`, on the host's clock, of as many as take `least`."""
    work()
    torch.cuda.synchronize()
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < least:
        work()
        torch.cuda.synchronize()
        count += 1
    return (time.perf_counter() - start) / count


class User(nn.Module):
    """`wide`: 800 numbers in and out. `default`: numbers and embedded texts in, numbers and logits out."""

    def __init__(self, kind):
        super().__init__()
        self.kind = kind
        self.embeddings = nn.ModuleList(nn.Embedding(n, w) for n, w in zip(CODES, WIDTHS)) if kind == "default" else None
        inputs = 800 if kind == "wide" else 3 + sum(WIDTHS)
        outputs = 800 if kind == "wide" else 3 + sum(CODES)
        widths = (inputs, *LAYERS)
        body = [part for a, b in zip(widths, widths[1:]) for part in (nn.Linear(a, b), nn.ReLU())]
        self.body = nn.Sequential(*body, nn.Linear(widths[-1], outputs))
        self.multiply_adds = sum(a * b for a, b in zip((*widths,), (*widths[1:], outputs)))

    def forward(self, numbers, codes):
        if self.embeddings is not None:
            numbers = torch.cat([numbers, *(e(codes[:, i]) for i, e in enumerate(self.embeddings))], 1)
        return self.body(numbers)

    def loss(self, numbers, codes):
        out = self(numbers, codes)
        if self.kind == "wide":
            return nn.functional.mse_loss(out, numbers)
        losses = [nn.functional.mse_loss(out[:, :3], numbers, reduction="none").mean(0).sum()]
        parts = out[:, 3:].split(CODES, 1)
        losses += [nn.functional.cross_entropy(part, codes[:, i]) for i, part in enumerate(parts)]
        return sum(losses) / (3 + len(CODES))


def data(kind, rows):
    numbers = torch.rand(rows, 800 if kind == "wide" else 3, device="cuda") * 2 - 1
    codes = torch.stack([torch.randint(0, n, (rows,), device="cuda") for n in CODES], 1)
    return numbers, codes


def swapped(x):
    """Noise: a fifth of a column's cells from other rows."""
    rows, columns = x.shape
    take = torch.rand(rows, columns, device=x.device) < 0.18
    other = torch.randint(0, rows, (rows, columns), device=x.device)
    return torch.where(take, x.gather(0, other), x)


def eager(kind, rows, graph):
    user = User(kind).cuda()
    optimiser = torch.optim.SGD(user.parameters(), lr=1e-3)
    numbers, codes = data(kind, rows)
    size = min(rows, BATCH)
    held = [numbers[:size].clone(), codes[:size].clone()]

    def step():
        optimiser.zero_grad(set_to_none=not graph)
        user.loss(swapped(held[0]), swapped(held[1])).backward()
        optimiser.step()

    run = step
    if graph:
        side = torch.cuda.Stream()
        with torch.cuda.stream(side):
            for _ in range(3):
                step()
        torch.cuda.synchronize()
        recorded = torch.cuda.CUDAGraph()
        with torch.cuda.graph(recorded):
            step()
        run = recorded.replay

    def fit():
        for _ in range(EPOCHS):
            for first in range(0, rows - size + 1, size):
                held[0].copy_(numbers[first : first + size])
                held[1].copy_(codes[first : first + size])
                run()

    took = seconds(fit)
    steps = rows // size
    full = -(-rows // BATCH)
    # The last, shorter batch is left out above; count it as the others.
    took *= full / steps
    say(what="train", peer="graph" if graph else "eager", network=kind, rows=rows, users=1, users_per_s=1 / took)


def batched(rows, users, tf32):
    """`wide` networks of `users` equal users at once: products over all of them, updates by hand."""
    torch.backends.cuda.matmul.allow_tf32 = tf32
    widths = (800, *LAYERS, 800)
    weights = [torch.randn(users, a, b, device="cuda") * a**-0.5 for a, b in zip(widths, widths[1:])]
    biases = [torch.zeros(users, 1, b, device="cuda") for b in widths[1:]]
    size = min(rows, BATCH)
    x = torch.rand(users, size, 800, device="cuda") * 2 - 1

    def step():
        noisy = torch.where(torch.rand_like(x) < 0.18, x.roll(1, 1), x)
        inputs = [noisy]
        for nth, (w, b) in enumerate(zip(weights, biases)):
            out = torch.baddbmm(b, inputs[-1], w)
            inputs.append(out.relu_() if nth + 1 < len(weights) else out)
        delta = (inputs[-1] - x) * (2.0 / (size * 800))
        for nth in reversed(range(len(weights))):
            gradient = inputs[nth].transpose(1, 2).bmm(delta)
            below = delta.bmm(weights[nth].transpose(1, 2)) if nth else None
            biases[nth].sub_(1e-3 * delta.sum(1, keepdim=True))
            weights[nth].sub_(gradient, alpha=1e-3)
            if nth:
                delta = below.mul_(inputs[nth] > 0)

    took = seconds(step) * EPOCHS * -(-rows // BATCH)
    torch.backends.cuda.matmul.allow_tf32 = False
    say(what="train", peer="batched " + ("tf32" if tf32 else "fp32"), network="wide", rows=rows, users=users, users_per_s=users / took)


def score(kind, half):
    user = User(kind).cuda().eval()
    numbers, codes = data(kind, 1 << 18)
    if half:
        user, numbers = user.bfloat16(), numbers.bfloat16()
    with torch.inference_mode():
        took = seconds(lambda: user(numbers, codes))
    say(what="score", peer="bf16" if half else "fp32", network=kind, rows_per_s=len(numbers) / took)


def product(dtype, tf32=False):
    torch.backends.cuda.matmul.allow_tf32 = tf32
    n = 8192
    a, b = (torch.randn(n, n, device="cuda", dtype=dtype) for _ in range(2))
    took = seconds(lambda: a @ b)
    torch.backends.cuda.matmul.allow_tf32 = False
    say(what="product", dtype=("tf32" if tf32 else str(dtype).split(".")[-1]), tflops=2 * n**3 / took / 1e12)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", default="300,2000,10000")
    parser.add_argument("--users", type=int, default=100)
    options = parser.parse_args()
    say(what="machine", torch=torch.__version__, card=torch.cuda.get_device_name())
    product(torch.float32)
    product(torch.float32, tf32=True)
    product(torch.bfloat16)
    for kind in ("default", "wide"):
        for half in (False, True):
            score(kind, half)
        for rows in map(int, options.rows.split(",")):
            for graph in (False, True):
                eager(kind, rows, graph)
    for rows in map(int, options.rows.split(",")):
        for tf32 in (False, True):
            batched(rows, options.users, tf32)


main()
