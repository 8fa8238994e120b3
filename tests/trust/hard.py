"""Check what is hard to check: right cases with plants in them, wrong ones, and unclear ones."""

from .outcomes import Method, Outcome, Subject, check
from .problems import leaves
from .right import Case, right_cases
from .unclear import unclear_cases
from .wrong import plants, wrong_cases


def subject(case: Case, seed: int) -> Subject:
    size = sum(a.size for a in leaves(case.x0))
    precision = "mixed" if "inside" in case.name else case.dtype
    return Subject(f"{case.name}, {seed}", case.kind, precision, size, case.smooth, seed)


def run_right(seed: int, method: Method) -> list[Outcome]:
    """Check every right case of a seed, and what is planted in it."""
    outcomes = []
    for case in right_cases(seed):
        about = subject(case, seed)
        given = (about, method, case.fun)
        report, outcome = check(*given, case.grad, case.x0, case.args)
        outcomes.append(outcome)
        if case.at_minimum or report is None:
            continue
        resolution = [1.0 if r is None else r for r in report.resolution.values()]
        for plant in plants(case, seed):
            if plant.left_out and case.dtype == "float64":
                continue  # at a kink, or below the noise of that loss: not wrong, or not to be seen
            _, outcome = check(
                *given, plant.gradient, case.x0, case.args, what="planted", planted=plant.name
            )
            told = any(resolution[k] < plant.relative_error for k in plant.arrays)
            outcomes.append(outcome._replace(seen=told or case.dtype == "float64", named=()))
    return outcomes


def run_wrong(seed: int, method: Method) -> list[Outcome]:
    """Check every wrong case of a seed."""
    return [
        check(
            Subject(f"{case.name}, {seed}", case.bug, "float64", len(leaves(case.x0)), True, seed),
            method,
            case.fun,
            case.grad,
            case.x0,
            case.args,
            what="wrong",
            planted=case.bug,
        )[1]._replace(named=())
        for case in wrong_cases(seed)
    ]


def run_unclear(seed: int, method: Method) -> list[Outcome]:
    """Check what nobody can judge: it must be unresolved, or may be wrong where it is flat."""
    outcomes = []
    for name, problem, wrong_is_true in unclear_cases(seed):
        size = sum(a.size for a in leaves(problem.x0))
        about = Subject(f"{name}, {seed}", "unclear", "float64", size, False, seed)
        steps = "a slope for steps" if wrong_is_true else ""
        given = (about, method, problem.fun, problem.grad, problem.x0)
        outcomes.append(check(*given, what="unclear", planted=steps)[1])
    return outcomes
