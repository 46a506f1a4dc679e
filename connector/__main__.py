"""`python -m connector` is the command line."""

import sys

from connector.cli import main

sys.exit(main())
