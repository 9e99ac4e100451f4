"""Convolution of images of one channel, with gradients that oneDNN alone is slow at."""

from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.nn.grad import conv2d_input, conv2d_weight

from retina_nb.products import product

# oneDNN leaves its fast path for gradients of kernels that are wider.
_WIDEST = 14
# Entries of a matrix from images to what becomes of them.
_LARGEST = 2**21


def convolve_single_channel(
    images: Float[Tensor, "image 1 height width"],
    kernels: Float[Tensor, "feature 1 kernel_height kernel_width"],
    padding: tuple[int, int],
) -> Float[Tensor, "image feature height_out width_out"]:
    """The same as ``conv2d``, with the features of a pixel side by side."""
    return _SingleChannel.apply(images, kernels, padding)


class _SingleChannel(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor, kernels: Tensor, padding: tuple[int, int]) -> Tensor:
        ctx.save_for_backward(images, kernels)
        ctx.padding = padding
        return F.conv2d(images, kernels, padding=padding).contiguous(memory_format=torch.channels_last)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        images, kernels = ctx.saved_tensors
        grad = grads[0].to(images.dtype)  # in mixed precision the convolution gives fewer bits than it takes
        of_images = _by_images(images, kernels, grad, ctx.padding) if ctx.needs_input_grad[0] else None
        of_kernels = _by_kernels(images, kernels, grad, ctx.padding) if ctx.needs_input_grad[1] else None
        return of_images, of_kernels, None


def _by_kernels(images: Tensor, kernels: Tensor, grad: Tensor, padding: tuple[int, int]) -> Tensor:
    """A gradient for each part of the width."""
    grad, (height, width) = grad.contiguous(), kernels.shape[2:]
    if padding[1] and width > _WIDEST:
        images, padding = F.pad(images, (padding[1], padding[1])), (padding[0], 0)
    parts = -(-width // _WIDEST)
    found = [
        conv2d_weight(
            images[..., left : images.shape[-1] - width + right] if parts > 1 else images,
            (len(kernels), 1, height, right - left),
            grad,
            padding=padding,
        )
        for left, right in pairwise([part * width // parts for part in range(parts + 1)])
    ]
    return torch.cat(found, dim=-1)


def _by_images(images: Tensor, kernels: Tensor, grad: Tensor, padding: tuple[int, int]) -> Tensor:
    if len(kernels) * images.shape[2:].numel() ** 2 > _LARGEST:
        return conv2d_input(images.shape, kernels, grad, padding=padding)
    matrix = _matrix(kernels[:, 0], (images.shape[2], images.shape[3]), padding)
    return product(grad.permute(0, 2, 3, 1).flatten(1), matrix).view(images.shape)


def _matrix(
    kernels: Float[Tensor, "feature kernel_height kernel_width"], size: tuple[int, int], padding: tuple[int, int]
) -> Float[Tensor, "pixel place_feature"]:
    """What every pixel counts for every feature in every place."""
    kernel = kernels.shape[1:]
    down, right = (
        torch.arange(side, device=kernels.device)[:, None]
        + pad
        - torch.arange(side + 2 * pad - k + 1, device=kernels.device)
        for side, pad, k in zip(size, padding, kernel, strict=True)
    )
    down, right = down[:, None, :, None], right[None, :, None, :]  # (height, width, height_out, width_out)
    inside = (down >= 0) & (down < kernel[0]) & (right >= 0) & (right < kernel[1])
    # Entries outside the kernel take the zero appended to it.
    entry = torch.where(inside, down * kernel[1] + right, kernel[0] * kernel[1]).flatten()
    return F.pad(kernels.flatten(1), (0, 1)).T[entry].view(size[0] * size[1], -1)
