"""JavaScript modules of the classic router, run by `node` in a process of their own."""
