"""The checker takes every certificate that is written, and nothing that proves less than it says."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lipschitz_networks import generic, paper_weights, random_network

import lawjax
from lawjax import TwoLayer, UserError, activations, check, constructions
from lawjax.domains import Sphere, named
from lawjax.lipschitz import certify, path_product

ACTIVATIONS = (  # the old ones first, as the seeds of networks are their places
    *("relu", "leaky_relu", "abs", "tanh", "softplus", "gelu", "identity"),
    *("relu6", "hard_tanh", "sigmoid", "silu", "elu", "gelu:tanh", "leaky_relu:0.2"),
)
CHECKER = Path(check.__file__)


@pytest.fixture
def written(tmp_path):
    """A network file, its certificate file, and the record in it."""
    f = paper_weights(20, 40)
    f.save(tmp_path / "f.npz")
    record = certify(f).record(f)
    (tmp_path / "c.json").write_text(json.dumps(record))
    return f, tmp_path, record


def with_weights(record, weights):
    return with_proof(record, weights=weights)


def with_proof(record, **change):
    return {**record, "proof": {**record["proof"], **change}}


def by_parts(*parts):
    return {"by": "disjoint caps", "parts": list(parts)}


def verdict(folder, record=None, network=None):
    if record is not None:
        (folder / "c.json").write_text(json.dumps(record))
    if network is not None:
        network.save(folder / "f.npz")
        if record is not None:  # as if the certificate had been made out for it
            name = check.digest((network.W, network.b, network.a, network.c), network.activation.name)
            record = {**record, "network": name}
            (folder / "c.json").write_text(json.dumps(record))
    return check.check(folder / "f.npz", folder / "c.json")


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("domain", ["space", "ball", "sphere"])
def test_every_certificate_written_is_accepted(activation, domain, tmp_path):
    rng = np.random.default_rng(ACTIVATIONS.index(activation))
    for dtype in (np.float64, np.float32):
        for _ in range(5):
            f = random_network(rng, activation, scales=20.0 if dtype == np.float64 else 3.0).astype(dtype)
            certificate = certify(f, named(domain, 1.5))
            record = certificate.record(f)
            assert certificate.bound <= record["bound"] <= certificate.bound * (1 + 1e-10)
            f.save(tmp_path / "f.npz")
            assert verdict(tmp_path, record)[0], f


def test_what_proves_less_is_rejected(written):
    f, folder, record = written
    assert verdict(folder)[0]
    strongest = int(np.argmax(np.abs(f.a) * np.linalg.norm(f.W, axis=1)))
    weights = np.array(record["proof"]["weights"])
    doubled = weights.copy()
    doubled[1 + strongest] *= 2.0
    changed = f.W.copy()
    place = np.abs(changed[strongest]).argmax()
    changed[strongest, place] *= 1.01
    assert not verdict(folder, {**record, "bound": record["bound"] * (1 - 1e-9)})[0]
    assert not verdict(folder, with_weights(record, doubled.tolist()))[0]
    assert not verdict(folder, record, TwoLayer(f.W, f.b, f.a * (1 + 1e-9)))[0]
    assert not verdict(folder, record, TwoLayer(changed, f.b, f.a))[0]


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_weights_must_be_numbers_that_are_not_negative(written, value):
    _, folder, record = written
    valid, why = verdict(folder, with_weights(record, [value, *record["proof"]["weights"][1:]]))
    assert not valid and "not negative" in why


def test_a_row_of_weight_0_is_added_by_its_length(written):
    _, folder, record = written
    valid, why = verdict(folder, with_weights(record, [0.0, *record["proof"]["weights"][1:]]))
    assert not valid and "is not proved" in why
    path = with_weights(record, [0.0] * len(record["proof"]["weights"]))
    f = TwoLayer.load(folder / "f.npz")
    bound = path_product(f) * (1 + 1e-9)
    assert verdict(folder, {**path, "bound": bound})[0]
    assert not verdict(folder, {**path, "bound": bound / 2})[0]


def test_other_networks_and_damaged_files_are_refused(written):
    f, folder, record = written
    shorter = with_weights(record, record["proof"]["weights"][1:])
    assert "40 weights where 41 are needed" in verdict(folder, shorter)[1]
    on_sphere = {**record, "domain": "sphere"}
    assert "cover" in verdict(folder, {**on_sphere, "proof": by_parts()})[1]
    assert "cover" in verdict(folder, {**on_sphere, "proof": by_parts(plain(leader=0))})[1]
    assert "cover" in verdict(folder, {**on_sphere, "proof": by_parts(plain(leader=0), plain(leader=0), plain())})[1]
    assert "no proof by disjoint caps" in verdict(folder, {**record, "proof": by_parts(plain(leader=0), plain())})[1]
    assert "no proof by 'trust'" in verdict(folder, with_proof(record, by="trust"))[1]
    assert "has the fields" in verdict(folder, with_proof(record, parts=[]))[1]
    assert "no field comment" in verdict(folder, {**record, "comment": "true"})[1]
    assert "another network" in verdict(folder, {**record, "network": "0" * 64})[1]
    assert "kind" in verdict(folder, {**record, "kind": "something else"})[1]
    assert "domain" in verdict(folder, {**record, "domain": "torus"})[1]
    assert "says nothing" in verdict(folder, {**record, "bound": float("nan")})[1]
    text = json.dumps(record)
    for damaged in (text[: len(text) // 2], "[]", "", "null", json.dumps(with_weights(record, "many"))):
        (folder / "c.json").write_text(damaged)
        assert "not a certificate" in check.check(folder / "f.npz", folder / "c.json")[1]
    assert "not a certificate" in check.check(folder / "f.npz", folder / "missing.json")[1]
    assert "not a network" in check.check(folder / "c.json", folder / "c.json")[1]


@pytest.mark.parametrize("by", ["slopes", "ties", "thin", "disjoint caps", "overlapping caps", "cells", "form"])
def test_every_kind_of_proof(by, tmp_path):
    twice, flat = paper_weights(20, 8), paper_weights(20, 8)
    twice.W[1], twice.b[1] = twice.W[0], twice.b[0]
    f, domain = {
        "slopes": (paper_weights(20, 40), "space"),
        "ties": (twice, "space"),
        "thin": (TwoLayer(np.eye(3) + np.eye(3)[0], [-1.99, 0.0, 0.0], np.ones(3)), Sphere(tangential=True)),
        "disjoint caps": (TwoLayer(np.eye(5), np.full(5, -0.9), np.ones(5)), "sphere"),
        "overlapping caps": (constructions.grouped_caps(generic(60, 120), 30).network, "sphere"),
        "cells": (TwoLayer([[1.0], [2.0]], [0.1, 0.2], [1.0, -1.0]), "space"),
        "form": (TwoLayer(flat.W, np.zeros(8), flat.a, 0.0, "power:2"), "ball"),
    }[by]
    f.save(tmp_path / "f.npz")
    record = certify(f, domain).record(f)
    assert record["proof"]["by"] == by or record["proof"][by]
    assert verdict(tmp_path, record)[0]
    assert not verdict(tmp_path, {**record, "bound": record["bound"] * (1 - 1e-6)})[0]
    for other in {"slopes", "disjoint caps", "overlapping caps", "cells", "form"} - {record["proof"]["by"]}:
        assert not verdict(tmp_path, with_proof(record, by=other))[0]


def test_a_bound_of_the_sphere_is_none_of_the_space(tmp_path):
    f = TwoLayer([[1.0, 0.0], [0.0, 5.0]], [2.0, -6.0], [2.0, 100.0])
    record = certify(f, "sphere").record(f)
    f.save(tmp_path / "f.npz")
    assert verdict(tmp_path, record)[0] and record["bound"] == pytest.approx(2.0)
    assert not verdict(tmp_path, {**record, "domain": "space"})[0]
    assert not verdict(tmp_path, {**record, "radius": 2.0})[0]


@pytest.mark.parametrize("scale", [1e-150, 1e-20, 1e20, 1e150])
def test_products_that_could_over_or_underflow(scale, tmp_path):
    f = paper_weights(3, 5)
    f = TwoLayer(f.W * scale, f.b, f.a)
    f.save(tmp_path / "f.npz")
    record = certify(f).record(f)
    assert verdict(tmp_path, record)[0]
    assert not verdict(tmp_path, {**record, "bound": record["bound"] * (1 - 1e-9)})[0]


def test_overlapping_caps_prove_their_bound_and_nothing_else(tmp_path):
    """Section 3.3's network on the sphere, where the proof counts how many caps can overlap."""
    f = constructions.grouped_caps(generic(60, 120), 30).network
    f.save(tmp_path / "f.npz")
    record = certify(f, "sphere").record(f)
    assert record["proof"]["by"] == "overlapping caps" and verdict(tmp_path, record)[0]
    rho, kappa = record["proof"]["rho"], record["proof"]["kappa"]
    assert not verdict(tmp_path, {**record, "bound": record["bound"] * (1 - 1e-6)})[0]
    for changed in ({"rho": 1.05 * rho}, {"rho": rho / 1.05}, {"kappa": 1.2 * kappa}, {"kappa": kappa / 1.2}):
        assert not verdict(tmp_path, with_proof(record, **changed))[0]
    own = {name: record["proof"][name] for name in ("neurons", "weights")}
    assert not verdict(tmp_path, {**record, "proof": {"by": "slopes", **own, "ties": [], "thin": []}})[0]
    assert not verdict(tmp_path, {**record, "radius": 1.1})[0]
    for changed in ({"kappa": -kappa}, {"rho": float("nan")}, {"rho": float("inf")}):
        assert "positive numbers" in verdict(tmp_path, with_proof(record, **changed))[1]
    assert "no proof by overlapping caps" in verdict(tmp_path, {**record, "domain": "space"})[1]


