"""`python -m credit_stream` is `credit-stream`."""

from credit_stream.cli import main

if __name__ == "__main__":
    main()
