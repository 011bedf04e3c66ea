"""Kills and failures at every point, and after them a clean run: nothing lost, nothing doubled, the state never ahead."""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "engine"))
