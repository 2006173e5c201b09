"""The inner loops of stochastic gradient descent, compiled by numba when they are first imported, then cached.

All arrays of factors have rows of a whole number of vectors (`LANES` floats, the rest zero, which stays zero), begin on
a cache line, and are float32. No kernel allocates, none holds the interpreter's lock, and each touches only the
users and movies of the tile it is given, so that several run at once without a race.
"""

from typing import Any, Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from functions.train.compiled import EXACT, SUMS, compiled, inlined, tell, wait_for
from shared.model import Floats

Ints = NDArray[np.int64]
Places = NDArray[np.int32]

LANES: Final = 16

_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)


@inlined(SUMS)
def product(w: Floats, q: Floats) -> Any:
    """Return w · q."""
    wq = np.float32(0)
    for x in range(len(w)):
        wq += w[x] * q[x]
    return wq


@inlined(SUMS)
def products(w: Floats, q: Floats, r: Floats) -> Any:
    """Return w · q and w · r."""
    wq = np.float32(0)
    wr = np.float32(0)
    for x in range(len(w)):
        wq += w[x] * q[x]
        wr += w[x] * r[x]
    return wq, wr


@inlined(EXACT)
def step(w: Floats, q: Floats, keep: float, s: float, u: float) -> None:
    """Set w ← keep w + u q and q ← keep q + s w."""
    for x in range(len(w)):
        w0, q0 = w[x], q[x]
        w[x] = keep * w0 + u * q0
        q[x] = keep * q0 + s * w0


@inlined(EXACT)
def steps(w: Floats, q: Floats, r: Floats, keep: float, s: float, t: float, u: float, v: float) -> None:
    """Set w ← keep² w + u q + v r, q ← keep q + s w and r ← keep r + t w."""
    keep_both = keep * keep
    for x in range(len(w)):
        w0, q0, r0 = w[x], q[x], r[x]
        w[x] = keep_both * w0 + u * q0 + v * r0
        q[x] = keep * q0 + s * w0
        r[x] = keep * r0 + t * w0


@compiled(
    "void(int64, int64, int64[::1], int32[::1], float32[::1], float32[::1], float32[::1], float32[:,::1],"
    " float32[:,::1], float32, float32, float32, float32, float32)",
    EXACT,
)
def descend(
    first: int,
    last: int,
    starts: Ints,
    movies: Places,
    residuals: Floats,
    user_bias: Floats,
    item_bias: Floats,
    users: Floats,
    items: Floats,
    lr: float,
    gain: float,
    keep: float,
    lr_bias: float,
    keep_bias: float,
) -> None:
    """Take a step for every rating of users `first` to `last` in one tile, in order.

        e = r - μ - b_u - b_i - w_u · q_i
        b_u ← keep_bias b_u + lr_bias e        w_u ← keep w_u + gain lr e q_i
        b_i ← keep_bias b_i + lr_bias e        q_i ← keep q_i + lr e w_u         keep = 1 - lr reg

    Two ratings of a user are one step of their factors, a batch of two: every row is read and written once for two
    ratings less, and the processor waits for one product instead of two.

    Args: starts: shape (n_users + 1,), where each user's ratings begin in `movies` and `residuals` (r - μ);
    users, items: shape (n, n_lanes). The bias and factors of the users are w_u = p_u for SVD with gain 1; for SVD++
    w_u = p_u + z_u with gain 2, see `settle`.
    """
    for user in range(np.uint64(first), np.uint64(last)):
        w = users[user]
        bias = user_bias[user]
        at = starts[user]
        end = starts[user + np.uint64(1)]
        while at + 1 < end:
            i = np.uint64(movies[at])
            j = np.uint64(movies[at + 1])
            q = items[i]
            r = items[j]
            wq, wr = products(w, q, r)
            error = residuals[at] - (bias + item_bias[i] + wq)
            s = lr * error
            bias = keep_bias * bias + lr_bias * error
            item_bias[i] = keep_bias * item_bias[i] + lr_bias * error
            error = residuals[at + 1] - (bias + item_bias[j] + wr)
            t = lr * error
            bias = keep_bias * bias + lr_bias * error
            item_bias[j] = keep_bias * item_bias[j] + lr_bias * error
            steps(w, q, r, keep, s, t, gain * s, gain * t)
            at += 2
        if at < end:
            i = np.uint64(movies[at])
            q = items[i]
            error = residuals[at] - (bias + item_bias[i] + product(w, q))
            s = lr * error
            bias = keep_bias * bias + lr_bias * error
            item_bias[i] = keep_bias * item_bias[i] + lr_bias * error
            step(w, q, keep, s, gain * s)
        user_bias[user] = bias