def test_a_constant_network_has_the_bound_zero(tmp_path):
    f = TwoLayer(np.zeros((2, 3)), np.ones(2), np.ones(2))
    f.save(tmp_path / "f.npz")
    assert verdict(tmp_path, certify(f).record(f))[0]
    tiny = TwoLayer(np.full((2, 3), 1e-200), np.ones(2), np.full(2, 1e-200))  # its products are no float
    assert not verdict(tmp_path, {**certify(f).record(f)}, tiny)[0]


def test_nothing_to_certify():
    f = paper_weights(3, 4)
    for activation in ("power:3", "power:2"):
        f = TwoLayer(f.W, f.b, f.a, activation=activation)
        with pytest.raises(UserError, match="unbounded"):
            certify(f).record(f)


def test_the_checker_stands_alone(written):
    """As a script, in a Python that has NumPy and not this package."""
    _, folder, record = written
    command = [sys.executable, "-I", str(CHECKER), str(folder / "f.npz"), str(folder / "c.json")]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0 and run.stdout.startswith("Proved")
    source = CHECKER.read_text(encoding="utf-8")
    assert "lawjax." not in source.split('"""')[2] and "jax" not in source.split('"""')[2].replace("lawjax", "")
    (folder / "c.json").write_text(json.dumps({**record, "bound": 0.99 * record["bound"]}))
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 1 and "is not proved" in run.stdout and not run.stderr


