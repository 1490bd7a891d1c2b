"""Checks the simulator through boto3, which parses every answer against botocore's own model of the EC2 API.

Run by tests/botocore.rs as `python botocore_contract.py PATH-OF-EC2-SIM [PATTERN]`; needs boto3 and nothing else. The tests
are in `contract/`; each class starts simulators of its own on free ports, and a small gateway that takes their events.
"""

import os
import sys
import unittest

if __name__ == "__main__":
    os.environ["EC2_SIM"] = os.path.abspath(sys.argv[1])
    # Neither caches nor a user's AWS configuration have a place in these tests.
    sys.dont_write_bytecode = True
    os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull
    here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "contract")
    loader = unittest.TestLoader()
    if len(sys.argv) > 2:
        loader.testNamePatterns = [f"*{sys.argv[2]}*"]
    result = unittest.TextTestRunner(verbosity=2).run(loader.discover(here, top_level_dir=here))
    sys.exit(0 if result.wasSuccessful() and result.testsRun > 0 else 1)
