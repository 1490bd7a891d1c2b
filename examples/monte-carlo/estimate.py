"""Estimates pi by throwing points at a square. Reads SPAWN_PARAM_seed and SPAWN_PARAM_points, writes result.json."""

import json
import os
import random

rng = random.Random(int(os.environ["SPAWN_PARAM_seed"]))
points = int(os.environ["SPAWN_PARAM_points"])
inside = sum(rng.random() ** 2 + rng.random() ** 2 <= 1 for _ in range(points))
estimate = 4 * inside / points
with open("result.json", "w") as file:
    json.dump({"pi": estimate, "error": abs(estimate - 3.141592653589793)}, file)