def test_commands(written, tmp_path):
    f, folder, _ = written

    def lawjax_command(*arguments):
        command = [sys.executable, "-c", "from lawjax.cli import main; main()", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)

    out = lawjax_command("bracket", folder / "f.npz", "--certificate", folder / "new.json", "--json")
    assert out.returncode == 0, out.stderr
    found = json.loads(out.stdout)
    assert found["lower"] <= found["upper"] == lawjax.bracket(f).upper
    np.testing.assert_allclose(np.linalg.norm(f.gradient(np.array(found["witness"]))), found["lower"], rtol=1e-12)
    assert lawjax_command("check", folder / "f.npz", folder / "new.json").returncode == 0
    again = lawjax_command("bracket", folder / "f.npz", "--certificate", folder / "new.json")
    assert again.returncode == 2 and "exists already" in again.stderr and "Traceback" not in again.stderr
    missing = lawjax_command("bracket", folder / "nothing.npz")
    assert missing.returncode == 2 and missing.stderr.count("\n") == 1
    (folder / "c.json").write_text("{}")
    refused = lawjax_command("check", folder / "f.npz", folder / "c.json")
    assert refused.returncode == 1 and not refused.stderr


@pytest.mark.parametrize("of", ["W", "a"])
def test_weights_near_the_largest_float(of):
    """A bound far below the truth is not accepted where scaling by a power of two would overflow."""
    weights = {"W": np.ones((1, 1)), "a": np.ones(1)}
    weights[of] = weights[of] * 1.5 * 2.0**1023
    part = check.Part(None, np.array([0]), np.array([0.5, 0.5]))
    statement = check.Statement("space", 1.0, False, "slopes", (part,))
    assert not check.proves(weights["W"], np.zeros(1), weights["a"], "relu", statement, 2.0**1000)


