"""The hybrid loss: divergences are non-negative, and the tail bucket keeps the gradient on the kept logits exact."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from drivelet.distil.loss import answer_set_kl, hybrid_loss, top_k_tail_kl

VOCABULARY = 24
temperatures = st.sampled_from([1.0, 2.0, 4.0])
seeds = st.integers(0, 2**20)
scales = st.sampled_from([0.3, 1.0, 4.0, 10.0])


def draw(seed: int, scale: float, *, rows: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    """Return student and teacher logits, shape (rows, VOCABULARY), in float64."""
    rng = torch.Generator().manual_seed(seed)
    both = scale * torch.randn(2, rows, VOCABULARY, generator=rng, dtype=torch.float64)
    return both[0].requires_grad_(), both[1]


def bucket(student: torch.Tensor, teacher: torch.Tensor, *, k: int, temperature: float) -> torch.Tensor:
    top = teacher.topk(k)
    lse = (teacher / temperature).logsumexp(-1)
    return top_k_tail_kl(student, top.values, top.indices, lse, temperature=temperature)


def full_kl(student: torch.Tensor, teacher: torch.Tensor, *, temperature: float) -> torch.Tensor:
    target = (teacher / temperature).softmax(-1)
    return F.kl_div((student / temperature).log_softmax(-1), target, reduction="none").sum(-1)


@given(seeds, scales, temperatures, st.integers(1, VOCABULARY - 1))
def test_the_bucket_divergence_lies_between_zero_and_the_full_one(
    seed: int, scale: float, temperature: float, k: int
) -> None:
    student, teacher = draw(seed, scale)
    found = bucket(student, teacher, k=k, temperature=temperature)
    assert bool((found >= -1e-7).all())
    assert bool((found <= full_kl(student, teacher, temperature=temperature) + 1e-7).all())


@given(seeds, scales, temperatures, st.integers(1, VOCABULARY))
def test_it_is_zero_for_equal_models(seed: int, scale: float, temperature: float, k: int) -> None:
    _, teacher = draw(seed, scale)
    student = teacher.clone().requires_grad_()
    found = bucket(student, teacher, k=k, temperature=temperature)
    torch.testing.assert_close(found, torch.zeros_like(found), atol=1e-6, rtol=0)
    (gradient,) = torch.autograd.grad(found.sum(), student)
    torch.testing.assert_close(gradient, torch.zeros_like(gradient), atol=1e-6, rtol=0)


@given(seeds, st.sampled_from([0.3, 1.0, 4.0]), temperatures, st.integers(1, VOCABULARY - 1))
def test_the_gradient_on_the_kept_logits_is_that_of_the_full_divergence(
    seed: int, scale: float, temperature: float, k: int
) -> None:
    student, teacher = draw(seed, scale)
    ids = teacher.topk(k).indices
    (found,) = torch.autograd.grad(bucket(student, teacher, k=k, temperature=temperature).sum(), student)
    (exact,) = torch.autograd.grad(full_kl(student, teacher, temperature=temperature).sum(), student)
    torch.testing.assert_close(found.gather(1, ids), exact.gather(1, ids), atol=1e-6, rtol=1e-4)


def test_the_gradient_stays_exact_for_a_sure_student_in_single_precision() -> None:
    teacher = torch.zeros(1, VOCABULARY)
    student = torch.zeros(1, VOCABULARY)
    teacher[0, 0], student[0, 0] = 5.0, 24.0
    student.requires_grad_()
    (found,) = torch.autograd.grad(bucket(student, teacher, k=4, temperature=1.0).sum(), student)
    (exact,) = torch.autograd.grad(full_kl(student, teacher, temperature=1.0).sum(), student)
    torch.testing.assert_close(found, exact, atol=1e-5, rtol=1e-3)


def test_keeping_every_token_is_the_full_divergence() -> None:
    student, teacher = draw(3, 1.0)
    found = bucket(student, teacher, k=VOCABULARY, temperature=2.0)
    torch.testing.assert_close(found, full_kl(student, teacher, temperature=2.0), atol=1e-6, rtol=1e-6)
    gradients = [
        torch.autograd.grad(value.sum(), student, retain_graph=True)[0]
        for value in (found, full_kl(student, teacher, temperature=2.0))
    ]
    torch.testing.assert_close(*gradients, atol=1e-6, rtol=1e-4)


def test_dropping_the_tail_is_different_and_can_be_negative() -> None:
    teacher, student = torch.zeros(1, VOCABULARY), torch.zeros(1, VOCABULARY)
    student[0, :4] = 3.0
    top = (teacher.log_softmax(-1).exp() * (teacher.log_softmax(-1) - student.log_softmax(-1)))[:, :4].sum(1)
    kept = top_k_tail_kl(student, teacher[:, :4], torch.arange(4)[None], teacher.logsumexp(-1), temperature=1.0)
    assert float(top) < 0 < float(kept)


@given(seeds, scales, temperatures)
def test_the_answer_set_divergence_is_a_divergence(seed: int, scale: float, temperature: float) -> None:
    student, teacher = draw(seed, scale, rows=1)
    found = answer_set_kl(student[0], teacher[0], temperature=temperature)
    assert float(found.detach()) >= -1e-9
    torch.testing.assert_close(found, full_kl(student, teacher, temperature=temperature)[0])
    assert float(answer_set_kl(teacher[0], teacher[0], temperature=temperature)) == pytest.approx(0, abs=1e-9)


@given(seeds, temperatures)
def test_the_answer_set_divergence_ignores_the_mass_outside_the_set(seed: int, temperature: float) -> None:
    student, teacher = draw(seed, 1.0, rows=1)
    found = answer_set_kl(student[0], teacher[0], temperature=temperature)
    torch.testing.assert_close(answer_set_kl(student[0] - 3, teacher[0] - 7, temperature=temperature), found)


def test_alpha_zero_is_cross_entropy_and_one_is_the_scaled_divergence() -> None:
    soft, hard = torch.tensor(0.7), torch.tensor(1.3)
    assert hybrid_loss(soft, hard, alpha=0.0, temperature=2.0) == hard
    assert hybrid_loss(soft, hard, alpha=1.0, temperature=2.0) == pytest.approx(4 * 0.7)
    assert hybrid_loss(soft, hard, alpha=0.25, temperature=3.0) == pytest.approx(0.25 * 9 * 0.7 + 0.75 * 1.3)


def test_the_squared_temperature_keeps_the_gradients_scale() -> None:
    """At high T the gradient of T^2 KL tends to (z_student - z_teacher) / V, whatever T is (centred logits)."""
    student, teacher = draw(5, 0.5)
    centred = student.detach() - student.detach().mean(-1, keepdim=True) - teacher + teacher.mean(-1, keepdim=True)
    for temperature in (100.0, 400.0):
        soft = full_kl(student, teacher, temperature=temperature).sum()
        loss = hybrid_loss(soft, torch.zeros(()), alpha=1.0, temperature=temperature)
        (gradient,) = torch.autograd.grad(loss, student)
        torch.testing.assert_close(gradient, centred / VOCABULARY, atol=2e-3, rtol=0)
