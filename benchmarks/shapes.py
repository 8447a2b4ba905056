"""The shapes of models whose memory is measured: families with different blocks, and sizes that people train."""

# By name: what the table calls it, and what stands in its config.json.
SHAPES = {
    "llama": (
        "Llama, large vocabulary",
        {
            "vocab_size": 49152,
            "hidden_size": 384,
            "intermediate_size": 1024,
            "num_hidden_layers": 4,
            "num_attention_heads": 6,
            "num_key_value_heads": 2,
            "head_dim": 64,
        },
    ),
    "qwen2": (
        "Qwen 2, deep",
        {
            "vocab_size": 12288,
            "hidden_size": 320,
            "intermediate_size": 896,
            "num_hidden_layers": 24,
            "num_attention_heads": 5,
            "num_key_value_heads": 1,
            "head_dim": 64,
        },
    ),
    "gemma3_text": (
        "Gemma 3, wide",
        {
            "vocab_size": 10240,
            "hidden_size": 1024,
            "intermediate_size": 4096,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 256,
        },
    ),
    "gemma2": (
        "Gemma 2",
        {
            "vocab_size": 10240,
            "hidden_size": 512,
            "intermediate_size": 2048,
            "num_hidden_layers": 4,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 128,
            "final_logit_softcapping": 30.0,
        },
    ),
    "phi3": (
        "Phi 3",
        {
            "vocab_size": 10240,
            "hidden_size": 512,
            "intermediate_size": 2048,
            "num_hidden_layers": 4,
            "num_attention_heads": 8,
            "num_key_value_heads": 8,
            "head_dim": 64,
        },
    ),
    "qwen3_moe": (
        "Qwen 3 MoE",
        {
            "vocab_size": 10240,
            "hidden_size": 512,
            "moe_intermediate_size": 512,
            "num_hidden_layers": 3,
            "num_attention_heads": 8,
            "num_key_value_heads": 2,
            "head_dim": 64,
            "num_experts": 8,
            "num_experts_per_tok": 2,
        },
    ),
}

# Those of Qwen 2.5, from 0.5 to 7 billion parameters: for a graphics card.
_QWEN = {"model_type": "qwen2", "vocab_size": 151936, "max_position_embeddings": 32768}
SIZES = {
    "0.5B": (896, 4864, 24, 14, 2, {}),
    "1.5B": (1536, 8960, 28, 12, 2, {}),
    "3B": (2048, 11008, 36, 16, 2, {}),
    "7B": (3584, 18944, 28, 28, 4, {"tie_word_embeddings": False, "vocab_size": 152064}),
}
for _size, (_hidden, _inner, _layers, _heads, _kv_heads, _more) in SIZES.items():
    SHAPES[_size] = (
        f"Qwen 2.5, {_size[:-1]} B",
        {
            **_QWEN,
            "hidden_size": _hidden,
            "intermediate_size": _inner,
            "num_hidden_layers": _layers,
            "num_attention_heads": _heads,
            "num_key_value_heads": _kv_heads,
            **_more,
        },
    )
