"""The command, with a tenth of the times of a results branch: `python quick.py FACTOR COMMAND …`."""

from __future__ import annotations

import sys

from runner.manifest import times

times.TIMES = times.Times().scaled(float(sys.argv.pop(1)))

from runner.cli import main  # noqa: E402  (it reads the times as it is loaded)

main()
