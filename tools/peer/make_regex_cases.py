#!/usr/bin/env python3
"""Write fixtures/peft/regex.json: what Python's `re` says of patterns as PEFT uses them.

Each pattern is asked of every subject as re.fullmatch(pattern, subject), PEFT's way with target_modules, and as
re.match(rf"(.*\\.)?({pattern})$", subject), its way with keys of rank_pattern and alpha_pattern. A row is
[pattern, full, key]: a string of 0 and 1 for the subjects, or null where Python refuses the pattern.

usage: make_regex_cases.py OUT_FILE
"""
import json, re, sys, warnings

warnings.simplefilter("ignore")
SUBJECTS = [
    "model.layers.0.self_attn.q_proj", "model.layers.1.self_attn.q_proj", "model.layers.10.self_attn.q_proj",
    "model.layers.11.self_attn.v_proj", "model.layers.2.mlp.down_proj", "model.layers.2.mlp.up_proj", "lm_head",
    "q_proj", "Q_PROJ", "xq_proj", "q_proj\n", "a\nq_proj", "", "a", "aa", "aaa", "ab", "abab", "aab", "b", "ba", "A",
    "a{,1}", "a{", "a{}", "x{2", "[", "]", "a]", "^", "-", "a-z", "\\", "\\d", "h", "Z", "a b", "a  b", "a#b", "é", "É",
    "\u0663", "3", "\u00a0", " ", "\x1c", "\ufeff", "\u2028", "K", "k", "\u212a", "ſ", "s", "S", "ı", "i", "I", "İ", "_", "\x07",
    "\x08", "S7", "\x01", "\x53", "aXb", "a.b", ".", "{", "}", "a\n", "\n", "\n\n", "😀", "a😀b", "ß", "ss", "²", "Ⅷ", "中",
]
PATTERNS = r"""
q_proj|.*q_proj|.*\.q_proj|(?:.*\.)?q_proj|model\.layers\.\d\.self_attn\.q_proj|model\.layers\.\d+\.self_attn\.q_proj|model\.layers\.\d{,1}\.self_attn\.q_proj
model\.layers\.\d{1,}\..*|model\.layers\.(0|1)\..*|model\.layers\.[01]\.\S+|layers\.1\.self_attn\.q_proj|self_attn\.[qv]_proj|.*(q|v)_proj|.*(?:down|up)_proj
^model\.layers\.1\..*$|^q_proj$|q_proj$|q_proj\Z|\Aq_proj|\Aq_proj\Z|\A\Z|^$|$|^|.*\Z|.*$|a$|a\Z|(?m)a$|(?m:a$)|(?m)^q_proj$|(?m)^a$.*|(?s).*|.*|(?s:.*)q_proj|(?s)a.q_proj
(?i)q_proj|(?i)Q_PROJ|(?i:q)_proj|(?i:Q_P)roj|x(?i)q_proj|(?i)(?x) q _ proj|(?ix) q_proj|(?x)q_proj # a comment|(?x) a \  b|(?x)a\#b|(?x)a[ ]b|(?x)a [#] b|(?x:a b)|(?-i:a)|(?i-i:a)|(?i)(?-i:a)b|(?i)(?-i:A)|(?i:a(?-i:b))
(?a)\d|(?a:\d)|\d|\D|[\d]|[^\d]|\w|\W|[\w]|[^\w]|(?a)\w|(?a)\W|(?a:\w)é|\s|\S|(?a)\s|(?a)\S|[\s]|[^\s]|[\W\d]|[^\W\d]|(?u)\w|(?a)(?i)k|(?i)k|(?i)s|(?i)i|(?i)[h-k]|(?i)[^k]|(?ai)[^k]|(?i)[A-z]|(?i)é|(?i)[é]|(?L)a|(?L:a)
(?P<n>a)(?P=n)|(?P<n>a)\1|(a)\1|(a|b)\1|(ab)\1|(a)(b)?\2|(a)|(b)|(?P<n>a)(?P<n>b)|(?P=n)|\1|(a\1)|(?P<1>a)|(?P<a-b>a)|(?P>n)|(?P<é>a)|(a)\2|(?:(a)|b)\1|(?:(a))+\1|(a)+\1|(a)?\1|(a){1}\1|(?=(a))\1|(?=(a)b)\1b|(?!(a))\1|(?<=(a))\1
(a)?(?(1)b|c)|(?P<n>a)?(?(n)b)|(?(1)a)|(?(2)a|b)
a*+|a*+a|a++|a++b|a?+a|a?+b|(?>a|ab)|(?>a|ab)b|(?>a*)a|(?>a*)b|(?>(a)b?)\1|a{1,2}+a|a{2}+|(?:ab)*+|(?>ab|a)b?|(?:(?>a)|b)+|a{,2}+b|(?:a|)*+|(?<=(?>a))b
a{,1}|a{,2}|a{1,}|a{,}|a{2}|a{1,2}|a{}|a{|a\{|a{x}|a{ 1}|a{1 }|x{2|a{2,1}|a{1}{2}|a**|a*?|a+?|a??|a?*|a{,1}?|a{1,2}?b|{|}|{1}|{,1}|*a|+a|?a|(*a)|(?:*a)|(a|*)|^*|$*|\b*|(?:^)*a|(?=a)*a|(?=a)+a|(?:)*|()*a|(a*)*|(a*)+b|(?:a|)+|(|a)+|(?:a?)*b
[[]|[]]|[]a]|[^]]|[^]a]|[]|[^]|[a-z]|[a\-z]|[a-]|[-a]|[--a]|[a-z-9]|[z-a]|[\d-z]|[a-\d]|[a|[a^]|[\]]|[\\]|[\[]|[.]|[$]|[{]|[[:alpha:]]|[a[b]|[a&&b]|[a--b]|[a||b]|[\b]|[\a]|[\A]|[\Z]|[\B]|[\h]|[\8]|[\1]|[\01]|[\053]|[\377]|[\400]|[\x41]|[\x4]|[\u0041]|[\U0001F600]|[\N{DIGIT THREE}]|[\-]|[ -~]
\.|\\|\[|\]|\{|\}|\(|\)|\-|\_|\#|\ |\/|\"|\'|\é|\h|\H|\R|\X|\K|\G|\Q|\E|\z|\e|\c|\p{L}|\k<n>|\g<1>|\o{1}|\y|\i|\m|\8|\9
\a|\x07|\x4|\x|\u0061|\u61|\U00000061|\U00110000|\N{LATIN SMALL LETTER A}|\N{nothing}|\0|\01|\001|\07|\123|\1234|\18|\400|\777|\07a|(a)\12|\b|\B|\ba\b|a\b|\bq_proj|.*\bq_proj|\B_proj|.*\Bq_proj|(?a)\bé|\bé\b|\n|a\nq_proj|\t|\v|\f|\r
(?=q)q_proj|(?!q).*|.*(?<=q)_proj|.*(?<!x)q_proj|(?<=a)b|.(?<=a)|(?<=a*)b|(?<=a|bc)b|(?<=a|b)a|.(?<!a|b)|(?<=ab)|.*(?<=\.1)\..*|(?<=(a))b|(?<=^)a|(?<=a{2})|.*(?<=a{2})|.*(?<=a{1,2})|(?<=\b)a|.*(?<=(?=b)b)
(?#comment)a|a(?#b)b|(?#x)(?i)A|(?#|(?|(?:|(?:a|(a|a)|)|((a)|(?<n>a)|(?'n'a)|(?&n)|(?R)|(?1)|(?~a)|(?^a)|(?i|(?i-)|(?i-:a)|(?-:a)|(?ii:a)|(?i-s:A)|(?s-i:a)|(?z)|(?au)a|(?P|(?<|(?=|(?!|\
|a||b|(a|)|(|)|(?:|a)b|ab?|a.b|a\.b|a😀b|a.b.|😀|[😀]|[^😀]|.|..|[^a]|[^\n]|()|a()b|(((a)))|((a)(b))\1|(a(b))\2
(?:.*?(?:language|text).*?(?:self_attn|attn|mlp).*?(?:q_proj|k_proj).*?)|(?:\bmodel\.layers\.[\d]{1,}\.(?:self_attn|mlp)\.(?:(?:q_proj|v_proj)))
(?!.*layers\.1\.).*q_proj|.*\.(?!1\.)\d+\..*|.*layers\.(?:[02468]|1[0-9])\..*|model\.layers\.(?P<idx>\d+)\.mlp\.(?P<p>up|down)_proj|.*\d(?<!10)\.self_attn\..*
""".strip("\n").split("\n")


