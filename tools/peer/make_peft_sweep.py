#!/usr/bin/env python3
"""Write fixtures/peft/sweep.json: what PEFT computes when one field of LoraConfig after another is changed.

A case is an adapter_config.json (its differences from `defaults`), the tensors beside it (an index into `files`, where each
name has its shape), and the last token's logits as PEFT computes them, or the error it raises. Weights of base and adapter
follow from their names by `values`, which test/adapters/peft-sweep.test.ts repeats, so that the fixture holds none.

usage: make_peft_sweep.py OUT_FILE
"""
import dataclasses, json, os, shutil, sys, tempfile, warnings
import numpy as np
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaForCausalLM

warnings.filterwarnings("ignore")
BASE = dict(hidden_size=8, intermediate_size=12, num_hidden_layers=4, num_attention_heads=2, num_key_value_heads=1,
            head_dim=4, vocab_size=20, max_position_embeddings=32, attention_bias=True, mlp_bias=True)
IDS = [3, 17, 5, 5, 11, 2, 19, 8, 0, 13]
PLAIN = dict(r=2, lora_alpha=3, target_modules=["q_proj", "v_proj", "down_proj"], task_type="CAUSAL_LM")


def values(name, shape):
    """Uniform values that follow from the name: around 1 for norms and magnitudes, around 0 for the others."""
    h = 0x811C9DC5
    for byte in name.encode():
        h = ((h ^ byte) * 0x01000193) & 0xFFFFFFFF
    x = (h + np.arange(int(np.prod(shape)), dtype=np.uint64) * np.uint64(2654435761)) & np.uint64(0xFFFFFFFF)
    for shift, factor in ((15, 2246822519), (13, 3266489917)):
        x = ((x ^ (x >> np.uint64(shift))) * np.uint64(factor)) & np.uint64(0xFFFFFFFF)
    x = x ^ (x >> np.uint64(16))
    centre = 1.0 if "norm" in name or "magnitude" in name else 0.0
    return torch.tensor((centre + (x.astype(np.float64) / 2**32 - 0.5) * 0.8).astype(np.float32)).reshape(shape)


def base(tied):
    model = LlamaForCausalLM(LlamaConfig(**BASE, tie_word_embeddings=tied, attn_implementation="eager"))
    with torch.no_grad():
        for name, p in model.named_parameters():
            p.copy_(values(name, p.shape))
    return model.eval()


