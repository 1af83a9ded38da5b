#!/usr/bin/env python3
"""Makes the golden values of this folder with llama.cpp and with a float64 reference of MiniLM.

Nothing of Encaje takes part, so that agreement means something: prompts are rendered by Jinja2, tokenized and continued
by llama.cpp's own library (called through ctypes), and sentence vectors come from a plain numpy forward pass with its own
WordPiece. README.md beside this file has the command.
"""

import argparse
import ctypes
import json
import math
import pathlib
import struct
import tempfile
import time
import unicodedata

import jinja2
import numpy

HERE = pathlib.Path(__file__).parent
PERPLEXITY_TOKENS = 2000
STEPS = 64

PROMPTS = {
    "english": [("user", "Write one sentence about the sea.")],
    "spanish": [("user", "¿Cuál es la capital de España y por qué es famosa? Responde en español, por favor.")],
    "code": [("user", "Fix this function:\n\n```python\ndef add(a, b):\n    return a - b  # 12345\n```\n")],
    "emoji": [("user", "What do these mean? 🌊🐟👩‍🔬 ❤️ 🇪🇸 … and “quotes”?")],
    "multi_turn": [
        ("system", "You are a terse assistant."),
        ("user", "My name is Ana. What is 2 + 2?"),
        ("assistant", "4"),
        ("user", "And what is my name?"),
    ],
}

TOKENIZED = [
    "Hello world",
    " Hello world",
    "Hello  world \n\n\t tab",
    "",
    " ",
    "\n",
    "   leading and trailing   ",
    "x  12  y 3",
    "I'm you're he's we'll they've I'd don't CAN'T",
    "3.14159 1000000 ½ ² Ⅷ ٣ 2024-11-21T10:00:00Z",
    "naïve café ñandú ÀÉÎ Straße",
    "日本語のテキスト 中文 한국어 ไทย العربية עברית",
    "👩‍🔬👨‍👩‍👧‍👦🇪🇸❤️",
    "for (int i = 0; i < 10; ++i) { a[i] *= 2; }",
    "<|im_start|>user\nHi<|im_end|>\n",
    "a<|endoftext|>b <|im_end|> c",
    "<|im_start| >not special<|im_end",
    "snake_case camelCase kebab-case https://example.test/path?q=1&r=2#x",
    "e\u0301 combining, \u00a0nbsp, \u3000wide, \u200bzero, \u2028line",
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    "\u0000\u0001\u007f control",
]

SENTENCES = [
    "hola",
    "hello",
    "The quick brown fox jumps over the lazy dog.",
    "¿Dónde está la biblioteca? El niño comió una manzana.",
    "日本語 and emoji 🌊, naïve café, don't-stop_now 3.14!",
    " ",
]


class Opaque(ctypes.Structure):
    """A parameter struct passed by value whose layout we only touch where `Llama` has checked it."""

    _fields_ = [("bytes", ctypes.c_uint8 * 512)]

    def int_at(self, offset):
        return struct.unpack_from("<i", bytes(self.bytes), offset)[0]

    def set_int(self, offset, value):
        self.bytes[offset : offset + 4] = (ctypes.c_uint8 * 4)(*struct.pack("<i", value))


class Batch(ctypes.Structure):
    _fields_ = [
        ("n_tokens", ctypes.c_int32),
        ("token", ctypes.POINTER(ctypes.c_int32)),
        ("embd", ctypes.c_void_p),
        ("pos", ctypes.POINTER(ctypes.c_int32)),
        ("n_seq_id", ctypes.POINTER(ctypes.c_int32)),
        ("seq_id", ctypes.POINTER(ctypes.POINTER(ctypes.c_int32))),
        ("logits", ctypes.POINTER(ctypes.c_int8)),
    ]


