"""What runs in the reader's browser: packed with gradcheck when the site is built."""

import sys
from importlib.util import find_spec
from types import ModuleType

# There are no processes in a page. gradcheck, which could start some, is imported all the same.
if find_spec("_multiprocessing") is None:
    sys.modules["_multiprocessing"] = ModuleType("_multiprocessing")
