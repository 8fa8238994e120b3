"""What runs in the reader's browser: packed with gradcheck when the site is built."""

import sys
from types import ModuleType

# There are no processes in a page. gradcheck, which could start some, is imported all the same.
sys.modules.setdefault("_multiprocessing", ModuleType("_multiprocessing"))
