"""What transformers makes of conversations: ids and the mask of what the assistant writes.

usage: python make_masks.py KINDS.json.gz OUT COUNT [TOKENIZERS]     (fixtures/tokenizers/kinds/kinds.json.gz; a folder)

OUT gets cases.json (conversations and templates), a folder with the files of each tokenizer, and for each tokenizer a file of
JSON lines (gzip), one for each conversation and template: ids, and the mask as the ranges [from, to) of tokens.

A mask is what `apply_chat_template(..., return_assistant_tokens_mask=True)` means: each token that has a character of a
{% generation %} block. transformers 5.18 finds tokens by `char_to_token`, which goes wrong at some places:
- a character that no token has (a space that `trim_offsets` takes off a token): None. At the beginning of a block this and
  all later blocks stay unmarked; at its end everything to the end of the text is marked;
- of a last character that is several tokens (bytes), the first alone is marked;
- unknown characters beside each other are one piece for a Unigram model, and each token of their bytes has the place of all.
So the mask here comes from the offsets of the same tokenizer without `trim_offsets`. Where transformers' own mask is another
one, the script ends with an error unless one of these is the reason; the counts are printed.
"""

import gzip
import json
import random
import re
import shutil
import sys
from pathlib import Path

import transformers
from transformers import AutoTokenizer
from transformers.utils.chat_template_utils import render_jinja_template

KINDS, OUT, COUNT = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
WANTED = sys.argv[4].split(",") if len(sys.argv) > 4 else [
    "gpt2", "llama3", "qwen2", "deepseek3", "llama2", "metaspace-first", "gemma", "unigram-bytes", "bert-uncased"]
NAMED = {"bert-uncased": {"bos_token": "[CLS]", "eos_token": "[SEP]", "unk_token": "[UNK]"}}

SHOW = "{{ m.content if m.content is not none else '' }}"
CALLS = "{% for c in m.tool_calls or [] %}{{ '<call>' + c.function.name + ' ' + (c.function.arguments | tojson) + '</call>' }}{% endfor %}"
TOOLS = "{% if tools %}{{ '<|tools|>\n' + (tools | tojson) + '\n' }}{% endif %}"
# `rewrites`: earlier turns are written differently once more messages follow.
TEMPLATES = {
    "header": {"source": "{{ bos_token }}" + TOOLS + "{% for m in messages %}{% if m.role == 'assistant' %}{{ '<|assistant|>\n' }}{% generation %}" + SHOW + CALLS + "{{ eos_token }}{% endgeneration %}{{ '\n' }}{% else %}{{ '<|' + m.role + '|>\n' }}" + SHOW + "{{ eos_token + '\n' }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}"},
    "brackets": {"source": "{{ bos_token }}" + TOOLS + "{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}{{ ' ' }}" + SHOW + CALLS + "{{ eos_token }}{% endgeneration %}{% else %}{{ '[' + m.role + '] ' }}" + SHOW + "{{ ' [/' + m.role + ']' }}{% endif %}{% endfor %}"},
    "space": {"source": TOOLS + "{% for m in messages %}{% if m.role == 'assistant' %}{{ 'Assistant: ' }}{% generation %}" + SHOW + CALLS + "{{ eos_token }}{% endgeneration %}{{ '\n' }}{% else %}{{ m.role | capitalize }}: " + SHOW + "{{ '\n' }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ 'Assistant: ' }}{% endif %}"},
    "trimmed": {"source": "{{ bos_token }}" + TOOLS + "{% for m in messages %}{{ '<|' + m.role + '|>' }}{% if m.role == 'assistant' %}{% generation %}{{ (m.content or '') | trim }}" + CALLS + "{{ eos_token }}{% endgeneration %}{% else %}{{ (m.content or '') | trim }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"},
    "last-end": {"rewrites": True, "source": "{{ bos_token }}" + TOOLS + "{% for m in messages %}{% if m.role == 'assistant' %}{{ '<|assistant|>\n' }}{% generation %}" + SHOW + CALLS + "{% if loop.last %}{{ eos_token }}{% else %}{{ '\n' }}{% endif %}{% endgeneration %}{% else %}{{ '<|' + m.role + '|>\n' }}" + SHOW + "{{ '\n' }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}"},
    "reasoning": {"rewrites": True, "source": "{{ bos_token }}" + TOOLS + "{% set ns = namespace(last=-1) %}{% for m in messages %}{% if m.role == 'user' %}{% set ns.last = loop.index0 %}{% endif %}{% endfor %}{% for m in messages %}{% set said = m.content or '' %}{% if m.role == 'assistant' %}{% if '</think>' in said and loop.index0 < ns.last %}{% set said = said.split('</think>')[-1] %}{% endif %}{{ '<|assistant|>\n' }}{% generation %}{{ said }}" + CALLS + "{{ eos_token }}{% endgeneration %}{{ '\n' }}{% else %}{{ '<|' + m.role + '|>\n' + said + eos_token + '\n' }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}"},
}

