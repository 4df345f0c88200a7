"""The script: `mitmdump -s addon/balancer.py`. All logic is in the package beside it."""

import logging
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

try:
    from mitm_balancer.app import addon
except ImportError as e:
    logger = logging.getLogger(__name__)
    logger.error("mitm-balancer needs the Python package %s: use `make run`, or `pip install mitm-balancer`", e.name)
    addons = []
else:
    addons = [addon()]