def plain(neurons=(), weights=(1.0,), leader=None):
    return {"leader": leader, "neurons": list(neurons), "weights": list(weights)}


def by_slopes(neurons=(), weights=(1.0,)):
    return {"by": "slopes", "neurons": list(neurons), "weights": list(weights), "ties": [], "thin": []}


def judged(folder, W, b, a, activation="relu", **statement):
    """What the checker says of any arrays and any statement, the digest being theirs."""
    W, b, a, c = (np.asarray(array) for array in (W, b, a, 0.0))
    np.savez(folder / "f.npz", W=W, b=b, a=a, c=c, activation=np.array(activation))
    usual = {"bound": 0.0, "domain": "space", "radius": 1.0, "tangential": False, "proof": by_slopes()}
    record = {"kind": check.KIND, "network": check.digest((W, b, a, c), activation), **usual, **statement}
    (folder / "c.json").write_text(json.dumps(record))
    return check.check(folder / "f.npz", folder / "c.json")


TINY, HAIR = 2.0**-565, 5e-324
SCALED = 1e-170
LONG = np.longdouble


@pytest.mark.parametrize(
    ("arrays", "statement"),
    [
        # Lip = 1, but R ||w|| vanishes.
        (([[1e-200]], [0.0], [1e200]), {"bound": 0.5000001, "domain": "ball", "radius": 1e-200}),
        # Rows below the smallest normal number have no squares.
        (([[HAIR, HAIR]], [-HAIR], [1e300]), {"domain": "ball"}),
        # What cancels leaves less than the squares of the errors can tell: the gradient is 1.1e-187.
        (
            ([[TINY], [TINY * 2.0**-56], [1.0]], [0.0] * 3, [1.0, 1.0, -TINY], "identity"),
            {"bound": 1e-195, "proof": by_slopes(weights=[1e-320])},
        ),
        # The length of the radial part vanishes: sqrt(2) 1e-170 is the truth.
        (
            ([[SCALED, 0.0], [0.0, SCALED]], [-0.6 * SCALED, 1.5 * SCALED], [1.0, 1.0]),
            {
                "bound": 1.29 * SCALED,
                "domain": "sphere",
                "tangential": True,
                "proof": by_parts(plain(leader=0), plain()),
            },
        ),
        # 1e-330 is 0 in float64, and the gradient is 1e-30.
        ((np.array([[1e300]], LONG), np.zeros(1, LONG), np.array([LONG("1e-330")])), {}),
    ],
)
def test_numbers_that_vanish_prove_nothing(tmp_path, arrays, statement):
    assert not judged(tmp_path, *arrays, **statement)[0]


NO_NEURONS: list[Any] = [0, "0", [[0]], [[]], None, {}]


@pytest.mark.parametrize(
    ("arrays", "statement"),
    [
        *[
            (([[1.0]], [0.0], [1.0]), {"bound": 2.0, "proof": {**by_slopes((), (1.0, 1.0)), "neurons": neurons}})
            for neurons in NO_NEURONS
        ],
        (([[1.0]], [0.0], [1.0], "\ud800"), {"bound": 2.0}),
        ((np.zeros((1, 300_000)), [0.0], [1.0], "power:2"), {"bound": 2.0, "domain": "ball", "proof": {"by": "form"}}),
        (([["a"]], [0.0], [1.0]), {"bound": 2.0}),
        (([[2**62]], [0.0], [1.0]), {"bound": 1e30}),
    ],
)
def test_odd_files_are_no_traceback(tmp_path, arrays, statement, monkeypatch):
    monkeypatch.setattr(check, "digest", lambda arrays, activation: "")
    valid, why = judged(tmp_path, *arrays, **statement)
    assert not valid and why.endswith(".")


def test_archives_of_other_things_are_no_networks(written):
    _, folder, _ = written
    with zipfile.ZipFile(folder / "f.npz", "w") as file:
        for name in "Wba":
            file.writestr(name, "hello")
    assert "not a network" in check.check(folder / "f.npz", folder / "c.json")[1]


def test_the_constant_must_be_one_number(tmp_path):
    f = paper_weights(3, 4)
    record = certify(f).record(f)
    for c in (np.nan, np.zeros((3, 2))):
        np.savez(tmp_path / "f.npz", W=f.W, b=f.b, a=f.a, c=c)
        record["network"] = check.digest((f.W, f.b, f.a, c), "relu")
        (tmp_path / "c.json").write_text(json.dumps(record))
        assert not check.check(tmp_path / "f.npz", tmp_path / "c.json")[0]