# field, its value, what else is set to build the adapter, whether the base is tied. `edit`: the value is put into
# adapter_config.json alone, where PEFT would not build an adapter with it or would write another value.
CASES = [(f, v, {}, False, True) for f, v in [
    ("task_type", None), ("task_type", "SEQ_CLS"), ("task_type", "FEATURE_EXTRACTION"), ("peft_type", "ADALORA"),
    ("auto_mapping", {"base_model_class": "LlamaForCausalLM"}), ("peft_version", "0.9.0"),
    ("base_model_name_or_path", "elsewhere"), ("revision", "main"), ("inference_mode", False), ("lora_dropout", 0.3),
    ("fan_in_fan_out", True), ("megatron_config", {"hidden_size": 8}), ("megatron_config", {}),
    ("megatron_core", "elsewhere"), ("loftq_config", {"loftq_bits": 4}), ("eva_config", {"rho": 1.5}),
    ("corda_config", {}), ("lora_ga_config", {}), ("velora_config", {}), ("velora_config", {"num_groups": 4}),
    ("alora_invocation_tokens", [5, 11]), ("alora_invocation_tokens", []), ("use_qalora", True),
    ("qalora_group_size", 4), ("kasa_config", {}), ("monteclora_config", {}), ("arrow_config", {"top_k": 1}),
    ("use_bdlora", {"target_modules_bd_a": ["q_proj"], "match_strict": False}),
    ("runtime_config", {"ephemeral_gpu_offload": True}), ("lora_bias", True), ("target_parameters", []),
    ("target_parameters", ["mlp.gate_proj.weight"]), ("trainable_token_indices", []), ("layer_replication", []),
    ("target_modules", []), ("target_modules", ["q_proj", "v_proj", "down_proj", "c_attn", "query_key_value"]),
    ("exclude_modules", ""), ("exclude_modules", []), ("modules_to_save", []), ("layers_to_transform", []),
    ("layers_pattern", "layers"), ("layers_pattern", []), ("lora_alpha", None), ("lora_alpha", 0.75), ("r", 3),
    ("rank_pattern", {"(?i)Q_PROJ": 2}), ("rank_pattern", {"a_new_one": 5}), ("bias", "some"),
]] + [("init_lora_weights", v, {}, False, True) for v in [
    False, "gaussian", "Gaussian", "eva", "orthogonal", "mica", "lora_ga", "olora", "pissa", "pissa_niter_2", "corda",
    "loftq", "a new one",
]] + [(f, v, more, tied, False) for f, v, more, tied in [
    ("r", 2, {}, False), ("r", 4, {}, False), ("lora_alpha", 16, {}, False), ("use_rslora", True, {}, False),
    ("use_dora", True, {}, False), ("use_dora", True, dict(use_rslora=True, bias="all"), False),
    ("target_modules", ["o_proj"], {}, False), ("target_modules", ["model.layers.1.mlp.up_proj", "k_proj"], {}, False),
    ("target_modules", r".*\.[13]\.(self_attn|mlp)\.(q|up)_proj", {}, False), ("target_modules", "all-linear", {}, False),
    ("target_modules", "ALL-LINEAR", {}, False), ("target_modules", None, {}, False),
    ("target_modules", r"(?x) .* \. \d{,1} \. self_attn \. [qv]_proj \Z", {}, False),
    ("target_modules", r"(?i).*\.SELF_ATTN\.(?P<p>[qk])_proj", {}, False),
    ("target_modules", r".*layers\.(?>1|10|2)\..*_proj", {}, False), ("target_modules", ["q_proj", "lm_head"], {}, False),
    ("target_modules", ["q_proj", "embed_tokens"], {}, False), ("target_modules", r".*(q_proj|head)", {}, False),
    ("exclude_modules", ["layers.1.mlp.down_proj", "v_proj"], {}, False), ("exclude_modules", r".*\.\d\.mlp\..*", {}, False),
    ("layers_to_transform", 0, {}, False), ("layers_to_transform", [1, 3], {}, False),
    ("layers_to_transform", [2], dict(target_modules=["model.layers.1.self_attn.q_proj", "v_proj"]), False),
    ("layers_pattern", "layers", dict(layers_to_transform=[1, 2]), False),
    ("layers_pattern", ["h", "l.*s"], dict(layers_to_transform=[1, 2]), False),
    ("layers_pattern", "blocks", dict(layers_to_transform=[1, 2]), False),
    ("rank_pattern", {"q_proj": 4, r"layers\.2\..*": 1}, {}, False),
    ("rank_pattern", {r"^model\.layers\.0\.self_attn\.q_proj$": 3, r"layers\.\d{,1}\.mlp\.\w+": 1}, {}, False),
    ("rank_pattern", {r"(?:layers\.)(?P<n>[13])\..*": 3, "down_proj|v_proj": 4, r"\Amodel\.layers\.0\..*q_proj": 5}, {}, False),
    ("alpha_pattern", {"v_proj": 9, r"layers\.1\.self_attn\.q_proj": 0.5}, {}, False),
    ("alpha_pattern", {r"(?s:.)*(?<!1)\.self_attn\..*": 7}, dict(use_rslora=True, rank_pattern={"q_proj": 4}), False),
    ("bias", "all", {}, False), ("bias", "lora_only", dict(target_modules=["q_proj"]), False),
    ("bias", "lora_only", dict(layer_replication=[[0, 3], [1, 4]], layers_to_transform=[3, 4]), False),
    ("bias", "all", dict(layer_replication=[[0, 3], [1, 4]], layers_to_transform=[0, 3]), False),
    ("modules_to_save", ["lm_head", "input_layernorm"], {}, False), ("modules_to_save", ["classifier"], {}, False),
    ("modules_to_save", ["v_proj"], dict(layer_replication=[[0, 3], [1, 4]]), False),
    ("ensure_weight_tying", True, dict(modules_to_save=["embed_tokens"]), True),
    ("ensure_weight_tying", False, dict(modules_to_save=["embed_tokens"]), True),
    ("layer_replication", [[0, 3], [1, 4]], {}, False), ("layer_replication", [[0, 3], [1, 4]], dict(use_dora=True), False),
    ("trainable_token_indices", [1, 3], {}, False), ("lora_bias", True, dict(target_modules=["q_proj"]), False),
]]

# Files of other forms: what changes the names of the tensors, or what PEFT saves beside them.
FORMS = [
    ("names of a raw state dict", {}, False, lambda n: raw(n), {}),
    ("names of a raw state dict", dict(use_dora=True), False, lambda n: raw(n), {}),
    ("save_embedding_layers", {}, False, None, dict(save_embedding_layers=True)),
    ("save_embedding_layers", {}, True, None, dict(save_embedding_layers=True)),
    ("save_embedding_layers", dict(modules_to_save=["lm_head"]), False, None, dict(save_embedding_layers=True)),
    ("names without a prefix", {}, False, lambda n: n.replace("base_model.model.", ""), {}),
    ("names of a compiled model", {}, False, lambda n: n.replace("model.model.model.", "model.model.model._orig_mod."), {}),
    ("names of AutoModel", {}, False, lambda n: n.replace("model.model.model.", "model.model."), {}),
    ("names of another adapter", {}, False, lambda n: n.replace("_A.w", "_A.mine.w").replace("_B.w", "_B.mine.w"), {}),
    ("a layer is missing", {}, False, lambda n: None if ".2." in n else n, {}),
    ("lora_B is missing", {}, False, lambda n: None if "lora_B" in n else n, {}),
]


