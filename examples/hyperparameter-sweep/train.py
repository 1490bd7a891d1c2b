"""Trains a small neural network on the wine data set and says how well it predicts.

Plain Python, no packages. Reads its hyperparameters from SPAWN_PARAM_*, writes result.json. The same parameters give the
same result on every machine: the random numbers are seeded, and the folds of the cross-validation are fixed.
"""

import csv
import json
import math
import os
import random
import time

FOLDS = 5
EPOCHS = 30
CLASSES = 3


def read(path):
    """The features, each scaled to mean 0 and deviation 1, and the classes from 0."""
    with open(path, newline="") as file:
        rows = list(csv.reader(file))[1:]
    classes = [int(row[0]) - 1 for row in rows]
    columns = list(zip(*[[float(cell) for cell in row[1:]] for row in rows]))
    scaled = []
    for column in columns:
        mean = sum(column) / len(column)
        deviation = math.sqrt(sum((x - mean) ** 2 for x in column) / len(column))
        scaled.append([(x - mean) / deviation for x in column])
    return [list(row) for row in zip(*scaled)], classes


class Network:
    """One hidden layer of tanh units, a softmax on top, trained by stochastic gradient descent."""

    def __init__(self, inputs, hidden, rng):
        def layer(rows, columns):
            scale = 1 / math.sqrt(columns)
            return [[rng.gauss(0, scale) for _ in range(columns)] for _ in range(rows)]

        self.first = layer(hidden, inputs)
        self.first_bias = [0.0] * hidden
        self.second = layer(CLASSES, hidden)
        self.second_bias = [0.0] * CLASSES

    def forward(self, x):
        hidden = [
            math.tanh(sum(w * v for w, v in zip(row, x)) + bias)
            for row, bias in zip(self.first, self.first_bias)
        ]
        scores = [
            sum(w * h for w, h in zip(row, hidden)) + bias
            for row, bias in zip(self.second, self.second_bias)
        ]
        top = max(scores)
        powers = [math.exp(score - top) for score in scores]
        total = sum(powers)
        return hidden, [power / total for power in powers]

    def step(self, x, y, rate, decay):
        hidden, chances = self.forward(x)
        errors = [chance - (1.0 if k == y else 0.0) for k, chance in enumerate(chances)]
        back = [
            sum(errors[k] * self.second[k][j] for k in range(CLASSES)) * (1 - h * h)
            for j, h in enumerate(hidden)
        ]
        keep = 1 - rate * decay
        for k, error in enumerate(errors):
            change = rate * error
            self.second[k] = [w * keep - change * h for w, h in zip(self.second[k], hidden)]
            self.second_bias[k] -= change
        for j, error in enumerate(back):
            change = rate * error
            self.first[j] = [w * keep - change * v for w, v in zip(self.first[j], x)]
            self.first_bias[j] -= change


def cross_validate(xs, ys, rate, hidden, decay, seed):
    """Accuracy and log loss over all folds, each predicted by a network that has not seen it."""
    order = list(range(len(xs)))
    random.Random(seed).shuffle(order)
    right, loss = 0, 0.0
    for fold in range(FOLDS):
        rng = random.Random(seed + 1 + fold)
        test = order[fold::FOLDS]
        held = set(test)
        train = [i for i in order if i not in held]
        network = Network(len(xs[0]), hidden, rng)
        for _ in range(EPOCHS):
            rng.shuffle(train)
            for i in train:
                network.step(xs[i], ys[i], rate, decay)
        for i in test:
            _, chances = network.forward(xs[i])
            right += chances.index(max(chances)) == ys[i]
            loss -= math.log(max(chances[ys[i]], 1e-12))
    return right / len(xs), loss / len(xs)


def main():
    rate = float(os.environ["SPAWN_PARAM_learning_rate"])
    hidden = int(os.environ["SPAWN_PARAM_hidden_units"])
    decay = float(os.environ["SPAWN_PARAM_weight_decay"])
    begun = time.process_time()
    xs, ys = read("wine.csv")
    accuracy, loss = cross_validate(xs, ys, rate, hidden, decay, seed=7)
    result = {
        "accuracy": round(accuracy, 4),
        "log_loss": round(loss, 4),
        "cpu_seconds": round(time.process_time() - begun, 2),
    }
    print(result)
    with open(os.environ.get("SPAWN_RESULT_FILE", "result.json"), "w") as file:
        json.dump(result, file)


if __name__ == "__main__":
    main()