OVERLAPPING = {**plain([0, 1, 2], [1.0] * 4), "by": "overlapping caps", "rho": 1e308, "kappa": 1e308}
del OVERLAPPING["leader"]


@pytest.mark.parametrize(
    "change",
    [
        {"bound": 1e200},
        {"proof": OVERLAPPING, "domain": "sphere"},
        {"proof": {**OVERLAPPING, "rho": [1e308]}, "domain": "sphere"},
        {"proof": by_parts(plain(leader=1.0), plain()), "domain": "sphere"},
        {"proof": by_parts(plain(leader=[1])), "domain": "sphere"},
        {"proof": by_parts(plain(leader=True), plain()), "domain": "sphere"},
        {"proof": by_parts({"leader": 0, "neurons": []}, plain()), "domain": "sphere"},
        {"proof": {"by": "disjoint caps", "parts": 3}, "domain": "sphere"},
        {"proof": by_slopes([0, 1, 2, 2], [1.0] * 5), "bound": 10.0},
        {"proof": {**by_slopes([0, 1, 2], [1.0] * 4), "ties": [[1, 0]]}},
        {"proof": {**by_slopes([0, 1, 2], [1.0] * 4), "thin": [0.0]}},
        {"proof": {"by": ["cells"]}},
        {"proof": {"by": "form"}},
        {"proof": None},
    ],
)
def test_malformed_certificates_are_no_traceback(tmp_path, change):
    f = lawjax.TwoLayer(np.eye(3), np.full(3, -0.5), np.ones(3))
    f.save(tmp_path / "f.npz")
    record = {**certify(f).record(f), **change}
    (tmp_path / "c.json").write_text(json.dumps(record))
    valid, why = check.check(tmp_path / "f.npz", tmp_path / "c.json")
    assert not valid and why.endswith(".")


def test_a_name_that_stands_twice_is_refused(tmp_path):
    """Either value could be meant: the first bound here is false, the last one is proved."""
    f = paper_weights(3, 4)
    f.save(tmp_path / "f.npz")
    text = json.dumps(certify(f).record(f))
    for twice in ('{"bound": 0.1, ' + text[1:], text.replace('"neurons"', '"weights": [1.0], "neurons"')):
        (tmp_path / "c.json").write_text(twice)
        valid, why = check.check(tmp_path / "f.npz", tmp_path / "c.json")
        assert not valid and "not a certificate" in why and "twice" in why


def test_arrays_are_read_as_networks_are_loaded(tmp_path):
    """What `TwoLayer.load` takes has the certificate of the network it loads; what it refuses is refused here."""
    f = TwoLayer(paper_weights(3, 4).W, None, paper_weights(3, 4).a, 0.5)
    (tmp_path / "c.json").write_text(json.dumps(certify(f).record(f)))
    arrays = {"W": f.W, "b": f.b, "a": f.a, "c": f.c, "activation": np.array("relu")}

    def verdict_on(**changes):
        changed = {name: array for name, array in {**arrays, **changes}.items() if array is not None}
        np.savez(tmp_path / "f.npz", **changed)
        valid, why = check.check(tmp_path / "f.npz", tmp_path / "c.json")
        assert why.endswith(".")
        return valid, why

    for changes in (
        {},
        {"b": None},
        {"a": f.a[None]},
        {"b": f.b[None]},
        {"c": np.asarray(f.c)[None]},
        {"activation": None},
        {"activation": np.array([b"relu"])},
    ):
        assert verdict_on(**changes)[0], changes
        assert TwoLayer.load(tmp_path / "f.npz").W.shape == f.W.shape
    for changes, said in (
        ({"V": np.ones(3)}, "an array V,"),
        ({"a": f.a[:, None]}, r"a has shape"),
        ({"b": f.b[1:]}, r"b has shape"),
        ({"c": np.zeros(2)}, r"c has shape"),
        ({"a": f.a + 1j}, "The network's a does not hold numbers"),
        ({"b": np.full_like(f.b, np.nan)}, "The network's b has NaN"),
        ({"W": np.ones(f.W.shape, np.int64) * 2**60}, "The network's W has integers"),
        ({"a": None}, "lacks"),
    ):
        valid, why = verdict_on(**changes)
        assert not valid and said in why, why