def pieces(line):
    """The patterns of a line, separated by bars; the last two lines hold patterns with bars of their own."""
    if line.startswith("(?:.*?"):
        return [line]
    return re.split(r"(?<=[*j])\|(?=\.\*|model)", line) if line.startswith("(?!.*layers") else line.split("|")


def extra():
    # Those with a bar of their own.
    return [r"q_proj|v_proj", r".*(q|v)_proj", r"(a|b)\1", r"(?:(a)|b)\1", r"(?>a|ab)", r"(?>a|ab)b", r"(a)?(?(1)b|c)",
            r"(?:a|)+", r"(|a)+", r"(?:a|)*+", r"(?<=a|bc)b", r"(?<=a|b)a", r".(?<!a|b)", r"a|b", r"a||b", r"(a|)", r"(|)",
            r"(?:|a)b", r"[a||b]", r"(?:(?>a)|b)+", r"(?i:a|B)", r"(?i)a|B", r"(?x) a | b # c", r"a|(?i)B", r"^a|b$",
            r"model\.layers\.(0|1)\..*", r"model\.layers\.(?:0|1)\..*", r"(.*q_proj|lm_head)", r"(a|b)*\1", r"(?:a|b(c))\1",
            r"(?>ab|a)b?", r"(a|ab)(c|bcd)?", r"\w+|\W", r"|", r"a|*", r"(?=a|b).", r"(?!a|b).*", r"(?P<n>a|b)(?P=n)"]


def bits(test):
    try:
        return "".join("1" if test(s) else "0" for s in SUBJECTS)
    except (re.error, OverflowError, ValueError, RecursionError):
        return None


if __name__ == "__main__":
    patterns = list(dict.fromkeys([p for line in PATTERNS for p in pieces(line)] + extra()))
    rows = [[p, bits(lambda s: re.fullmatch(p, s)), bits(lambda s: re.match(rf"(.*\.)?({p})$", s))] for p in patterns]
    with open(sys.argv[1], "w") as f:
        f.write('{"subjects": %s,\n"rows": [\n%s\n]}\n' % (json.dumps(SUBJECTS), ",\n".join(json.dumps(r) for r in rows)))
    print(len(rows), "patterns,", len(SUBJECTS), "subjects,", sum(r[1] is None for r in rows), "refused by Python")