class Llama:
    """The few calls that are needed of libllama."""

    # Offsets in llama_context_params of release v0.5.0, with the defaults that must be found there.
    CONTEXT = {
        "n_ctx": (0, 512),
        "n_batch": (4, 2048),
        "n_ubatch": (8, 512),
        "n_threads": (28, 4),
        "n_batch_threads": (32, 4),
    }

    def __init__(self, folder, model, threads):
        libraries = [next(folder.glob(name)) for name in ("libggml-base.so", "libggml.v*.so", "libllama.v*.so")]
        self.loaded = [ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL) for path in libraries]
        _, ggml, lib = self.loaded
        self.lib = lib
        ggml.ggml_backend_load_all_from_path(str(folder).encode())
        self.quiet = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)(lambda *_: None)
        lib.llama_log_set(self.quiet, None)
        lib.llama_model_default_params.restype = Opaque
        lib.llama_model_load_from_file.restype = ctypes.c_void_p
        lib.llama_model_load_from_file.argtypes = [ctypes.c_char_p, Opaque]
        self.model = ctypes.c_void_p(
            lib.llama_model_load_from_file(str(model).encode(), lib.llama_model_default_params())
        )
        assert self.model.value, "llama.cpp cannot load the model"
        lib.llama_model_get_vocab.restype = ctypes.c_void_p
        self.vocab = ctypes.c_void_p(lib.llama_model_get_vocab(self.model))
        self.size = lib.llama_vocab_n_tokens(self.vocab)
        lib.llama_context_default_params.restype = Opaque
        params = lib.llama_context_default_params()
        for name, (offset, value) in self.CONTEXT.items():
            assert params.int_at(offset) == value, f"another release of llama.cpp: {name} is not where it was"
        values = {"n_ctx": 4096, "n_batch": 4096, "n_ubatch": 512, "n_threads": threads, "n_batch_threads": threads}
        for name, value in values.items():
            params.set_int(self.CONTEXT[name][0], value)
        lib.llama_init_from_model.restype = ctypes.c_void_p
        lib.llama_init_from_model.argtypes = [ctypes.c_void_p, Opaque]
        self.context = ctypes.c_void_p(lib.llama_init_from_model(self.model, params))
        assert self.context.value, "llama.cpp cannot make a context"
        lib.llama_get_logits_ith.restype = ctypes.POINTER(ctypes.c_float)
        lib.llama_get_memory.restype = ctypes.c_void_p
        lib.llama_memory_clear.argtypes = [ctypes.c_void_p, ctypes.c_bool]
        lib.llama_decode.argtypes = [ctypes.c_void_p, Batch]

    def tokenize(self, text):
        raw = text.encode()
        room = len(raw) + 8
        ids = (ctypes.c_int32 * room)()
        count = self.lib.llama_tokenize(self.vocab, raw, len(raw), ids, room, ctypes.c_bool(False), ctypes.c_bool(True))
        assert count >= 0
        return list(ids[:count])

    def clear(self):
        self.lib.llama_memory_clear(self.lib.llama_get_memory(self.context), True)

    def feed(self, tokens, start, every=False):
        """Logits of the last token, or of every token."""
        count = len(tokens)
        zero = (ctypes.c_int32 * 1)(0)
        row = ctypes.POINTER(ctypes.c_int32)
        batch = Batch(
            count,
            (ctypes.c_int32 * count)(*tokens),
            None,
            (ctypes.c_int32 * count)(*range(start, start + count)),
            (ctypes.c_int32 * count)(*[1] * count),
            (row * count)(*[ctypes.cast(zero, row)] * count),
            (ctypes.c_int8 * count)(*[int(every or i == count - 1) for i in range(count)]),
        )
        assert self.lib.llama_decode(self.context, batch) == 0
        wanted = range(count) if every else [count - 1]
        return numpy.array(
            [
                numpy.ctypeslib.as_array(self.lib.llama_get_logits_ith(self.context, i), (self.size,)).copy()
                for i in wanted
            ]
        )


def greedy(llama, prompt, steps):
    """The best token at each step and how far its logit lies above the second."""
    llama.clear()
    logits = llama.feed(prompt, 0)[0]
    ids, gaps = [], []
    for step in range(steps):
        second, first = numpy.partition(logits, -2)[-2:]
        ids.append(int(numpy.argmax(logits)))
        gaps.append(round(float(first - second), 4))
        logits = llama.feed([ids[-1]], len(prompt) + step)[0]
    return ids, gaps


def perplexity(llama, tokens):
    """exp of the mean negative log-likelihood of every token but the first, in one context."""
    llama.clear()
    logits = llama.feed(tokens, 0, every=True).astype(numpy.float64)[:-1]
    top = logits.max(axis=1, keepdims=True)
    totals = top[:, 0] + numpy.log(numpy.exp(logits - top).sum(axis=1))
    chosen = logits[numpy.arange(len(tokens) - 1), tokens[1:]]
    return math.exp(float((totals - chosen).mean()))


def chat_template(path):
    """The template out of the GGUF, read by hand."""
    data = path.read_bytes()[: 1 << 24]
    key = b"tokenizer.chat_template"
    at = data.index(key) + len(key) + 4
    (length,) = struct.unpack_from("<Q", data, at)
    return data[at + 8 : at + 8 + length].decode()


