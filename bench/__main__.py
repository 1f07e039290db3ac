"""All benchmarks, one after the other: `python -m bench`. Each runs on its own as well, with options: see --help."""

from __future__ import annotations

import subprocess
import sys

BENCHMARKS = ("wire", "engine", "pipeline", "open_invoices", "real_data")
"""`size` takes minutes and is run by hand: python -m bench.size"""

for name in BENCHMARKS:
    print(f"\n--- bench.{name}", flush=True)
    done = subprocess.run([sys.executable, "-m", f"bench.{name}"], check=False)
    if done.returncode != 0:
        raise SystemExit(done.returncode)
