"""The hybrid loss: L = alpha * T^2 * KL(teacher_T || student_T) + (1 - alpha) * CE(hard label), on answer tokens only.

Source: arXiv 2506.02014 (distillation); temperature and the T^2 factor after Hinton et al., arXiv 1503.02531.
"""

import torch
from torch.nn import functional as F


def top_k_tail_kl(
    student_logits_NV: torch.Tensor,
    teacher_logits_NK: torch.Tensor,
    ids_NK: torch.Tensor,
    teacher_logsumexp_N: torch.Tensor,
    *,
    temperature: float,
) -> torch.Tensor:
    """KL(teacher || student) over the teacher's top-k tokens and one bucket for all the rest, shape (N,).

    The tail bucket keeps the divergence non-negative and the gradient on the kept logits exact; dropping it does
    neither.

    Args:
        student_logits_NV: raw logits at the answer positions.
        teacher_logits_NK: the teacher's raw top-k logits there.
        ids_NK: their token ids.
        teacher_logsumexp_N: logsumexp of all the teacher's logits divided by `temperature`.
        temperature: T, the same at which `teacher_logsumexp_N` was taken.
    """
    teacher_NK = teacher_logits_NK / temperature - teacher_logsumexp_N[:, None]
    student_NV = (student_logits_NV / temperature).log_softmax(-1)
    student_NK = student_NV.gather(1, ids_NK)
    head_N = (teacher_NK.exp() * (teacher_NK - student_NK)).sum(1)
    if ids_NK.shape[1] == student_NV.shape[1]:
        return head_N
    # The student's tail is summed, not taken as 1 - sum(kept): a sure student would leave nothing of it in float32.
    tail_student_N = student_NV.scatter(1, ids_NK, -torch.inf).logsumexp(-1)
    tail_teacher_N = torch.log((1 - teacher_NK.exp().sum(1)).clamp_min(1e-9))
    return head_N + tail_teacher_N.exp() * (tail_teacher_N - tail_student_N)


def answer_set_kl(student_C: torch.Tensor, teacher_C: torch.Tensor, *, temperature: float) -> torch.Tensor:
    """KL(teacher || student) over a closed answer set, both given as unnormalised log-probabilities of shape (C,)."""
    target_C = (teacher_C / temperature).log_softmax(-1)
    return F.kl_div((student_C / temperature).log_softmax(-1), target_C, reduction="sum", log_target=True)


def hybrid_loss(soft: torch.Tensor, hard: torch.Tensor, *, alpha: float, temperature: float) -> torch.Tensor:
    """Mix the soft term (a KL taken at `temperature`) and the hard cross-entropy; alpha 0 is plain fine-tuning."""
    return alpha * temperature**2 * soft + (1 - alpha) * hard