@compiled(
    "void(int64, int64[::1], int64, int64, int64[:,::1], int32[::1], float32[::1], float32[::1], float32[::1],"
    " float32[:,::1], float32[:,::1], float32, float32, float32, float32, float32)",
    EXACT,
)
def descend_in_turn(
    thread: int,
    counts: Ints,
    first: int,
    last: int,
    starts: Ints,
    movies: Places,
    residuals: Floats,
    user_bias: Floats,
    item_bias: Floats,
    users: Floats,
    items: Floats,
    lr: float,
    gain: float,
    keep: float,
    lr_bias: float,
    keep_bias: float,
) -> None:
    """Take users `first` to `last` of a thread through all blocks of movies, as `descend` through one of them.

    In step s thread t holds block (t + s) mod n. Thread t + 1 held it before, and is waited for.

    Args: counts: how many steps each thread has done, all 0 before; starts: shape (n_blocks, n_users + 1).
    """
    n = len(starts)
    for s in range(n):
        wait_for(counts, (thread + 1) % n, s)
        tile = starts[np.uint64((thread + s) % n)]
        descend(
            first, last, tile, movies, residuals, user_bias, item_bias, users, items, lr, gain, keep, lr_bias, keep_bias
        )
        tell(counts, thread, s + 1)


@compiled(
    "void(int64, int64, int64[:,::1], int32[::1], float32[::1], float32[:,::1], float32[:,::1], float32[:,::1],"
    " float32[:,::1])"
)
def gather(
    first: int,
    last: int,
    starts: Ints,
    movies: Places,
    norms: Floats,
    implicit: Floats,
    explicit: Floats,
    sums: Floats,
    users: Floats,
) -> None:
    """Set z_u = |N(u)|^-½ Σ_j∈N(u) y_j and w_u = p_u + z_u for users `first` to `last`.

    Args: starts: shape (n_blocks, n_users + 1); norms: |N(u)|^-½, shape (n_users,); implicit: y; explicit: p;
    sums: z, written; users: w, written.
    """
    n_lanes = implicit.shape[1]
    for user in range(np.uint64(first), np.uint64(last)):
        z = sums[user]
        for x in range(n_lanes):
            z[x] = 0
        for block in range(np.uint64(starts.shape[0])):
            for at in range(starts[block, user], starts[block, user + np.uint64(1)]):
                y = implicit[np.uint64(movies[at])]
                for x in range(n_lanes):
                    z[x] += y[x]
        p = explicit[user]
        w = users[user]
        norm = norms[user]
        for x in range(n_lanes):
            z[x] *= norm
            w[x] = p[x] + z[x]


@compiled("void(int64, int64, float32[::1], float32[::1], float32[:,::1], float32[:,::1], float32[:,::1])")
def settle(first: int, last: int, norms: Floats, decays: Floats, users: Floats, explicit: Floats, sums: Floats) -> None:
    """Part what `descend` did to w_u into what it did to p_u and to every y_j of the user.

    In Koren's SVD++ each rating changes p_u and all y_j, j ∈ N(u): p_u ← keep p_u + lr e q_i, y_j ← keep y_j + lr e
    |N(u)|^-½ q_i. So z_u ← keep z_u + lr e q_i, the very same step, and w_u ← keep w_u + 2 lr e q_i. After all n
    ratings of the user, with d = (w - keepⁿ (p + z)) / 2: p ← keepⁿ p + d, and y_j ← keepⁿ y_j + |N(u)|^-½ d, once a
    user instead of once a rating, without an approximation.

    Args: decays: keepⁿ, shape (n_users,); users: w after the steps; explicit: p, updated; sums: z before the
    steps, replaced by |N(u)|^-½ d.
    """
    n_lanes = users.shape[1]
    for user in range(np.uint64(first), np.uint64(last)):
        w = users[user]
        p = explicit[user]
        z = sums[user]
        norm = norms[user]
        decay = decays[user]
        for x in range(n_lanes):
            d = np.float32(0.5) * (w[x] - decay * (p[x] + z[x]))
            p[x] = decay * p[x] + d
            z[x] = norm * d


@compiled("void(int64, int64, int64[::1], int32[::1], float32[::1], float32[:,::1], float32[:,::1])")
def spread(
    first: int, last: int, starts: Ints, movies: Places, decays: Floats, changes: Floats, implicit: Floats
) -> None:
    """Bring what `settle` found to the y_j of one block of movies: y_j ← keepⁿ y_j + change_u, user by user.

    Args: starts: those of the block, shape (n_users + 1,); changes: shape (n_users, n_lanes); implicit: y, updated.
    """
    n_lanes = implicit.shape[1]
    for user in range(np.uint64(first), np.uint64(last)):
        change = changes[user]
        decay = decays[user]
        for at in range(starts[user], starts[user + np.uint64(1)]):
            y = implicit[np.uint64(movies[at])]
            for x in range(n_lanes):
                y[x] = decay * y[x] + change[x]