@pytest.mark.parametrize("seed", range(12))
def test_quadratic_forms(seed, tmp_path):
    """Accepted at 2 R ||T||_op, which eigenvalues give, and at nothing below; whatever the scale."""
    random = np.random.default_rng(seed)
    k, d = random.integers(1, 30, 2)
    scale = 10.0 ** random.uniform(-8, 8)
    f = TwoLayer(random.standard_normal((k, d)), np.zeros(k), scale * random.standard_normal(k), 0.2, "power:2")
    f = f.astype(np.float32) if seed % 2 else f
    W, a = f.W.astype(np.float64), f.a.astype(np.float64)
    truth = 2 * 1.5 * np.abs(np.linalg.eigvalsh(W.T @ (a[:, None] * W))).max()
    f.save(tmp_path / "f.npz")
    for domain in ("ball", "sphere"):
        record = certify(f, named(domain, 1.5)).record(f)
        assert truth * (1 - 1e-12) <= record["bound"] <= truth * (1 + 1e-9) and record["proof"] == {"by": "form"}
        assert verdict(tmp_path, record)[0]
    assert not verdict(tmp_path, {**record, "bound": (1 - 1e-9) * truth})[0]
    assert not verdict(tmp_path, {**record, "domain": "space"})[0]
    assert not verdict(tmp_path, {**record, "proof": by_slopes()})[0]
    biased = TwoLayer(f.W, np.full(k, 0.1, f.W.dtype), f.a, f.c, "power:2")
    assert "biases" in verdict(tmp_path, record, biased)[1]
    with pytest.raises(UserError, match="without biases"):
        certify(biased, "ball").record(biased)


def test_the_smoothest_form_whose_eigenvalues_are_all_alike(tmp_path):
    """Half of the eigenvalues of mu I - T are then 0, half 2 mu."""
    form = constructions.smoothest_quadratic(generic(60, 20)).network
    form.save(tmp_path / "f.npz")
    record = certify(form, "sphere").record(form)
    assert verdict(tmp_path, record)[0] and record["bound"] <= certify(form, "sphere").bound * (1 + 1e-9)


def test_sizes_that_are_not_checked_are_one_sentence():
    f = TwoLayer(np.diag([1.0, 1e-80, 1.0]), np.zeros(3), np.ones(3))
    with pytest.raises(UserError, match="rescale the network"):
        certify(f).record(f)


# --- Activations -----------------------------------------------------------------------------------------------------


def softsign(name="softsign"):
    return activations.Activation(
        name, lambda t: t / (1 + abs(t)), lambda t: 1 / (1 + abs(t)) ** 2, (0.0, 1.0), turns=(0.0,)
    )


RAMP = activations.Activation(
    "ramp",
    lambda t: 0.5 * (abs(t) - abs(t - 3.0) + 3.0),
    lambda t: ((t > 0) & (t <= 3)).astype(t.dtype),
    (0.0, 1.0),
    turns=(),
    kinks=(0.0, 3.0),
    is_piecewise_linear=True,
)
PRELU = activations.Activation(
    "prelu",
    lambda t: 0.25 * t + 0.75 * abs(t),
    lambda t: -0.5 + 1.5 * (t > 0).astype(t.dtype),
    (-0.5, 1.0),
    kinks=(0.0,),
    is_piecewise_linear=True,
    is_homogeneous=True,
)


@pytest.mark.parametrize(
    "name", [*activations.PRESETS, "leaky_relu:0.2", "leaky_relu:-3", "power:1", "polynomial:1,-2"]
)
def test_the_checker_s_table_agrees_with_the_program_s(name):
    """They share no code: intervals on R, and over pre-activations of neurons on a ball."""
    psi = activations.get(name)
    assert check.slope_range(name) == psi.slope_interval
    rng = np.random.default_rng(0)
    W, b = 10.0 ** rng.uniform(-6, 2, (200, 1)), 4.0 * rng.standard_normal(200)
    low, high = b - 0.5 * W[:, 0], b + 0.5 * W[:, 0]
    alpha, beta = check.slopes(W, b, name, "ball", 0.5)
    np.testing.assert_allclose([alpha, beta], psi.slopes_over(low, high), atol=3e-12)
    seen = psi.slope(low + (high - low) * np.linspace(0.001, 0.999, 101)[:, None])
    assert (alpha - 1e-15 <= seen).all() and (seen <= beta + 1e-15).all()


