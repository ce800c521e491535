"""Bits per character of n-gram models of a text: what a language model's `bits_per_character` stands beside.

    python benches/references/ngram.py TEXT [--orders 6] [--length 64]

Needs numpy. `scripts/fetch-texts` brings a text. The models learn from the first nine tenths and are measured
on the last tenth, as Pavlov's data set `text` cuts it: in windows of `--length` characters, of which the last
tenth is for testing, each character but the first of the tenth predicted once. Nothing is chosen by the
tenth. The alphabet is that of the whole text, as Pavlov's is.

An n-gram model predicts a character c from the n - 1 before it, the history h, and mixes in the model of the
history without its first character, h', down to all characters alike. Two ways, both interpolated:

* Witten and Bell 1991: P(c | h) = (count(hc) + T(h) P(c | h')) / (count(h) + T(h)), where T(h) is the number
  of different characters that followed h.
* Kneser and Ney 1995, modified by Chen and Goodman 1999: a discount of D1, D2 or D3 is taken off each count
  of 1, 2 or more, and what was taken off is the weight of P(c | h'). Shorter histories than the longest count
  in how many different contexts hc was seen, instead of how often.

The history goes on from window to window here, where a model that reads windows begins each without one.
"""

import argparse
from pathlib import Path

import numpy as np


class Counts:
    """The counts of strings of one length, as numbers in base `alphabet`, and sums over each history."""

    def __init__(self, strings, counts, alphabet):
        self.strings, self.counts, self.alphabet = strings, counts, alphabet
        histories = strings // alphabet
        begins = np.flatnonzero(np.r_[True, histories[1:] != histories[:-1]])
        self.histories = histories[begins]
        self.totals = np.add.reduceat(counts, begins)
        # How many characters followed a history once, twice, and more often.
        self.followers = [np.add.reduceat(kind, begins) for kind in (counts == 1, counts == 2, counts > 2)]

    def of(self, strings):
        """The counts of these strings."""
        return looked_up(self.strings, self.counts, strings)

    def of_histories(self, strings):
        """Of these strings' histories: the sum of their counts, and the followers of each kind."""
        histories = strings // self.alphabet
        return [looked_up(self.histories, values, histories) for values in (self.totals, *self.followers)]


def looked_up(keys, values, wanted):
    """The values of the wanted keys, 0 of those that are not there."""
    places = np.searchsorted(keys, wanted).clip(max=len(keys) - 1)
    return np.where(keys[places] == wanted, values[places], 0)


def strings_of(tokens, order, alphabet):
    """The string of `order` characters that ends at each place from `order - 1` on."""
    number = np.zeros(len(tokens) - order + 1, np.int64)
    for place in range(order):
        number = number * alphabet + tokens[place : len(tokens) - order + 1 + place]
    return number


def witten_bell(counts, strings, shorter):
    seen, (total, *followers) = counts.of(strings), counts.of_histories(strings)
    kinds = sum(followers)
    return np.where(total > 0, (seen + kinds * shorter) / np.maximum(total + kinds, 1), shorter)


def kneser_ney(counts, strings, shorter):
    seen, (total, *followers) = counts.of(strings), counts.of_histories(strings)
    discounts = discounts_of(counts.counts)
    taken = np.select([seen == 0, seen == 1, seen == 2], [0.0, *discounts[:2]], discounts[2])
    weight = sum(discount * kind for discount, kind in zip(discounts, followers, strict=True))
    return np.where(total > 0, (seen - taken + weight * shorter) / np.maximum(total, 1), shorter)


def discounts_of(counts):
    """D1, D2 and D3 from how many strings have a count of 1 to 4."""
    one, two, three, four = (int(np.count_nonzero(counts == number)) for number in range(1, 5))
    if not all((one, two, three, four)):
        # Single characters have no such counts.
        return [0.5, 0.5, 0.5]
    share = one / (one + 2 * two)
    estimates = 1 - 2 * share * two / one, 2 - 3 * share * three / two, 3 - 4 * share * four / three
    return [min(max(discount, 0.0), number) for number, discount in enumerate(estimates, 1)]


def bits(tokens, trained, alphabet, most):
    """Bits per character of the models of 1 to `most` characters on `tokens[trained + 1:]`, both ways."""
    plain, contexts = [], []
    for order in range(1, most + 1):
        strings, counts = np.unique(strings_of(tokens[:trained], order, alphabet), return_counts=True)
        plain.append(Counts(strings, counts, alphabet))
        if order > 1:
            # Each different string is one context of the string without its first character.
            rests, counts = np.unique(strings % alphabet ** (order - 1), return_counts=True)
            contexts.append(Counts(rests, counts, alphabet))
    places = np.arange(trained + 1, len(tokens))
    wb = kn = np.full(len(places), 1 / alphabet)
    for order in range(1, most + 1):
        tested = strings_of(tokens, order, alphabet)[places - order + 1]
        wb = witten_bell(plain[order - 1], tested, wb)
        longest = kneser_ney(plain[order - 1], tested, kn)
        yield order, -np.log2(wb).mean(), -np.log2(longest).mean()
        if order < most:
            kn = kneser_ney(contexts[order - 1], tested, kn)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("text", type=Path, help="a text file, UTF-8")
    parser.add_argument("--orders", type=int, default=6, help="the largest n")
    parser.add_argument("--length", type=int, default=64, help="characters of a window")
    options = parser.parse_args()
    read = options.text.read_bytes().decode()
    alphabet, tokens = np.unique(np.frombuffer(read.encode("utf-32-le"), np.uint32), return_inverse=True)
    if len(alphabet) ** options.orders > np.iinfo(np.int64).max:
        parser.error(f"strings of {options.orders} of {len(alphabet)} characters have no number of 64 bits")
    windows = (len(tokens) - 1) // options.length
    trained = (windows - windows // 10) * options.length
    tokens = tokens[: windows * options.length + 1].astype(np.int64)
    tested = len(tokens) - trained - 1
    print(f"{trained:,} characters to learn from, {tested:,} to test, {len(alphabet)} different ones")
    print(f"{'n':>2}{'Witten-Bell':>13}{'Kneser-Ney':>13}   bits per character")
    for order, wb, kn in bits(tokens, trained, len(alphabet), options.orders):
        print(f"{order:2}{wb:13.3f}{kn:13.3f}", flush=True)


if __name__ == "__main__":
    main()