@njit("uint64(uint64)", cache=True)
def mixed(state: np.uint64) -> np.uint64:
    """Return 64 bits of which each depends on all of those given: SplitMix64's last steps."""
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


@compiled("void(int64, int64, uint64, int64[::1], int64, float32, float32[:,::1])")
def draw(first: int, last: int, seed: int, keys: Ints, n_factors: int, spread: float, factors: Floats) -> None:
    """Fill rows `first` to `last` with nearly normal numbers of mean 0 and standard deviation `spread`.

    A number depends on the seed, the row's key and the column alone, by SplitMix64 (Steele, Lea, Flood, OOPSLA 2014),
    so it is the same whoever draws it, in whatever order. It is the sum of the four quarters of 64 bits, each uniform:
    near enough to normal (kurtosis 2.7), for a tenth of the time. A plain uniform makes SVD++ worse by 0.001 RMSE.
    """
    quarter = np.uint64(0xFFFF)
    mean, scale = np.float32(2.0 * 65535.0), spread * np.float32(np.sqrt(3.0) / 65536.0)
    of_seed = mixed(np.uint64(seed) * _GOLDEN)
    for row in range(first, last):
        into = factors[row]
        of_row = mixed(of_seed + np.uint64(keys[row]) * _GOLDEN)
        for x in range(n_factors):
            bits = mixed(of_row + np.uint64(x + 1) * _GOLDEN)
            total = (bits & quarter) + ((bits >> np.uint64(16)) & quarter)
            total += ((bits >> np.uint64(32)) & quarter) + (bits >> np.uint64(48))
            into[x] = (np.float32(np.int64(total)) - mean) * scale


@compiled("void(int64[::1], int64[::1], int32[::1], int32[::1], int32[::1], int64[:,::1])")
def count(rows: Ints, indptr: Ints, indices: Places, places: Places, blocks: Places, counts: Ints) -> None:
    """Count each user's ratings in each block of movies: `counts[block, position + 1]`, zero before.

    Args: rows: the matrix's row of each position; places: the position of each of the matrix's columns;
    blocks: the block of each movie's position.
    """
    for position in range(len(rows)):
        row = rows[position]
        for cell in range(indptr[row], indptr[row + 1]):
            counts[blocks[places[indices[cell]]], position + 1] += 1


@compiled(
    "void(int64[::1], int64[::1], int32[::1], float32[::1], float32, int32[::1], int32[::1], int64[:,::1],"
    " int32[::1], float32[::1])"
)
def deal(
    rows: Ints,
    indptr: Ints,
    indices: Places,
    ratings: Floats,
    mean: float,
    places: Places,
    blocks: Places,
    starts: Ints,
    movies: Places,
    residuals: Floats,
) -> None:
    """Write each rating where its tile has it: `movies` and `residuals`, r - μ, in the order of `starts`."""
    n_blocks = starts.shape[0]
    at = np.empty(n_blocks, np.int64)
    for position in range(len(rows)):
        row = rows[position]
        for block in range(n_blocks):
            at[block] = starts[block, position]
        for cell in range(indptr[row], indptr[row + 1]):
            movie = places[indices[cell]]
            block = blocks[movie]
            movies[at[block]] = movie
            residuals[at[block]] = ratings[cell] - mean
            at[block] += 1


@compiled(
    "float64(int64, int64, int64[::1], int32[::1], float32[::1], float32[::1], float32[::1], float32[:,::1],"
    " float32[:,::1])"
)
def squared_error(
    first: int,
    last: int,
    starts: Ints,
    movies: Places,
    residuals: Floats,
    user_bias: Floats,
    item_bias: Floats,
    users: Floats,
    items: Floats,
) -> float:
    """Return Σ (r - μ - b_u - b_i - w_u · q_i)² over the ratings of users `first` to `last`."""
    n_lanes = users.shape[1]
    total = 0.0
    for user in range(np.uint64(first), np.uint64(last)):
        w = users[user]
        for at in range(starts[user], starts[user + np.uint64(1)]):
            i = np.uint64(movies[at])
            q = items[i]
            wq = np.float32(0)
            for x in range(n_lanes):
                wq += w[x] * q[x]
            error = residuals[at] - (user_bias[user] + item_bias[i] + wq)
            total += np.float64(error) * np.float64(error)
    return total