def test_no_name_of_the_program_is_strange_in_any_spelling():
    known = (
        *activations.PRESETS,
        *activations.ALIASES,
        "leaky_relu:0.3",
        "power:7",
        "ReLU",
        " relu",
        "Hard-Tanh",
        "gelu:x",
    )
    assert not any(map(check.is_strange, known))
    assert all(map(check.is_strange, ("softsign", "ramp", "relu7", "\u03c8", "r\u0435lu")))


@pytest.mark.parametrize("domain", ["space", "ball", "sphere"])
@pytest.mark.parametrize("psi", [softsign(), RAMP, PRELU])
def test_a_certificate_of_an_activation_of_one_s_own_says_what_it_assumes(psi, domain, tmp_path):
    rng = np.random.default_rng(0)
    on_domain = ", and on the domain in the interval given to each neuron" if domain != "space" else ""
    condition = {
        "softsign": f"the slopes of softsign are in [0, 1]{on_domain}",
        "ramp": "the slopes of ramp are 0, 1, 0 before, between and behind its kinks at 0, 3",
        "prelu": "the slope of prelu is -0.5 before its kink at 0 and 1 behind it",
    }[psi.name]
    for d in (2, 3):  # through every cell, where psi has kinks, and by weights
        f = TwoLayer(rng.standard_normal((5, d)), rng.standard_normal(5), rng.standard_normal(5), 0.0, psi)
        proof = certify(f, named(domain, 1.5))
        record = proof.record(f)
        assert proof.bound <= record["bound"] <= proof.bound * (1 + 1e-10)
        f.save(tmp_path / "f.npz")
        valid, why = verdict(tmp_path, record)
        assert valid and why.startswith(f"Proved, if {condition}: the Lipschitz constant on "), why
        assert not verdict(tmp_path, {**record, "bound": record["bound"] * (1 - 1e-6)})[0]
        without = {name: value for name, value in record.items() if name != "assumed"}
        assert "no slope interval for" in verdict(tmp_path, without)[1]


@pytest.mark.parametrize("name", ["relu", "tanh", "swish", "leaky_relu:0.2", "power:3", "ReLU", "re lu", "gelu:erf"])
def test_of_an_activation_that_is_known_a_certificate_may_assume_nothing(name, tmp_path):
    """Slopes of at most a tenth would make a bound of a tenth; nor is another spelling another activation."""
    narrow = {"slopes": [0.0, 0.1], "neurons": None, "kinks": [], "sides": []}
    proof = {"by": "slopes", "neurons": [0], "weights": [0.5, 0.5], "ties": [], "thin": []}
    arrays = {"W": np.ones((1, 1)), "b": np.zeros(1), "a": np.ones(1), "c": np.zeros(())}
    np.savez(tmp_path / "f.npz", **arrays, activation=np.array(name))
    own = {"domain": "space", "radius": 1.0, "tangential": False, "bound": 0.11, "proof": proof, "assumed": narrow}
    record = {"kind": check.KIND, "network": check.digest(arrays.values(), check.ALIASES.get(name, name)), **own}
    valid, why = verdict(tmp_path, record)
    assert not valid and "not the certificate's to say" in why
    valid, why = verdict(tmp_path, {**record, "assumed": None})
    assert not valid and ("no slope interval" in why or "is not proved" in why)


def test_a_name_in_other_letters_is_shown_as_what_it_is(tmp_path):
    """Cyrillic letters, and a name that would end the sentence."""
    for name, shown in (("r\u0435lu", r"'r\u0435lu'"), ("x is 1.\nProved: y", r"'x is 1.\nProved: y'")):
        f = TwoLayer([[1.0]], [0.0], [1.0], 0.0, softsign(name))
        f.save(tmp_path / "f.npz")
        valid, why = verdict(tmp_path, certify(f).record(f))
        assert valid and why.startswith(f"Proved, if the slopes of {shown} are in [0, 1]: ")


