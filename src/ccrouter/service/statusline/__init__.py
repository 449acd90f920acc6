"""The line that Claude Code shows below its prompt: what it is made of, and how it is written.

It is asked for every few hundred milliseconds, by a process of its own each time. So these modules import next to
nothing: neither click nor msgspec nor pathlib, no dataclasses and no typing.
"""
