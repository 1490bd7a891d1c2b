"""Trains a small neural network to read handwritten digits and says how well it does.

Plain Python, no packages. Reads its hyperparameters from SPAWN_PARAM_*, writes result.json. The same parameters give the
same result on every machine: the random numbers are seeded, and so is the choice of what to learn from.
"""

import csv
import json
import math
import os
import random
import time

SEED = 7
LEARN_FROM = 400  # images; the network is judged by the 1,397 others, which it has not seen
EPOCHS = 12
CLASSES = 10
DARKEST = 16  # the value of a black pixel


def read(path):
    """The images, each a list of 64 pixels around zero, and the digits that they show."""
    with open(path, newline="") as file:
        rows = [[int(cell) for cell in row] for row in list(csv.reader(file))[1:]]
    images = [[pixel / DARKEST - 0.3 for pixel in row[1:]] for row in rows]
    return images, [row[0] for row in rows]


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


def train_and_judge(xs, ys, rate, hidden, decay):
    """Accuracy and log loss on the images that were not learned from."""
    order = list(range(len(xs)))
    random.Random(SEED).shuffle(order)
    learn, judge = order[:LEARN_FROM], order[LEARN_FROM:]
    rng = random.Random(SEED + 1)
    network = Network(len(xs[0]), hidden, rng)
    for _ in range(EPOCHS):
        rng.shuffle(learn)
        for i in learn:
            network.step(xs[i], ys[i], rate, decay)
    right, loss = 0, 0.0
    for i in judge:
        _, chances = network.forward(xs[i])
        right += chances.index(max(chances)) == ys[i]
        loss -= math.log(max(chances[ys[i]], 1e-12))
    return right / len(judge), loss / len(judge)


def main():
    rate = float(os.environ["SPAWN_PARAM_learning_rate"])
    hidden = int(os.environ["SPAWN_PARAM_hidden_units"])
    decay = float(os.environ["SPAWN_PARAM_weight_decay"])
    begun = time.process_time()
    xs, ys = read("digits.csv")
    accuracy, loss = train_and_judge(xs, ys, rate, hidden, decay)
    result = {
        "accuracy": round(accuracy, 4),
        "log_loss": round(loss, 4),
        "cpu_seconds": round(time.process_time() - begun, 2),
    }
    print(f"learning_rate={rate} hidden_units={hidden} weight_decay={decay}: {result}")
    with open(os.environ.get("SPAWN_RESULT_FILE", "result.json"), "w") as file:
        json.dump(result, file)


if __name__ == "__main__":
    main()
