"""What happened, kept: every exchange in one SQLite file, written by a thread of its own and read by reports.

Nothing here is asked before an answer goes out, and nothing that fails here fails a request.
"""
