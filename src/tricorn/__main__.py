"""`python -m tricorn` is the command line."""

import sys

from tricorn.cli import main

sys.exit(main())