@pytest.mark.parametrize(
    "change",
    [
        {"slopes": [1.0, 0.0]},
        {"slopes": [0.0, float("nan")]},
        {"slopes": [0.0, float("inf")]},
        {"slopes": [0.0]},
        {"neurons": [[0.0, 2.0]] * 3},
        {"neurons": [[0.9, 0.1]] * 3},
        {"neurons": [[0.0, 1.0]]},
        {"neurons": [[float("nan"), 1.0]] * 3},
        {"kinks": [0.0]},
        {"sides": [0.0, 1.0]},
        {"kinks": [0.0], "sides": [0.0, 0.5]},
        {"kinks": [1.0, 0.0], "sides": [0.0, 1.0, 0.0]},
        {"kinks": ["a"], "sides": [0.0, 1.0]},
    ],
)
def test_assumptions_that_do_not_fit_together(change, tmp_path):
    f = TwoLayer(np.eye(3), np.zeros(3), np.ones(3), 0.0, softsign())
    f.save(tmp_path / "f.npz")
    record = certify(f).record(f)
    valid, why = verdict(tmp_path, {**record, "assumed": {**record["assumed"], **change}})
    assert not valid and why.endswith(".")
    broken: Any
    for broken in ([], "relu", {}, {"slopes": [0, 1]}):
        assert not verdict(tmp_path, {**record, "assumed": broken})[0]


def test_a_folder_shows_what_its_certificates_assume(tmp_path):
    f = TwoLayer(np.eye(3), np.zeros(3), np.ones(3), 0.0, softsign())
    f.save(tmp_path / "own.npz")
    (tmp_path / "own.json").write_text(json.dumps(certify(f).record(f)))
    command = [sys.executable, "-c", "from lawjax.cli import main; main()", "check", str(tmp_path)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0 and "own.npz: Proved, if the slopes of softsign" in run.stdout + run.stderr


def test_swish_of_another_program_is_silu(tmp_path):
    f = TwoLayer(np.eye(2), np.zeros(2), np.ones(2), 0.0, "swish")
    np.savez(tmp_path / "f.npz", W=f.W, b=f.b, a=f.a, c=f.c, activation=np.array("swish"))
    assert verdict(tmp_path, certify(f).record(f))[0]


def test_a_network_may_hold_its_certificate(written):
    """One file says both: it is proved as a pair is, and loaded as a network."""
    f, folder, record = written
    arrays = {"W": f.W, "b": f.b, "a": f.a, "c": f.c, "activation": np.array("relu")}

    def verdict_on(certificate):
        np.savez_compressed(folder / "one.npz", **arrays, certificate=certificate)
        valid, why = check.check(folder / "one.npz")
        assert why.endswith(".")
        return valid, why

    text = json.dumps(record)
    for certificate in (np.array(text), np.array(text.encode()), np.array([text])):
        assert verdict_on(certificate)[0]
    np.testing.assert_array_equal(TwoLayer.load(folder / "one.npz").W, f.W)
    assert check.check(folder / "one.npz", folder / "c.json")[0]  # one that is named comes first
    (folder / "c.json").write_text("{}")
    assert not check.check(folder / "one.npz", folder / "c.json")[0]
    smaller = json.dumps({**record, "bound": record["bound"] * (1 - 1e-9)})
    twice = '{"bound": 0.1, ' + text[1:]
    for certificate, said in (
        (np.array(smaller), "is not proved"),
        (np.array(twice), "twice"),
        (np.array("{"), "not a certificate"),
        (np.array([text, text]), "not one text"),
        (np.ones(3), "not one text"),
    ):
        valid, why = verdict_on(certificate)
        assert not valid and said in why
    np.savez(folder / "one.npz", **arrays, certificate=np.array([record], object))
    assert "cannot be read" in check.check(folder / "one.npz")[1]
    valid, why = check.check(folder / "f.npz")
    assert not valid and "holds no certificate" in why


def test_the_commands_take_networks_that_hold_their_certificates(written, lawjax):
    f, folder, record = written
    np.savez(folder / "held.npz", W=f.W, b=f.b, a=f.a, c=f.c, certificate=np.array(json.dumps(record)))
    status, out, _ = lawjax("check", folder / "held.npz")
    assert status == 0 and out.startswith("Proved: ")
    (folder / "c.json").rename(folder / "f.json")
    status, out, _ = lawjax("check", folder)
    assert status == 0 and "2 of 2 networks" in out
    run = subprocess.run([sys.executable, str(CHECKER), str(folder / "held.npz")], capture_output=True, text=True)
    assert run.returncode == 0 and run.stdout.startswith("Proved: ")
