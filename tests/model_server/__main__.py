"""The command line: see the package."""

import argparse
import sys

from tests.model_server import faults, ollama_api, openai_api
from tests.model_server.state import State
from tests.model_server.web import serve

HOW = """\
A test server, no language model: it rates by shared words. Ollama's API is at http://127.0.0.1:{port},
OpenAI's at http://127.0.0.1:{port}/v1; choose it in Winnow with --url or under Judge. Models: {models}. Stop it with Ctrl-C."""


def fault_list(text: str) -> list[faults.Fault]:
    try:
        return faults.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def parsed(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.model_server", description="Speaks Ollama's API and OpenAI's.")
    add = parser.add_argument
    add("--port", type=int, default=0, help="0: any free one")
    add("--models", default="llama3.1:8b", help="names with commas between; qwen3 and gpt-oss think, names with `embed` embed")
    add("--faults", default="", type=fault_list, metavar="KIND:N[:M],...", help=", ".join(faults.FAULTS))
    add("--slots", type=int, default=4, help="answers at once (OLLAMA_NUM_PARALLEL)")
    add("--queue", type=int, default=0, help="calls that may wait for a slot, more are refused; 0: any number")
    add("--delay", type=float, default=0.0, help="seconds an answer takes")
    add("--load", type=float, default=0.0, help="seconds to load a model")
    add("--prefill-rate", type=float, default=0.0, help="prompt tokens read per second; 0: at once")
    add("--decode-rate", type=float, default=0.0, help="answer tokens said per second; 0: at once")
    add("--order", choices=["sorted", "schema"], default="sorted", help="of the keys in an answer")
    add("--context", type=int, default=8192, help="tokens the models can read at most")
    add("--num-ctx", type=int, default=4096, help="window when a request names none, and always under /v1")
    add("--pull", type=float, default=0.2, help="seconds a pull takes")
    add("--pull-changes", action="store_true", help="a pulled model has another digest than before")
    add("--key", default="", help="API key that /v1 wants")
    add("--strict-schema", action="store_true", help="/v1 refuses what OpenAI's strict mode refuses in a schema")
    add("--unsupported", default="", help="parameters that /v1 refuses, with commas between")
    add("--retry-after", type=int, default=1, help="seconds that a 429 asks to wait")
    add("--forget", action="store_true", help="keep counts and hashes, no requests")
    return parser.parse_args(arguments)


def main() -> None:
    options = parsed()
    state = State(options)

    def started(port: int) -> None:
        print(port, flush=True)  # noqa: T201 - how the caller learns the port
        print(HOW.format(port=port, models=", ".join(state.models)), file=sys.stderr, flush=True)  # noqa: T201

    try:
        serve(state, ollama_api.ROUTES | openai_api.ROUTES, options.port, started)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
