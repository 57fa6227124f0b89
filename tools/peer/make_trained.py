#!/usr/bin/env python3
"""Write the cases of fixtures/trained: training of a model's own tensors, as transformers and PEFT compute it.

Each case folder is laid out as those of fixtures/golden: base/, adapter/ where PEFT trained it, expected.safetensors with
input_ids, labels, attention_mask, logits, grad.<name> and final.<name>, expected.json with the loss and the training.
Names of grad and final are those of the adapter's file, with PEFT's prefix; of `full` they are the checkpoint's.

usage: make_trained.py OUT_DIR [CASE ...]
"""
import json, os, shutil, sys
import torch
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM

SMALL = dict(hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
             head_dim=6, vocab_size=72, max_position_embeddings=64)
LLAMA = (LlamaForCausalLM, LlamaConfig, dict(SMALL, tie_word_embeddings=True, attention_bias=True, mlp_bias=True))
MISTRAL = (MistralForCausalLM, MistralConfig, dict(SMALL, tie_word_embeddings=False, sliding_window=8))
MAP = [[0, 2], [1, 2]]
STEPS, LR, DECAY = 3, 1e-2, 0.01


def short(name):
    return name.replace(".modules_to_save.default", "").replace(".default", "")


def run(out, name, kind, lora=None, dora=False):
    if sys.argv[2:] and name not in sys.argv[2:]:
        return
    folder = os.path.join(out, name)
    shutil.rmtree(folder, ignore_errors=True)
    cls, config, fields = kind
    torch.manual_seed(len(name))
    model = cls(config(**fields, attn_implementation="eager"))
    with torch.no_grad():
        for key, p in model.named_parameters():
            p.copy_(1 + 0.1 * torch.randn(p.shape) if "norm" in key else 0.15 * torch.randn(p.shape))
    model.save_pretrained(os.path.join(folder, "base"))
    ids = torch.randint(3, fields["vocab_size"], (2, 14))
    if fields.get("pad_token_id") is not None:
        ids[:, 3::5] = 7
    mask, labels = torch.ones_like(ids), ids.clone()
    labels[1, :4] = -100
    if lora is not None:
        model = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", r=2, lora_alpha=3, use_dora=dora, **lora))
    if lora is None:
        params = dict(model.named_parameters())
    else:
        # A parameter that virtual layers share has several names; the adapter's file may leave the first one out.
        saved, named = get_peft_model_state_dict(model), {}
        for n, p in model.named_parameters(remove_duplicate=False):
            if p.requires_grad and short(n).replace("_vector.weight", "_vector") in saved:
                named.setdefault(p, short(n))
        params = {n: p for p, n in named.items()}
        assert sum(p.requires_grad for p in model.parameters()) == len(params)
    if lora is not None:
        with torch.no_grad():  # everything is to count, and to differ from the base
            for p in params.values():
                p.add_(0.05 * torch.randn(p.shape))
        model.save_pretrained(os.path.join(folder, "adapter"))
        os.remove(os.path.join(folder, "adapter", "README.md"))
    model.train()
    result = model(input_ids=ids, attention_mask=mask, labels=labels)
    tensors = dict(input_ids=ids, attention_mask=mask, labels=labels, logits=result.logits.detach().clone())
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
    tensors.update({"final." + n: p.detach().clone() for n, p in params.items()})
    save_file({k: v.contiguous() for k, v in tensors.items()}, os.path.join(folder, "expected.safetensors"))
    training = dict(lr=LR, weight_decay=DECAY, max_grad_norm=1.0, steps=steps)
    expected = dict(loss=float(result.loss), effective_layers=2 if lora is None else 3,
                    trainable_parameters=sum(p.numel() for p in params.values()), training=training)
    with open(os.path.join(folder, "expected.json"), "w") as f:
        json.dump(expected, f, indent=1)
    print(name, expected["loss"], [step["loss"] for step in steps])


if __name__ == "__main__":
    out = sys.argv[1]
    torch.set_num_threads(2)
    run(out, "full", MISTRAL)
    run(out, "full-tied", LLAMA)
    run(out, "untied-modules", MISTRAL, dict(
        target_modules="all-linear", layer_replication=MAP,
        modules_to_save=["embed_tokens", "lm_head", "v_proj", "layers.1.mlp", "model.norm"]))
    run(out, "tied-apart", LLAMA, dict(
        target_modules=["q_proj", "down_proj"], layer_replication=MAP, bias="lora_only",
        modules_to_save=["embed_tokens", "input_layernorm"]))
    run(out, "tied-together", LLAMA, dict(
        target_modules=["q_proj", "down_proj"], layer_replication=MAP, bias="all",
        modules_to_save=["lm_head"], ensure_weight_tying=True), dora=True)
    # Token 7 is padding: the embedding's row gets no gradient from the tokens of a text, and a tied head gives it one.
    run(out, "padding", (*MISTRAL[:2], dict(MISTRAL[2], pad_token_id=7)), dict(
        target_modules=["q_proj"], layer_replication=MAP, modules_to_save=["embed_tokens"]))
    run(out, "padding-tied", (*LLAMA[:2], dict(LLAMA[2], pad_token_id=7)))
    # One of the two virtual layers of physical layer 1 has adapters; the biases are one parameter for both.
    run(out, "biases-of-some", LLAMA, dict(
        target_modules=["q_proj", "down_proj"], layer_replication=MAP, bias="lora_only", layers_to_transform=[2]))
    run(out, "all-biases", LLAMA, dict(
        target_modules=["q_proj", "down_proj"], layer_replication=MAP, bias="all", layers_to_transform=[0, 1]))
