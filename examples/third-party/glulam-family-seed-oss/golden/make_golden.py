#!/usr/bin/env python3
"""Write the golden cases beside this script: what transformers 5.18 and PEFT 0.21 on torch 2.13 (CPU) compute for small
Seed-OSS models with random weights.

A case's folder holds base/ (config.json in today's style, config.published.json in that of the published checkpoints),
adapter/ (PEFT's), merged/ (the same model as a plain checkpoint, which transformers wrote), expected.safetensors (inputs,
logits, every gradient) and expected.json (loss, training steps).

usage: make_golden.py OUT_DIR
"""
import json, os, shutil, sys
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import SeedOssConfig, SeedOssForCausalLM

# Heads need not add up to the hidden size.
SMALL = dict(hidden_size=24, intermediate_size=40, num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=2, head_dim=8,
             vocab_size=64, max_position_embeddings=128, rms_norm_eps=1e-6, attention_dropout=0.0, residual_dropout=0.0,
             rope_parameters=dict(rope_type="default", rope_theta=1e7), pad_token_id=None)
TIED = dict(SMALL, tie_word_embeddings=True)
# A bias on the output of attention too.
BIASED = dict(SMALL, attention_out_bias=True)
STEPS, LR, DECAY = 5, 1e-2, 0.01
LORA = dict(r=3, lora_alpha=6, target_modules=["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"])


def short(name):
    return name.replace(".default", "")


def write_tokenizer(folder):
    """One token a character, so that texts can be trained on."""
    vocab = {token: i for i, token in enumerate(["<unk>", "<s>", "</s>", *"abcdefghijklmnopqrstuvwxyz0123456789 .,:?+-*/=\n"])}
    special = [dict(id=i, content=token, single_word=False, lstrip=False, rstrip=False, normalized=False, special=True)
               for token, i in vocab.items() if i < 3]
    model = dict(type="BPE", vocab=vocab, merges=[], unk_token="<unk>", fuse_unk=False, byte_fallback=False)
    with open(os.path.join(folder, "tokenizer.json"), "w") as f:
        json.dump(dict(version="1.0", added_tokens=special, normalizer=None, pre_tokenizer=None, post_processor=None,
                       decoder=dict(type="Fuse"), model=model), f, indent=1)
    with open(os.path.join(folder, "tokenizer_config.json"), "w") as f:
        json.dump(dict(tokenizer_class="PreTrainedTokenizerFast", bos_token="<s>", eos_token="</s>", unk_token="<unk>"), f)


def write_published_config(folder):
    """rope_theta and torch_dtype at the top."""
    with open(os.path.join(folder, "config.json")) as f:
        fields = json.load(f)
    fields["rope_theta"] = fields.pop("rope_parameters")["rope_theta"]
    fields["torch_dtype"] = fields.pop("dtype")
    with open(os.path.join(folder, "config.published.json"), "w") as f:
        json.dump(fields, f, indent=2)


def merged_model(model, config, order):
    """The layers in the order of their visits, each with its LoRA folded in, as a model of its own."""
    layers = model.base_model.model.model.layers
    plain = SeedOssForCausalLM(SeedOssConfig(**{**config, "num_hidden_layers": len(order)}, attn_implementation="eager"))
    state = {}
    for name, value in model.base_model.model.state_dict().items():
        if "lora_" not in name:
            state[name.replace(".base_layer", "")] = value.clone()
    for i, layer in enumerate(layers):
        for name, module in layer.named_modules():
            if hasattr(module, "get_delta_weight"):
                state[f"model.layers.{i}.{name}.weight"] += module.get_delta_weight("default")
    plain.load_state_dict(state)
    return plain.eval()


def case(out, name, config, seed, layer_map=None):
    folder = os.path.join(out, name)
    shutil.rmtree(folder, ignore_errors=True)
    torch.manual_seed(seed)
    model = SeedOssForCausalLM(SeedOssConfig(**config, attn_implementation="eager"))
    with torch.no_grad():
        for key, p in model.named_parameters():
            p.copy_(1 + 0.1 * torch.randn(p.shape) if "norm" in key else 0.15 * torch.randn(p.shape))
    model.save_pretrained(os.path.join(folder, "base"))
    write_published_config(os.path.join(folder, "base"))
    write_tokenizer(os.path.join(folder, "base"))
    ids = torch.randint(3, config["vocab_size"], (2, 24))
    mask, labels = torch.ones_like(ids), ids.clone()
    labels[1, :6] = -100
    ids[1, -4:], mask[1, -4:], labels[1, -4:] = 0, 0, -100
    order = [i for start, end in (layer_map or [[0, config["num_hidden_layers"]]]) for i in range(start, end)]
    model = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", layer_replication=layer_map, **LORA))
    params = {short(n): p for n, p in model.named_parameters() if p.requires_grad}
    with torch.no_grad():
        for n, p in params.items():
            if "lora_B" in n:
                p.copy_(0.1 * torch.randn(p.shape))
    model.save_pretrained(os.path.join(folder, "adapter"))
    os.remove(os.path.join(folder, "adapter", "README.md"))
    plain = merged_model(model, config, order)
    plain.save_pretrained(os.path.join(folder, "merged"))
    model.train()
    result = model(input_ids=ids, attention_mask=mask, labels=labels)
    with torch.no_grad():
        distance = (plain(input_ids=ids, attention_mask=mask).logits - result.logits)[mask == 1].abs().max()
        assert distance < 1e-4 * result.logits.abs().max(), distance
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
    save_file({k: v.contiguous() for k, v in tensors.items()}, os.path.join(folder, "expected.safetensors"))
    training = dict(lr=LR, weight_decay=DECAY, max_grad_norm=1.0, steps=steps)
    with open(os.path.join(folder, "expected.json"), "w") as f:
        json.dump(dict(loss=float(result.loss), effective_layers=len(order), training=training), f, indent=1)
    print(f"{name}: loss {float(result.loss):.6f}, {len(order)} layers")


if __name__ == "__main__":
    torch.set_num_threads(1)
    out = sys.argv[1]
    case(out, "tied", TIED, 1)
    case(out, "biased", BIASED, 2)
    case(out, "expanded", SMALL, 3, layer_map=[[0, 3], [1, 4]])
