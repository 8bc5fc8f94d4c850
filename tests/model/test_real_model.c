/*
 * test_real_model.c - the real SmolLM2-135M-Instruct (Q4_1 GGUF) agrees with transformers on 24 prompts: same most likely token,
 * logits within 2e-4 in f32.
 *
 * tools/get-real-models fetches the model; tools/compare/gguf_to_folder.py and smollm2_prompts.py make the reference. Skips where