def raw(name):
    return name + ".default.weight" if name.endswith("_vector") else name.replace(".weight", ".default.weight")


def differences(config, defaults):
    return {k: v for k, v in config.items() if k not in defaults or defaults[k] != v}


def case(field, value, more, tied, edit, defaults, files, rename=None, saving={}):
    folder = tempfile.mkdtemp()
    row = dict(field=field, value=value, tied=tied)
    try:
        model = get_peft_model(base(tied), LoraConfig(**dict(PLAIN, **more, **({} if edit else {field: value}))))
        model.save_pretrained(folder, **saving)
    except Exception:
        # PEFT makes no such adapter: the plain one's file with the field.
        get_peft_model(base(tied), LoraConfig(**PLAIN)).save_pretrained(folder)
        edit = True
    file, tensors = os.path.join(folder, "adapter_config.json"), os.path.join(folder, "adapter_model.safetensors")
    with open(file) as f:
        config = json.load(f)
    if edit and field != "(file)":
        config.update({**more, field: value})
    if isinstance(config["target_modules"], list):
        config["target_modules"].sort()
    config["base_model_name_or_path"] = config["base_model_name_or_path"] or None
    with open(file, "w") as f:
        json.dump(config, f)
    shapes = {name: list(t.shape) for name, t in sorted(load_file(tensors).items())}
    if rename is not None:
        shapes = {rename(name): shape for name, shape in shapes.items() if rename(name) is not None}
    save_file({name: values(source(name, config, tied), shape) for name, shape in shapes.items()}, tensors)
    if shapes not in files:
        files.append(shapes)
    row.update(config=differences(config, defaults), file=files.index(shapes))
    try:
        loaded = PeftModel.from_pretrained(base(tied), folder).eval()
        with torch.no_grad():
            row["logits"] = [round(x, 6) for x in loaded(torch.tensor([IDS])).logits[0, -1].tolist()]
    except BaseException as error:
        row["error"] = f"{type(error).__name__}: {error}"[:160].split("\n")[0]
    shutil.rmtree(folder)
    return row


def source(name, config, tied):
    """The name that a tensor's values follow from: one name for what is one parameter, as shared biases or a tied pair."""
    plain = name.replace("base_model.model.", "adapter.").replace(".base_layer", "")
    if tied and plain == "adapter.lm_head.weight":
        return "adapter.model.embed_tokens.weight"
    if not plain.endswith("_proj.bias") or "lora_" in plain or not config["layer_replication"]:
        return plain
    layers = [i for start, end in config["layer_replication"] for i in range(start, end)]
    parts = plain.split(".")
    at = parts.index("layers") + 1
    parts[at] = "physical" + str(layers[int(parts[at])])
    return ".".join(parts)


if __name__ == "__main__":
    torch.set_num_threads(1)
    folder = tempfile.mkdtemp()
    get_peft_model(base(False), LoraConfig(**PLAIN)).save_pretrained(folder)
    with open(os.path.join(folder, "adapter_config.json")) as f:
        defaults = json.load(f)
    defaults["target_modules"].sort()
    defaults["base_model_name_or_path"] = None
    files = []
    rows = [case(*each, defaults, files) for each in CASES]
    rows += [case("(file)", form, more, tied, True, defaults, files, *how) for form, more, tied, *how in FORMS]
    fields = [f.name for f in dataclasses.fields(LoraConfig)]
    missing = [f for f in fields if f not in [r["field"] for r in rows]]
    assert not missing, missing
    weights = {name: list(p.shape) for name, p in base(False).named_parameters()}
    head = dict(base=BASE, weights=weights, ids=IDS, fields=fields, defaults=defaults)
    lines = lambda each: ",\n".join(json.dumps(one) for one in each)
    with open(sys.argv[1], "w") as f:
        f.write(json.dumps(head)[:-1] + f',\n"files": [\n{lines(files)}\n],\n"cases": [\n{lines(rows)}\n]}}\n')
    for r in rows:
        print(r["field"], json.dumps(r["value"])[:60], r.get("error") or r["logits"][:2])
