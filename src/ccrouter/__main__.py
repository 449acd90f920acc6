"""`python -m ccrouter` is `ccr`."""

from __future__ import annotations

import sys

from ccrouter.cli import main

if __name__ == "__main__":
    sys.exit(main())