def with_pre(path, name, target):
    """The same file with another `tokenizer.ggml.pre`; spaces after the licence's name keep every offset as it was."""
    data = path.read_bytes()
    head, rest = data[: 1 << 24], data[1 << 24 :]

    def replaced(head, key, change):
        at = head.index(key) + len(key) + 4
        (length,) = struct.unpack_from("<Q", head, at)
        value = change(head[at + 8 : at + 8 + length])
        return head[:at] + struct.pack("<Q", len(value)) + value + head[at + 8 + length :]

    room = len("smollm") - len(name)
    head = replaced(head, b"tokenizer.ggml.pre", lambda _: name.encode())
    head = replaced(head, b"general.license", lambda own: own + b" " * room if room >= 0 else own[:room])
    assert len(head) + len(rest) == len(data)
    target.write_bytes(head + rest)


def splits(path, folder):
    """Token ids of the same vocabulary under the other splits that Encaje knows."""
    values = {}
    for name in ("gpt-2", "llama-bpe", "qwen2"):
        with tempfile.TemporaryDirectory() as scratch:
            target = pathlib.Path(scratch) / "model.gguf"
            with_pre(path, name, target)
            llama = Llama(folder, target, 1)
            values[name] = [{"text": text, "ids": llama.tokenize(text)} for text in TOKENIZED]
    return values


def chat(path, folder, threads):
    llama = Llama(folder, path, threads)
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(chat_template(path))
    prompts = []
    for name, turns in PROMPTS.items():
        messages = [{"role": role, "content": content} for role, content in turns]
        rendered = template.render(messages=messages, add_generation_prompt=True)
        ids = llama.tokenize(rendered)
        answer, gaps = greedy(llama, ids, STEPS)
        prompts.append(
            {"name": name, "messages": messages, "rendered": rendered, "ids": ids, "greedy": answer, "gaps": gaps}
        )
    text = llama.tokenize((HERE / "perplexity.txt").read_text())[:PERPLEXITY_TOKENS]
    assert len(text) == PERPLEXITY_TOKENS, f"perplexity.txt has {len(text)} tokens only"
    return {
        "model": path.resolve().name,
        "reference": "llama.cpp release v0.5.0, prebuilt in npm @node-llama-cpp/linux-x64 3.22.1",
        "tokenized": [{"text": text, "ids": llama.tokenize(text)} for text in TOKENIZED],
        "splits": splits(path, folder),
        "prompts": prompts,
        "perplexity": {"tokens": PERPLEXITY_TOKENS, "value": perplexity(llama, text)},
    }


def speed(path, folder, threads, prompt_tokens, steps):
    """Tokens a second of llama.cpp, by the clock and by the processor time that they took: prompt and answer."""
    llama = Llama(folder, path, threads)
    text = llama.tokenize((HERE / "perplexity.txt").read_text())[:prompt_tokens]

    def prefill():
        llama.clear()
        llama.feed(text, 0)

    def decode():
        llama.clear()
        llama.feed(text[:64], 0)
        for step in range(steps):
            llama.feed([text[step]], 64 + step)

    for name, count, work in (("prefill", len(text), prefill), ("decode", steps, decode)):
        best = [0.0, 0.0]
        for _ in range(3):
            clock, used = time.perf_counter(), time.process_time()
            work()
            best[0] = max(best[0], count / (time.perf_counter() - clock))
            best[1] = max(best[1], count / (time.process_time() - used))
        print(f"llama.cpp, {threads} thread(s), {name} of {count}: {best[0]:.1f} tokens/s, {best[1]:.1f} a CPU second")


class WordPiece:
    """BERT's uncased tokenizer, written down from its description."""

    def __init__(self, path):
        self.ids = {word: i for i, word in enumerate(path.read_text().split("\n")) if word or i == 0}

    @staticmethod
    def words(text):
        spaced = []
        for c in text:
            category = unicodedata.category(c)
            if c in "\t\n\r" or category == "Zs":
                spaced.append(" ")
            elif c in "\0\ufffd" or category.startswith("C"):
                continue
            elif (
                0x3400 <= ord(c) <= 0x4DBF
                or 0x4E00 <= ord(c) <= 0x9FFF
                or 0xF900 <= ord(c) <= 0xFAFF
                or 0x20000 <= ord(c) <= 0x2FA1F
            ):
                spaced.append(f" {c} ")
            else:
                spaced.append(c)
        plain = "".join(
            c for c in unicodedata.normalize("NFD", "".join(spaced).lower()) if unicodedata.category(c) != "Mn"
        )
        split = []
        for c in plain:
            ascii_sign = 33 <= ord(c) <= 47 or 58 <= ord(c) <= 64 or 91 <= ord(c) <= 96 or 123 <= ord(c) <= 126
            split.append(f" {c} " if ascii_sign or unicodedata.category(c).startswith("P") else c)
        return "".join(split).split()

    def pieces(self, word):
        if len(word) > 100:
            return [self.ids["[UNK]"]]
        found, start = [], 0
        while start < len(word):
            end = len(word)
            while end > start:
                piece = ("##" if start else "") + word[start:end]
                if piece in self.ids:
                    break
                end -= 1
            if end == start:
                return [self.ids["[UNK]"]]
            found.append(self.ids[piece])
            start = end
        return found

    def encode(self, text):
        inner = [piece for word in self.words(text) for piece in self.pieces(word)]
        return [self.ids["[CLS]"], *inner, self.ids["[SEP]"]]


