"""The registry of commands: a name, the module that is imported when it is called, and its one line of help."""

from __future__ import annotations

#: Name -> (module with a `command`, summary). The order is that of the help.
COMMANDS: dict[str, tuple[str, str]] = {
    "start": ("ccrouter.cli.start", "Start the router in this terminal (or --daemon)"),
    "stop": ("ccrouter.cli.stop", "Stop the router"),
    "restart": ("ccrouter.cli.restart", "Stop the router and start it in the background"),
    "status": ("ccrouter.cli.status", "Show whether it runs, where, and with which routes"),
    "health": ("ccrouter.cli.health", "Show how targets and keys are, and forget what is bad"),
    "code": ("ccrouter.cli.code", "Run Claude Code through the router; all arguments are claude's"),
    "activate": ("ccrouter.cli.activate", "Print the shell commands that point claude at the router"),
    "statusline": ("ccrouter.cli.statusline", "Print the line below Claude Code's prompt, from its JSON on stdin"),
    "ui": ("ccrouter.cli.ui", "Open the web interface, starting the router if it does not run"),
    "install": ("ccrouter.cli.install", "Write a config and its policy, unless there is one"),
    "providers": ("ccrouter.cli.providers", "List, add and remove providers, and find out what they can do"),
    "model": ("ccrouter.cli.model", "List the models, and choose which serves what"),
    "verify": ("ccrouter.cli.verify", "Verify the config, and what runs, against the policy"),
    "doctor": ("ccrouter.cli.doctor", "Look at everything that matters, and say what to do about it"),
    "drill": ("ccrouter.cli.drill", "Practise faults: what a client sees when your providers fail"),
    "logs": ("ccrouter.cli.logs", "Show and follow the log; list its files, set its level"),
    "usage": ("ccrouter.cli.usage", "Show requests, tokens and costs, by day, model, project and more"),
    "explain": ("ccrouter.cli.explain", "Tell what became of a request: route, attempts, losses"),
    "prices": ("ccrouter.cli.prices", "Tell what models cost, and where that is known from"),
    "audit": ("ccrouter.cli.audit", "Prove the audit log unbroken, or show its last lines"),
    "preset": ("ccrouter.cli.preset", "Install, show and make presets: `ccr NAME` runs claude with one"),
    "version": ("ccrouter.cli.version", "Print the version"),
    "help": ("ccrouter.cli.guidance", "Show this help, or that of a command"),
}

#: Other names of the same commands.
ALIASES: dict[str, str] = {"env": "activate"}
