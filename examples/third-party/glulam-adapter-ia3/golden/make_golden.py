#!/usr/bin/env python3
"""Write the golden cases beside this script: what transformers 5.18 and PEFT 0.21 on torch 2.13 (CPU) compute with IA3 for
small models with random weights.

A case's folder holds base/, adapter/ (PEFT's), expected.safetensors (inputs, logits, every gradient, and the linear
layers as PEFT merges them) and expected.json (loss, training steps, the layers' order).

usage: make_golden.py OUT_DIR
"""
import copy, json, os, shutil, sys
import torch
from peft import IA3Config, get_peft_model
from peft.tuners.tuners_utils import replicate_layers
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM

SMALL = dict(hidden_size=24, intermediate_size=40, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2,
             head_dim=6, vocab_size=64, max_position_embeddings=64)
MISTRAL = (MistralForCausalLM, MistralConfig, dict(SMALL, sliding_window=8))
# IA3 scales what a layer gives, its bias too.
BIASED = (LlamaForCausalLM, LlamaConfig, dict(SMALL, attention_bias=True, mlp_bias=True, tie_word_embeddings=True))
STEPS, LR, DECAY = 5, 2e-2, 0.01


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


def case(out, name, kind, seed, ia3, layer_map=None):
    folder = os.path.join(out, name)
    shutil.rmtree(folder, ignore_errors=True)
    cls, config, fields = kind
    torch.manual_seed(seed)
    model = cls(config(**fields, attn_implementation="eager"))
    with torch.no_grad():
        for key, p in model.named_parameters():
            p.copy_(1 + 0.1 * torch.randn(p.shape) if "norm" in key else 0.15 * torch.randn(p.shape))
    model.save_pretrained(os.path.join(folder, "base"))
    write_tokenizer(os.path.join(folder, "base"))
    ids = torch.randint(3, fields["vocab_size"], (2, 20))
    mask, labels = torch.ones_like(ids), ids.clone()
    labels[1, :6] = -100
    ids[1, -4:], mask[1, -4:], labels[1, -4:] = 0, 0, -100
    order = [i for start, end in (layer_map or [[0, fields["num_hidden_layers"]]]) for i in range(start, end)]
    if layer_map is not None:  # PEFT itself offers this to LoRA alone
        replicate_layers(model, layer_map)
    model = get_peft_model(model, IA3Config(task_type="CAUSAL_LM", **ia3))
    params = {short(n): p for n, p in model.named_parameters() if p.requires_grad}
    with torch.no_grad():
        for p in params.values():
            p.add_(0.3 * torch.randn(p.shape))
    model.save_pretrained(os.path.join(folder, "adapter"))
    os.remove(os.path.join(folder, "adapter", "README.md"))
    model.train()
    result = model(input_ids=ids, attention_mask=mask, labels=labels)
    tensors = dict(input_ids=ids, attention_mask=mask, labels=labels, logits=result.logits.detach().clone())
    result.loss.backward()
    tensors.update({"grad." + n: p.grad.clone() for n, p in params.items()})
    if layer_map is None:  # replicas share their weights, and PEFT would fold all their vectors into one
        merged = copy.deepcopy(model).merge_and_unload()
        tensors.update({"merged." + n: p.detach().clone() for n, p in merged.named_parameters() if "_proj" in n})
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
        json.dump(dict(loss=float(result.loss), effective_layers=len(order), order=order, training=training), f, indent=1)
    print(f"{name}: loss {float(result.loss):.6f}, {len(order)} layers")


if __name__ == "__main__":
    torch.set_num_threads(1)
    out = sys.argv[1]
    usual = dict(target_modules=["k_proj", "v_proj", "down_proj"], feedforward_modules=["down_proj"])
    case(out, "mistral", MISTRAL, 1, usual)
    everywhere = dict(target_modules="all-linear", feedforward_modules=r".*\.(o|down)_proj", exclude_modules=["gate_proj"])
    case(out, "biased", BIASED, 2, everywhere)
    case(out, "expanded", BIASED, 3, usual, layer_map=[[0, 2], [1, 3]])
