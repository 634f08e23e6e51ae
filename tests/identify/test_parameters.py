"""A variant of a family is the model that its id compiles to."""

import mujoco
import numpy as np
import pytest

from transreward.domains.parameters import LINEAR, Family, _array, _arrays
from transreward.domains.robots import ROBOTS
from transreward.domains.shifts import applied, parse, prepared


@pytest.fixture(scope="module", params=["halfcheetah", "hopper", "ant", "inverted_double_pendulum"])
def family(request):
    return Family(ROBOTS[request.param])


def values_of(family, **named):
    """All neutral, but for some, by name with `_` for what Python cannot name."""
    return np.array([named.get(p.name, p.neutral) for p in family.parameters])


def test_every_parameter_is_a_shift_whose_id_makes_the_same_model(family):
    """Contacts are explicit pairs in a family, so the bits differ and the physics does not."""
    rng = np.random.default_rng(0)
    for i, parameter in enumerate(family.parameters):
        if not parameter.of_model:
            continue
        value = rng.choice([v for v in parameter.search.trials if v > 0.2])
        values = family.neutral.copy()
        values[i] = value
        (variant,) = family.variants(values[None])
        whole = applied(prepared(family.robot), family.robot, [parameter.shift(value)]).model
        ends = []
        for model in (variant.model, whole):
            data = mujoco.MjData(model)
            data.qvel[:] = np.linspace(-1, 1, model.nv)
            data.ctrl[:] = np.linspace(-1, 1, model.nu)
            mujoco.mj_step(model, data, 5)
            ends.append(np.concatenate([data.qpos, data.qvel]))
        np.testing.assert_allclose(*ends, rtol=1e-6, atol=1e-8, err_msg=f"{parameter.name}={value}")


def test_whole_and_part_are_taken_together(family):
    """Both scale the same numbers: the product counts, as of the shifts one after the other."""
    names = [p.name for p in family.parameters]
    part = next(name for name in names if name.startswith("mass("))
    values = values_of(family, **{"mass": 0.5, part: 3.0, "gravity": 2.0})
    (variant,) = family.variants(values[None])
    whole = family._compiled([p.shift(v) for p, v in zip(family.parameters, values, strict=True) if v != p.neutral])
    for path in _arrays(variant.model):
        a, b = _array(variant.model, path), _array(whole.model, path)
        if np.issubdtype(a.dtype, np.floating):
            np.testing.assert_allclose(a, b, rtol=LINEAR, atol=1e-12, err_msg=path)


def test_a_variant_of_a_shifted_robot_is_the_one_of_the_joined_id():
    """A payload is not scaled with masses that were scaled before it was added."""
    row, own = ROBOTS["hopper"], parse("mass=0.5,payload=2")
    family = Family(row, own, names=["mass"])
    (variant,) = family.variants(np.array([[2.0]]))
    joined = parse("mass=1,payload=2")
    whole = applied(prepared(row, joined), row, joined)
    np.testing.assert_allclose(variant.model.body_mass, whole.model.body_mass, rtol=1e-9)


def test_variants_leave_no_trace(family):
    before = [_array(family.model, path).copy() for path in _arrays(family.model)]
    rng = np.random.default_rng(1)
    family.variants(np.stack([[rng.choice(p.search.trials) for p in family.parameters] for _ in range(3)]))
    (again,) = family.variants(family.neutral[None])
    for path, x in zip(_arrays(family.model), before, strict=True):
        np.testing.assert_array_equal(_array(family.model, path), x, err_msg=path)
        np.testing.assert_array_equal(_array(again.model, path), x, err_msg=path)