def read_safetensors(path):
    data = path.read_bytes()
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + length])
    body = data[8 + length :]
    tensors = {}
    for name, about in header.items():
        if name != "__metadata__" and about["dtype"] == "F32":
            start, end = about["data_offsets"]
            tensors[name] = (
                numpy.frombuffer(body[start:end], numpy.float32).reshape(about["shape"]).astype(numpy.float64)
            )
    return tensors


def sentence_vector(weights, config, ids):
    """BERT, mean over all tokens, L2-normalised, all in float64."""
    heads, width = config["num_attention_heads"], config["hidden_size"]
    erf = numpy.vectorize(math.erf)

    def norm(x, name):
        centred = x - x.mean(-1, keepdims=True)
        scaled = centred / numpy.sqrt((centred**2).mean(-1, keepdims=True) + config["layer_norm_eps"])
        return scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    def linear(x, name):
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    x = weights["embeddings.word_embeddings.weight"][ids] + weights["embeddings.position_embeddings.weight"][: len(ids)]
    x = norm(x + weights["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
    for layer in range(config["num_hidden_layers"]):
        at = f"encoder.layer.{layer}"
        q, k, v = (
            linear(x, f"{at}.attention.self.{part}").reshape(len(ids), heads, width // heads).transpose(1, 0, 2)
            for part in ("query", "key", "value")
        )
        scores = q @ k.transpose(0, 2, 1) / math.sqrt(width // heads)
        scores = numpy.exp(scores - scores.max(-1, keepdims=True))
        mixed = (scores / scores.sum(-1, keepdims=True)) @ v
        attended = linear(mixed.transpose(1, 0, 2).reshape(len(ids), width), f"{at}.attention.output.dense")
        x = norm(x + attended, f"{at}.attention.output.LayerNorm")
        inner = linear(x, f"{at}.intermediate.dense")
        inner = inner * 0.5 * (1 + erf(inner / math.sqrt(2)))
        x = norm(x + linear(inner, f"{at}.output.dense"), f"{at}.output.LayerNorm")
    mean = x.mean(0)
    return mean / numpy.linalg.norm(mean)


def sentences(folder):
    config = json.loads((folder / "config.json").read_text())
    weights = read_safetensors(folder / "model.safetensors")
    tokenizer = WordPiece(folder / "vocab.txt")
    paragraphs = (HERE / "perplexity.txt").read_text().split("\n\n")
    texts = [*SENTENCES, paragraphs[0], " ".join(" ".join(paragraphs[:3]).split()[:215])]
    values = []
    for text in texts:
        ids = tokenizer.encode(text)
        assert len(ids) <= 256, f"{len(ids)} tokens"
        vector = sentence_vector(weights, config, ids)
        values.append({"text": text, "ids": ids, "vector": [round(float(x), 7) for x in vector]})
    return {"model": "all-MiniLM-L6-v2", "reference": "numpy float64, generate.py", "sentences": values}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gguf", type=pathlib.Path, required=True)
    parser.add_argument("--minilm", type=pathlib.Path, help="folder with config.json, model.safetensors, vocab.txt")
    parser.add_argument("--llama", type=pathlib.Path, required=True, help="folder with llama.cpp's shared libraries")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--speed", action="store_true", help="only measure llama.cpp's tokens a second")
    arguments = parser.parse_args()
    if arguments.speed:
        speed(arguments.gguf, arguments.llama.resolve(), arguments.threads, 512, 128)
        return
    results = {"smollm2.json": chat(arguments.gguf, arguments.llama.resolve(), arguments.threads)}
    if arguments.minilm:
        results["minilm.json"] = sentences(arguments.minilm)
    for name, value in results.items():
        (HERE / name).write_text(json.dumps(value, ensure_ascii=False, indent=None, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
