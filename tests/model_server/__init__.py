"""A server that speaks Ollama's API (v0.33) and OpenAI's, with a small obedient model inside: a process of its own.

    python -m tests.model_server --port 11434
    python -m tests.model_server --models llama3.1:8b,qwen3:4b --faults 500:3,hang:1 --slots 2 --decode-rate 40

For tests, and to try the app by hand without a language model. It prints its port. What was asked is at /_test/calls;
POST /_test/faults {"faults": "500:3"} changes the faults while it runs, POST /_test/reset forgets all calls.
What Ollama and OpenAI do was read in their documents and in Ollama's source, v0.33.0-rc2.
"""
