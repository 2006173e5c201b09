"""Arms and strata of users who either watched or did not."""

from functions.evaluate_online.sequence import Arm, Stratum


def arm(n_users: int, n_hits: int) -> Arm:
    """Return users of whom so many watched."""
    return Arm(n_users, float(n_hits), float(n_hits))


def stratum(canary: tuple[int, int], stable: tuple[int, int]) -> Stratum:
    """Return both arms, each of them as users and hits."""
    return Stratum(arm(*canary), arm(*stable))
