"""`python -m mitm_balancer.cli`: the console script, where it is not on PATH."""

import sys

from mitm_balancer.cli.main import main

sys.exit(main())
