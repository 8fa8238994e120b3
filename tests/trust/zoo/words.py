"""Words by which a finding tells a cause; a report may choose its own, one of these is enough."""

SIGN = ("sign", "turned round", "minus")
FACTOR = ("factor", "a constant", "a / n =")
BATCH = ("batch", "mean or sum", "mean against sum", "divide by n", "average", *FACTOR)
MASK = ("mask", "ignores", "dead", "does not move", "negative", "input is", "never written")
CLIP = ("clip", "capped", "limited to")
L2 = ("l2", "penalty", "decay", "proportional to the parameter", "times the parameter")
MEAN_TERM = ("mean term", "constant along", "constant term", "same in every", "summed to 0", "mean")
NORM = ("normalis", "normaliz", "projection", "along the parameter", "along x", "norm")
FLIP = ("flip", "rotat", "180", "revers", "mirror", "::-1", "permuted")
SHIFT = ("permuted", "shift", "roll", "another order", "off by one")
REPEAT = ("repeat", "add.at", "more than once", "duplicate", "twice", "several times")
ROW = ("per row", "each row", "every row", "along axis", "along an axis")
COLUMN = ("per column", "each column", "every column", "along axis", "along an axis")
ZERO = ("never written", "exactly 0", "missing", "forgotten")
BLOCK = "gate"
SWAP = ("mixed up", "swapped", "permuted", "another order", "took each other")
TRANSPOSED = ("transposed",)
LOG = ("log", "exp(x)", "chain rule", "times the parameter")
CARRIED = ("carried", "recurrent", "time", "step")

HALF = ("the half in the loss",)
START = ("where the back-pass starts", "derivative of the output")
