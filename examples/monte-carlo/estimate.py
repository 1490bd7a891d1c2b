"""Estimates pi by throwing points at a square. Reads SPAWN_PARAM_seed and SPAWN_PARAM_points, writes result.json.

On a spot instance it may be told that two minutes are left; it then makes do with the points that it has.
"""

import json
import math
import os
import random

CHECK_EVERY = 10_000  # points between two looks for a spot notice

rng = random.Random(int(os.environ["SPAWN_PARAM_seed"]))
wanted = int(os.environ["SPAWN_PARAM_points"])
notice = os.environ.get("SPAWN_SPOT_NOTICE_FILE", "")

points = inside = 0
while points < wanted and not (notice and os.path.exists(notice)):
    batch = min(CHECK_EVERY, wanted - points)
    inside += sum(rng.random() ** 2 + rng.random() ** 2 <= 1 for _ in range(batch))
    points += batch

result = {"points_used": points}
if points:
    estimate = 4 * inside / points
    result |= {"pi": estimate, "error": abs(estimate - math.pi)}
print(result)
with open("result.json", "w") as file:
    json.dump(result, file)
