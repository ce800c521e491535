"""PyTorch's side of fits.py: the same networks and steps, in a process of its own for each form."""

import json
import sys
import time

from fits_work import (
    CLASSES,
    LOGGED,
    STEPS,
    TRAINED,
    VOCABULARY,
    WINDOWS,
    WORKLOADS,
    pictures,
    pin,
    text,
)

def networks(name):
    """PyTorch's modules, each with an optimiser of its own."""
    from torch import nn

    if name == "cnn":
        layers = [nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        layers += [nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        layers += [nn.Flatten(), nn.Linear(3136, 128), nn.ReLU(), nn.Linear(128, CLASSES)]
        return [nn.Sequential(*layers)]
    if name == "autoencoder":
        encoder = [nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 32)]
        return [nn.Sequential(*encoder, nn.Linear(32, 128), nn.ReLU(), nn.Linear(128, 784))]
    if name == "gan":
        generator = [nn.Linear(64, 6272), nn.Unflatten(1, (128, 7, 7)), nn.BatchNorm2d(128), nn.ReLU()]
        generator += [nn.ConvTranspose2d(128, 64, 4, 2, 1), nn.BatchNorm2d(64), nn.ReLU()]
        generator += [nn.ConvTranspose2d(64, 1, 4, 2, 1), nn.Tanh()]
        discriminator = [nn.Conv2d(1, 64, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(64, 128, 4, 2, 1)]
        discriminator += [nn.BatchNorm2d(128), nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(6272, 1)]
        return [nn.Sequential(*discriminator), nn.Sequential(*generator)]
    return [reader(name)]


def reader(name):
    import torch
    from torch import nn
    from torch.nn import functional as F

    class Lstm(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(VOCABULARY, 64)
            self.lstm = nn.LSTM(64, 128, batch_first=True)
            self.head = nn.Linear(128, VOCABULARY)

        def forward(self, tokens):
            return self.head(self.lstm(self.embedding(tokens))[0])

    class Block(nn.Module):
        """`nn.TransformerEncoderLayer` with `norm_first`, without its checks and transposes."""

        def __init__(self, width, heads, feedforward):
            super().__init__()
            self.heads = heads
            self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.inner, self.outer = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.linear1, self.linear2 = nn.Linear(width, feedforward), nn.Linear(feedforward, width)
            nn.init.xavier_uniform_(self.inner.weight)
            nn.init.zeros_(self.inner.bias)
            nn.init.zeros_(self.outer.bias)

        def forward(self, x):
            batch, steps, width = x.shape
            query, key, value = (
                part.view(batch, steps, self.heads, -1).transpose(1, 2)
                for part in self.inner(self.norm1(x)).split(width, dim=2)
            )
            mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True)
            x = x + self.outer(mixed.transpose(1, 2).reshape(batch, steps, width))
            return x + self.linear2(F.relu(self.linear1(self.norm2(x))))

    class Transformer(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(VOCABULARY, 128)
            self.positions = nn.Parameter(torch.randn(STEPS, 128) * 0.02)
            self.blocks = nn.Sequential(*(Block(128, 4, 512) for _ in range(4)))
            self.head = nn.Linear(128, VOCABULARY)

        def forward(self, tokens):
            return self.head(self.blocks(self.embedding(tokens) + self.positions))

    return Lstm() if name == "lstm" else Transformer()


def tensors(name):
    """The data as PyTorch picks batches from it: all of it in memory, as the network takes it."""
    import torch

    if WORKLOADS[name].dataset == "text":
        read = text()
        places = {letter: place for place, letter in enumerate(sorted(set(read)))}
        assert len(places) == VOCABULARY, f"{len(places)} characters"
        tokens = torch.tensor([places[letter] for letter in read])
        inputs, targets = (tokens[shift : shift + WINDOWS * STEPS].view(WINDOWS, STEPS) for shift in (0, 1))
        return inputs[:TRAINED].contiguous(), targets[:TRAINED].contiguous()
    images, classes = pictures()
    images = torch.tensor(images, dtype=torch.float32).unsqueeze(1) / 255
    if name == "cnn":
        images = (images - images.mean()) / images.std()
    if name == "gan":
        images = images * 2 - 1
    return images, torch.tensor(classes, dtype=torch.int64)


class Rival:
    """A workload in PyTorch: `update` makes one update and gives the losses, not yet read."""

    def __init__(self, name, form, device):
        import torch
        from torch.nn import functional as F

        self.torch, self.name, self.work = torch, name, WORKLOADS[name]
        self.device = device
        self.data = tuple(part.to(device) for part in tensors(name))
        self.nets = [net.to(device) for net in networks(name)]
        if "channels last" in form:
            self.data = self.data[0].contiguous(memory_format=torch.channels_last), self.data[1]
            self.nets = [net.to(memory_format=torch.channels_last) for net in self.nets]
        # On a GPU with CUDA graphs, as fast as PyTorch gets.
        mode = "reduce-overhead" if device == "cuda" else "default"
        build = lambda function: torch.compile(function, mode=mode) if form.startswith("compile") else function
        bce = F.binary_cross_entropy_with_logits

        def alike(scores, label):
            return bce(scores, torch.full_like(scores, label))

        def supervised(inputs, targets):
            outputs = self.nets[0](inputs)
            if name == "autoencoder":
                return F.mse_loss(outputs, inputs.flatten(1))
            return F.cross_entropy(outputs.flatten(0, -2), targets.flatten())

        def discriminate(real, made):
            return alike(self.nets[0](real), 0.9) + alike(self.nets[0](made), 0.0)

        def judge(noise):
            return alike(self.nets[0](self.nets[1](noise)), 1.0)

        self.supervised, self.discriminate, self.judge = map(build, (supervised, discriminate, judge))
        self.made = build(lambda noise: self.nets[1](noise))

    def restart(self, seed):
        """New weights in the same tensors, so that what was compiled goes on fitting, and new optimisers."""
        torch, work = self.torch, self.work
        torch.manual_seed(seed)
        for net, new in zip(self.nets, networks(self.name), strict=True):
            net.load_state_dict(new.state_dict())
        self.optimizers = [
            torch.optim.Adam(net.parameters(), work.rate, betas=(work.beta1, 0.999), fused=True)
            for net in self.nets
        ]

    def step(self, number, loss):
        optimizer, net = self.optimizers[number], self.nets[number]
        loss.backward()
        if self.work.clip:
            self.torch.nn.utils.clip_grad_norm_(net.parameters(), self.work.clip)
        optimizer.step()
        optimizer.zero_grad()
        # A captured graph writes its next loss to the same place.
        return loss.detach().clone()

    def update(self, rows):
        torch = self.torch
        inputs, targets = (part.index_select(0, rows) for part in self.data)
        if self.name != "gan":
            return [self.step(0, self.supervised(inputs, targets))]
        with torch.no_grad():
            made = self.made(torch.randn(len(rows), 64, device=self.device)).clone()
        judged = self.step(0, self.discriminate(inputs, made))
        # The discriminator judges and does not learn: no gradients of its weights.
        self.nets[0].requires_grad_(False)
        fooled = self.step(1, self.judge(torch.randn(len(rows), 64, device=self.device)))
        self.nets[0].requires_grad_(True)
        return [judged, fooled]

    def wait(self):
        if self.device == "cuda":
            self.torch.cuda.synchronize()

    def fit(self, seed, before, after):
        torch, batch = self.torch, self.work.batch
        self.restart(seed)
        losses, done, rows = [], 0, []
        start = time.perf_counter()
        while done < after:
            rows = rows or list(torch.randperm(len(self.data[0]), device=self.device).split(batch))
            losses.append(self.update(rows.pop()))
            done += 1
            if done == before:
                self.wait()
                start = time.perf_counter()
        self.wait()
        seconds = time.perf_counter() - start
        means = [float(sum(column) / len(column)) for column in zip(*losses[-LOGGED:], strict=True)]
        parameters = sum(value.numel() for net in self.nets for value in net.parameters())
        return {"seconds": seconds, "losses": means, "parameters": parameters}


def serve(name, form, threads, device):
    """Fits as often as the parent process asks, so that a network is compiled once."""
    import torch

    pin(threads)
    torch.set_num_threads(threads)
    rival = Rival(name, form, device)
    for line in sys.stdin:
        # What libraries print goes elsewhere than the answers.
        print(json.dumps(rival.fit(*json.loads(line))), flush=True)
