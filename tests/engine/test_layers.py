"""The libraries' layers are replaced where a block gives the same, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import open_clip
import pytest
import torch
from torch import nn
from transformers import Dinov2Config, Dinov2Model, SiglipVisionConfig, SiglipVisionModel

from connector.engine.device import Device
from connector.engine.layers import Layer, replace_layers

CPU = Device("cpu", "float32")


def siglip() -> nn.Module:
    return SiglipVisionModel(
        SiglipVisionConfig(
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=2,
            image_size=32,
            patch_size=8,
        )
    )


def dinov2(**options: Any) -> nn.Module:
    return Dinov2Model(
        Dinov2Config(
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            image_size=32,
            patch_size=8,
            layerscale_value=0.5,
            **options,
        )
    )


@torch.inference_mode()
@pytest.mark.parametrize(("build", "layers"), [(siglip, 2), (dinov2, 2)])
def test_the_model_says_the_same_afterwards(build: Callable[[], Any], layers: int) -> None:
    torch.manual_seed(0)
    model, pixels = build().eval(), torch.randn(3, 3, 32, 32)
    before = model(pixel_values=pixels).pooler_output
    assert replace_layers(model, CPU) == layers
    assert sum(isinstance(each, Layer) for each in model.modules()) == layers
    assert torch.allclose(model(pixel_values=pixels).pooler_output, before, atol=1e-5)


@torch.inference_mode()
def test_both_towers_of_an_open_clip_model_are_read() -> None:
    torch.manual_seed(0)
    model = open_clip.CLIP(
        embed_dim=16,
        vision_cfg=open_clip.CLIPVisionCfg(layers=2, width=32, head_width=16, patch_size=8, image_size=32),
        text_cfg=open_clip.CLIPTextCfg(layers=2, width=32, heads=2, vocab_size=50, context_length=9),
        quick_gelu=True,
    ).eval()
    pixels, ids = torch.randn(3, 3, 32, 32), torch.randint(1, 50, (3, 9))
    before = model.encode_image(pixels), model.encode_text(ids)
    assert replace_layers(model, CPU) == 4
    after = model.encode_image(pixels), model.encode_text(ids)
    for one, other in zip(before, after, strict=True):
        assert torch.allclose(one, other, atol=1e-5)


def test_a_layer_of_other_parts_stays() -> None:
    model = dinov2(use_swiglu_ffn=True).eval()
    assert replace_layers(model, CPU) == 0


def test_a_layer_that_does_more_than_its_parts_say_stays() -> None:
    model = siglip().eval()
    layers: Any = model.get_submodule("encoder.layers")
    layers[0].register_forward_hook(lambda layer, inputs, output: inputs[0] - output)
    assert replace_layers(model, CPU) == 1
    assert not isinstance(layers[0], Layer)


def test_a_model_in_training_stays() -> None:
    assert replace_layers(siglip().train(), CPU) == 0
