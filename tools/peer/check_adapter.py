#!/usr/bin/env python3
"""Compute logits of a base with a PEFT adapter, as transformers and PEFT read them (float32, CPU).

usage: check_adapter.py BASE ADAPTER IDS.json OUT.json
IDS.json holds a list of token ids; OUT.json gets the logits, [tokens][vocabulary].
"""
import json, sys
import torch
from transformers import AutoModelForCausalLM
from peft import PeftModel

base, adapter, ids, out = sys.argv[1:]
model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32, attn_implementation="eager")
model = PeftModel.from_pretrained(model, adapter).eval()
with open(ids) as f:
    tokens = torch.tensor([json.load(f)])
with torch.no_grad():
    logits = model(input_ids=tokens).logits[0]
with open(out, "w") as f:
    json.dump(logits.tolist(), f)
print(len(model.base_model.model.model.layers), "layers")
