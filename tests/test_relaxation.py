"""The certificate is the optimum of the semidefinite relaxation, as an interior-point solver finds it."""

import clarabel
import numpy as np
import pytest
import scipy.sparse
from lipschitz_networks import random_network

from lawjax import TwoLayer, activations
from lawjax.lipschitz import certify
from lawjax.lipschitz.upper.slopes import slope_intervals
from lawjax.lipschitz.upper.zonotope import zonotope_of

KINKED = ("relu", "leaky_relu", "abs")


def optimum(objective, constant, matrices):
    """min objective.x subject to constant + sum_j x_j matrices[j] >= 0, and the dual's optimum, which is equal."""
    n = len(constant)
    i, j = np.tril_indices(n)  # Clarabel stacks the triangle so, entries off the diagonal times sqrt(2)
    factor = np.where(i == j, 1.0, np.sqrt(2.0))
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    x = len(objective)
    solution = clarabel.DefaultSolver(
        scipy.sparse.csc_matrix((x, x)),
        np.asarray(objective, np.float64),
        scipy.sparse.csc_matrix(-factor[:, None] * np.stack([F[i, j] for F in matrices], axis=1)),
        factor * constant[i, j],
        [clarabel.PSDTriangleConeT(n)],
        settings,
    ).solve()
    assert str(solution.status) == "Solved"
    return solution.obj_val, solution.obj_val_dual


def size_of(f):
    """To divide by: the solver's tolerances are absolute."""
    return np.abs(f.a[:, None] * f.W).max()


def networks(rng, activation, count):
    """Random networks but constant ones, whose certificate is 0 and a solver's value the root of its error."""
    found: list[TwoLayer] = []
    while len(found) < count:
        f = random_network(rng, activation, scales=0.0)
        found += [f] if size_of(f) > 0.0 else []
    return found


def switched_together(f):
    """(k, k), t_ij = 1 or -1 where neuron j is the first one on the hyperplane of neuron i, the sign that of their
    factor; neurons without a hyperplane are alone.
    """
    planes = np.concatenate([f.W, f.b[:, None]], 1)
    planes = planes / np.where(f.W.any(1), np.linalg.norm(planes, axis=1), np.inf)[:, None]
    products = planes @ planes.T
    alike = np.where(np.abs(products) > 1 - 1e-12, np.sign(products), 0.0)
    np.fill_diagonal(alike, 1.0)
    first = (alike != 0).argmax(1)
    return alike * (np.arange(len(first)) == first[:, None])


def diagonal_relaxation(f):
    """The roots of min sum lambda with diag(lambda) >= V'V'^T, and of max <V'V'^T, X> with X >= 0 of diagonal one.

    Neurons on one hyperplane have one generator, the sum of theirs.
    """
    vectors, _ = zonotope_of(f, *slope_intervals(f))
    vectors = np.concatenate([vectors[:1], switched_together(f).T @ vectors[1:]])
    size = size_of(f)
    gram = (vectors / size) @ (vectors / size).T
    return size * np.sqrt(optimum(np.ones(len(vectors)), -gram, [np.diag(e) for e in np.eye(len(vectors))]))


def lipsdp_neuron(f):
    """The root of the least rho of Fazlyab et al. 2019 (Theorem 1) with a diagonal T, negated to >= 0:

    [[rho I + 2 alpha beta W^T T W, -(alpha + beta) W^T T], [-(alpha + beta) T W, 2 T - a a^T]] >= 0.

    T >= 0 follows from its lower right corner.
    """
    low, high = activations.get(f.activation).slope_interval
    size = size_of(f)
    W, a = f.W, f.a / size
    k, d = W.shape
    matrices = [np.diag(np.repeat([1.0, 0.0], [d, k]))]
    for w, e in zip(W, np.eye(k), strict=True):
        corner = -(low + high) * np.outer(w, e)
        matrices.append(np.block([[2 * low * high * np.outer(w, w), corner], [corner.T, 2 * np.diag(e)]]))
    constant = np.zeros((d + k, d + k))
    constant[d:, d:] = -np.outer(a, a)
    return size * np.sqrt(optimum(np.eye(k + 1)[0], constant, matrices))


@pytest.mark.parametrize("activation", KINKED)
def test_the_certificate_is_the_optimum_of_the_relaxation(activation):
    rng = np.random.default_rng(KINKED.index(activation))
    for f in networks(rng, activation, 10):
        assert_equal(certify(f, by_cells=False).bound, diagonal_relaxation(f))


@pytest.mark.parametrize("activation", KINKED)
def test_the_certificate_is_lipsdp_neuron(activation):
    rng = np.random.default_rng(10 + KINKED.index(activation))
    for f in networks(rng, activation, 8):
        bound, value = certify(f, by_cells=False).bound, lipsdp_neuron(f)
        if (switched_together(f) == np.eye(f.n_neurons)).all():
            assert_equal(bound, value)
        else:  # LipSDP does not know that neurons on one hyperplane are switched together
            assert bound <= value[1] * (1 + 1e-5)


def assert_equal(bound, values):
    """Both sides of the duality gap: a solver's value alone can be below its own optimum."""
    assert values == pytest.approx([bound, bound], rel=1e-5)
