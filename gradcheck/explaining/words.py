"""Where to look: one sentence for each bug, and for each place where no bug is known."""

NEVER_WRITTEN = "the line that fills it in: missing, overwritten, or a loop that ends too early"
IGNORED = (
    "`fun`: does it use this array, or a global or a copy of it? Does it round, to an int perhaps? "
    "Are its units all dead? Is it taken off again with a mean?"
)
MASK = (
    "the loss does not move with these entries: a mask (dropout, padding, np.tril, a dead ReLU) is "
    "missing in the gradient, or `fun` leaves them out"
)
MASK_IN_GRADIENT = (
    "the loss moves with these entries: a mask in the gradient that the loss has not, or has "
    "otherwise; entries that are never written; a slope forgotten for negative inputs"
)
MASK_TURNED = "a mask turned round (< for >), or made of another array than in the loss"
SHARED_OUT = (
    "a mask is missing, and what belongs to one entry (the winner of a maximum) is shared out"
)

# one factor
SIGN = "a difference turned round, y - y_hat for y_hat - y, or a minus lost"
HALF = (
    "a 2 that stands in one of the loss and the gradient only, as where r^2 is taken for 1/2 r^2, "
    "or two that are averaged and not summed"
)
MEAN = "the loss and the gradient disagree on mean or sum: divide by N in both or in neither"
N_MINUS_1 = "one of the loss and the gradient divides by N, the other by N - 1"
CONSTANT = (
    "a constant in one of the two only: mean against sum (a number of examples or outputs), a "
    "learning rate, a scale"
)
HERE = "in the line that makes these slopes alone"
FACTOR_HERE = f"an average for a sum, something counted twice or scaled, {HERE}"
PER_LINE = (
    "a scale of each row or column that one of the loss and the gradient has, such as gamma, a "
    "spread, a length, a count, a class weight, or an upstream gradient"
)
TWO_SIDED = "the slopes of an activation on its two sides, such as those of a leaky ReLU: swapped"

# one term
SAME = (
    "a term with the same slope in every entry: forgotten, or with a wrong sign or factor; the "
    "slope of a mean that is subtracted; a log of exp(x)"
)
L1 = "the L1 term of the gradient: forgotten, doubled or of the wrong sign"
HOLDS_EXP = "a term that holds exp of the parameter, such as a log of a sum of exp (a normaliser)"
OTHER_SOFTMAX = "the axis of the softmax"
MEAN_TERM = (
    "a sum or mean over that axis: forgotten, of the wrong sign, or over other entries than it "
    "should, as where a normalisation "
    "subtracts a mean (batch norm, layer norm) and the mean's own slope is left out"
)
CENTRED = (
    "a mean is taken off after this layer (batch norm), for the loss does not feel its bias: the "
    "slope of that mean is forgotten or wrong; else `fun` leaves the bias out"
)
OTHER_AXIS = "a mean or sum that is taken over the other axis"
NORMALISE = (
    "where the parameter or a row of it is divided by its length: the slope of that norm (the "
    "projection, the radial part) is forgotten or wrong"
)
EITHER_NORM = f"an L2 term (forgotten, doubled, of the wrong sign); or {NORMALISE}"
GROWS = (
    "a term that grows as the parameter does: a penalty with an odd weight, or a factor that is "
    "made of all parameters, such as a norm"
)
OWN_WEIGHT = f"a penalty (L2, a divergence) with a weight of its own; or {NORMALISE}"
STANDARDISE = (
    "where a mean and a variance are taken over these (batch norm, layer norm): the term of "
    "the normalisation that holds the variance is forgotten or wrong"
)
SOFTMAX = "the slope of the softmax, p * (g - sum(g * p)): its sum over that axis is missing or off"

# bounds
NORM = "the gradient is clipped or normalised; the gradient of the loss is not"
CLIP = "the gradient is clipped, np.clip(g, -c, c), and the loss is not: leave it out of the check"
CLIP_IN_LOSS = "the loss grows no steeper there (Huber, a clip, saturation), and the gradient does"
ABSOLUTE = "the loss is an absolute value here, and the gradient that of another, such as a square"
SIGN_ONLY = "the gradient keeps only the sign, as of an absolute value, or is clipped everywhere"

# right values in wrong places
TRANSPOSED = "the product, d.T @ A for A.T @ d; or a `reshape` for .T, or with order='F' or without"
PERMUTED = (
    "right values in wrong places: an index off by one or of another maximum, a slice [::-1], "
    "arrays joined in another order"
)
FLIPPED = "a slice [::-1], or a kernel rotated by 180 degrees: convolution against correlation"
COPIED = "another array's slopes under this name, and that one is right: a name typed twice?"
MIXED_UP = "two arrays that took each other's place: the order or names of a return"
REPEATED = (
    "an index that repeats: written, not added (`G[i] += d` adds once, np.add.at each time)? Or "
    "averaged, divided by the count?"
)

# where no bug is known: a place
RIGHT = "the others are right: "
LOCAL = f"{RIGHT}an index off by one, or a line that treats this one apart"
ROWS = (
    f"{RIGHT}what do these have in common? An index that comes more than once and is "
    "written, not added (`np.add.at` adds); a class, a group, an example"
)
BLOCK = f"{RIGHT}what do these share? A gate, a head, a step of time, a group, a slice"
RUN = f"{RIGHT}which array lies there? `shapes` gives them names in the report"
SYMMETRIC = (
    f"{RIGHT}a matrix taken for symmetric (each pair counted twice, or once), or taken transposed"
)
RANGE = (
    f"{RIGHT}a slope that depends on the sign or the size of its input (a ReLU's negative side, a "
    "mask, a threshold, a clip)"
)
SCATTERED = (
    f"{RIGHT}what decides which are wrong? A mask, a branch, a label, an index, a tie; print them "
    "beside the parameters and the data"
)
ARRAYS = (
    "what these arrays share and the others do not: the lines that fill them in, and a slope that "
    "reaches them alone"
)
EVERY = (
    "what all of them take: the slope of the loss by the output, a term that reaches them all (a "
    "penalty), in a recurrent layer the slope carried from step to step; check each function alone"
)
NEXT = (
    "one example, one term of the loss, one function at a time (`check_backward`), a mask switched "
    "off: the part that passes is not it"
)
SHARED = (
    "if the bias is added straight to what the weights give, the slope that both take is right: "
    "look at {}; if something comes in between (a batch norm), look there"
)
WEIGHTS = SHARED.format("what multiplies it in this line, or at a penalty on these weights")
BIASES = SHARED.format("the sum over examples in this line, or at a penalty on this bias")
LAYER = (
    "the lines between {after} and {first}, which is the first that is wrong, going backwards: by "
    "what is the slope multiplied there (weights, a derivative)? Does a term of the loss join?"
)
PRECISION = (
    "so small an error is often one of precision: a safety epsilon in one of the two only, a "
    "rounded constant, the tolerance of a solver, float32; else a term that is small at this point"
)
NOT_FINITE = "log(0), 0 / 0, an exp that overflows, an array from np.empty that was never filled"
