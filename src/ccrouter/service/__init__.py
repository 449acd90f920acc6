"""The background process, the files that tell where it runs, and the environment `claude` is given. Prints nothing."""
