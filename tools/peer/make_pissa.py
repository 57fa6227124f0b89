#!/usr/bin/env python3
"""Write the cases of fixtures/pissa: training that begins with PiSSA, as PEFT computes it.

Each case folder is laid out as those of fixtures/golden; besides, expected.safetensors has init.<name>, the tensors that
PEFT begins with, residual.<module> for one module, the weight that PEFT leaves in the base, and trained_logits after the
last step. `adapter` is what PEFT saves after it as a plain adapter for the unchanged base (it cannot do so for DoRA).
PEFT subtracts twice from a weight that several virtual layers share, so these cases have none.

usage: make_pissa.py OUT_DIR
"""
import json, os, shutil, sys, tempfile
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import MistralConfig, MistralForCausalLM

SMALL = dict(hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
             head_dim=6, vocab_size=72, max_position_embeddings=64, tie_word_embeddings=False, sliding_window=8)
STEPS, LR, DECAY = 3, 1e-2, 0.01


def run(out, name, init="pissa", **lora):
    folder = os.path.join(out, name)
    shutil.rmtree(folder, ignore_errors=True)
    torch.manual_seed(len(name))
    model = MistralForCausalLM(MistralConfig(**SMALL, attn_implementation="eager"))
    with torch.no_grad():
        for key, p in model.named_parameters():
            p.copy_(1 + 0.1 * torch.randn(p.shape) if "norm" in key else 0.15 * torch.randn(p.shape))
    model.save_pretrained(os.path.join(folder, "base"))
    os.remove(os.path.join(folder, "base", "generation_config.json"))
    ids = torch.randint(3, SMALL["vocab_size"], (2, 14))
    mask, labels = torch.ones_like(ids), ids.clone()
    labels[1, :4] = -100
    model = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", init_lora_weights=init, target_modules="all-linear", **lora))
    params = {n.replace(".default", ""): p for n, p in model.named_parameters() if p.requires_grad}
    tensors = dict(input_ids=ids, attention_mask=mask, labels=labels)
    tensors.update({"init." + n: p.detach().clone() for n, p in params.items()})
    down = model.base_model.model.model.layers[1].mlp.down_proj
    tensors["residual.model.layers.1.mlp.down_proj"] = down.base_layer.weight.detach().clone()
    with tempfile.TemporaryDirectory() as work:
        initial = os.path.join(work, "initial")
        model.peft_config["default"].init_lora_weights = True
        model.save_pretrained(initial)
        model.train()
        result = model(input_ids=ids, attention_mask=mask, labels=labels)
        tensors["logits"] = result.logits.detach().clone()
        result.loss.backward()
        tensors.update({"grad." + n: p.grad.clone() for n, p in params.items()})
        optimizer = torch.optim.AdamW(params.values(), lr=LR, weight_decay=DECAY)
        optimizer.zero_grad()
        steps = []
        for _ in range(STEPS):
            loss = model(input_ids=ids, attention_mask=mask, labels=labels).loss
            loss.backward()
            norm = float(torch.nn.utils.clip_grad_norm_(params.values(), 1.0))
            steps.append(dict(loss=float(loss), grad_norm=norm))
            optimizer.step()
            optimizer.zero_grad()
        model.eval()
        with torch.no_grad():
            tensors["trained_logits"] = model(input_ids=ids, attention_mask=mask).logits.clone()
        if not lora.get("use_dora"):
            model.save_pretrained(os.path.join(folder, "adapter"), path_initial_model_for_weight_conversion=initial)
            os.remove(os.path.join(folder, "adapter", "README.md"))
    save_file({k: v.contiguous() for k, v in tensors.items()}, os.path.join(folder, "expected.safetensors"))
    training = dict(lr=LR, weight_decay=DECAY, max_grad_norm=1.0, steps=steps)
    expected = dict(recipe=dict(lora=lora), loss=float(result.loss), effective_layers=2,
                    trainable_parameters=sum(p.numel() for p in params.values()), training=training)
    with open(os.path.join(folder, "expected.json"), "w") as f:
        json.dump(expected, f, indent=1)
    print(name, expected["loss"], [step["loss"] for step in steps])


if __name__ == "__main__":
    out = sys.argv[1]
    torch.set_num_threads(2)
    run(out, "lora", r=3, lora_alpha=5)
    run(out, "rslora", r=3, lora_alpha=5, use_rslora=True)
    run(out, "dora", r=3, lora_alpha=5, use_dora=True)