WORDS = "the a of water house 12 3.5 2,000 don't Grüße Ärger naïve 東京 日本語 한국 Привет 😀 👩‍👩‍👧 e\u0301 x=1 </s> <s> <tool> cell [INST] ## -- ... ; {\"a\": [1]} I'll \u00a0 \u2009 \ufb01n A B".split(" ")
TOOL = {"type": "function", "function": {"name": "weather", "description": "Weather in a \"city\" é", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}


def text(pick):
    parts = []
    for _ in range(pick.randrange(9)):
        parts.append(pick.choice(WORDS))
        parts.append(pick.choice([" "] * 12 + ["", "", "  ", "\n", "\n\n", "\t", " \n"]))
    return pick.choice([""] * 8 + [" ", "\n", "  "]) + "".join(parts[: -1 if pick.random() < 0.8 else None])


def conversation(pick):
    messages = []
    tools = pick.random() < 0.25
    if pick.random() < 0.4:
        messages.append({"role": "system", "content": text(pick)})
    if pick.random() < 0.1:
        messages.append({"role": "assistant", "content": text(pick)})
    for _ in range(pick.randrange(1, 5)):
        messages.append({"role": "user", "content": text(pick)})
        if tools and pick.random() < 0.5:
            calls = [{"type": "function", "function": {"name": "weather", "arguments": {"city": pick.choice(WORDS), "days": pick.randrange(9)}}} for _ in range(pick.randrange(1, 3))]
            messages.append({"role": "assistant", "content": pick.choice([None, "", text(pick)]), "tool_calls": calls})
            messages.extend({"role": "tool", "content": text(pick)} for _ in calls)
        thought = f"<think>\n{text(pick)}\n</think>\n" if pick.random() < 0.25 else ""
        messages.append({"role": "assistant", "content": thought + text(pick)})
    if pick.random() < 0.15:
        messages.append({"role": "user", "content": text(pick)})
    return {"messages": messages, **({"tools": [TOOL]} if tools else {})}


def folder_of(name, kind, charsmaps, out, trim):
    tokenizer = json.loads(json.dumps(kind["tokenizer"]))
    for step in (tokenizer.get("normalizer") or {}).get("normalizers", []):
        if isinstance(step.get("precompiled_charsmap"), int):
            step["precompiled_charsmap"] = charsmaps[step["precompiled_charsmap"]]

    def untrimmed(part):
        if isinstance(part, dict):
            for key, value in part.items():
                if key == "trim_offsets":
                    part[key] = False
                untrimmed(value)
        elif isinstance(part, list):
            for each in part:
                untrimmed(each)

    if not trim:
        for key in ("pre_tokenizer", "post_processor"):
            untrimmed(tokenizer.get(key))
    out.mkdir(parents=True, exist_ok=True)
    (out / "tokenizer.json").write_text(json.dumps(tokenizer))
    named = NAMED.get(name, {"bos_token": "<s>", "eos_token": "</s>"})
    (out / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", **named}))


def ranges(flags):
    found = []
    for index, flag in enumerate(flags):
        if flag and found and found[-1][1] == index:
            found[-1][1] += 1
        elif flag:
            found.append([index, index + 1])
    return found


faults = {"a block begins at a character that no token has": 0, "a block ends at a character that no token has": 0, "a block ends with a character of several tokens": 0, "bytes of several characters have one place": 0}


def places(encoding, text):
    """Offsets, those of bytes by the character that they are of."""
    found = list(encoding.offsets)
    index = 0
    while index < len(found):
        end = index
        while end < len(found) and found[end] == found[index] and re.fullmatch("<0x..>", encoding.tokens[end]):
            end += 1
        start, stop = found[index]
        characters = [start + at for at, each in enumerate(text[start:stop]) for _ in each.encode()]
        if end - index == len(characters) > 1:
            found[index:end] = [(at, at + 1) for at in characters]
        index = max(end, index + 1)
    return found


def mask_of(encoding, text, blocks, own):
    """The mask, from offsets; `own` is transformers', whose faults must explain any difference."""
    flags = [0] * len(encoding.ids)
    offsets = places(encoding, text)
    for start, end in blocks:
        for index, (a, b) in enumerate(offsets):
            if a < end and b > start:
                flags[index] = 1
    if own is not None and own["assistant_masks"] != flags:
        reason = None
        for start, end in blocks:
            if own.char_to_token(0, start) is None:
                reason = "a block begins at a character that no token has"
            elif own.char_to_token(0, end - 1) in (None, 0):
                reason = "a block ends at a character that no token has"
            elif sum(a < end and b > end - 1 for a, b in encoding.offsets) > 1:
                reason = "a block ends with a character of several tokens"
            elif offsets != encoding.offsets:
                reason = "bytes of several characters have one place"
            if reason:
                break
        if reason is None:
            raise SystemExit(f"unexplained: {own['assistant_masks']} is not {flags} for {blocks} of {encoding.tokens}")
        faults[reason] += 1
    return ranges(flags)


def main():
    data = json.loads(gzip.decompress(KINDS.read_bytes()))
    pick = random.Random(11)
    conversations = [conversation(pick) for _ in range(COUNT)]
    OUT.mkdir(parents=True, exist_ok=True)
    templates = {name: {"rewrites": False, **each} for name, each in TEMPLATES.items()}
    (OUT / "cases.json").write_text(json.dumps({"transformers": transformers.__version__, "tokenizers": WANTED, "templates": templates, "conversations": conversations}, ensure_ascii=False))
    for name in WANTED:
        kind = data["kinds"][name]
        folder_of(name, kind, data["charsmaps"], OUT / name, True)
        folder_of(name, kind, data["charsmaps"], OUT / "untrimmed" / name, False)
        tokenizer = AutoTokenizer.from_pretrained(OUT / name)
        offsets = AutoTokenizer.from_pretrained(OUT / "untrimmed" / name)
        with gzip.GzipFile(OUT / f"{name}.jsonl.gz", "w", mtime=0) as lines:
            for template in templates.values():
                for each in conversations:
                    row = outcome(tokenizer, offsets, template, each)
                    lines.write((json.dumps(row, separators=(",", ":")) + "\n").encode())
    shutil.rmtree(OUT / "untrimmed")
    for reason, count in faults.items():
        print(f"transformers' own mask differs {count} times: {reason}")


def outcome(tokenizer, offsets, template, each):
    """[ids, mask] of the conversation; where earlier turns are rewritten, also of its beginnings that end with an assistant."""
    messages, tools = each["messages"], each.get("tools")

    def rendered(part):
        options = {"tools": tools, "chat_template": template["source"]}
        texts, blocks = render_jinja_template([part], tools=tools, chat_template=template["source"], return_assistant_tokens_mask=True, **tokenizer.special_tokens_map)
        own = tokenizer.apply_chat_template([part], return_dict=True, return_assistant_tokens_mask=True, **options)
        return texts[0], blocks[0], own

    def encoded(text, blocks, own, ids):
        encoding = offsets(text, add_special_tokens=False).encodings[0]
        assert encoding.ids == ids, (encoding.ids, ids)
        return [ids, mask_of(encoding, text, blocks, own)]

    def first(own):
        own["assistant_masks"] = own["assistant_masks"][0]
        return own

    text, blocks, own = rendered(messages)
    whole = encoded(text, blocks, first(own), own["input_ids"][0])
    if not template["rewrites"]:
        return [whole]
    # Each text takes the place of one that it only continues.
    texts = []
    turns = 0
    for end, message in enumerate(messages, 1):
        if message["role"] != "assistant":
            continue
        turns += 1
        text, blocks, own = rendered(messages[:end])
        since = texts.pop()[3] if texts and text.startswith(texts[-1][0]) else turns - 1
        texts.append((text, blocks, own, since))
    last = rendered(messages)
    if last[0].startswith(texts[-1][0]):
        texts.append((*last, texts.pop()[3]))
    return [whole, *(encoded(text, blocks[since:], None, own["input_ids"][0]) for text, blocks, own, since in texts)]


main()
