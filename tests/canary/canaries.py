"""The secrets themselves. None is a real key; each is long, and unlike any other."""

from __future__ import annotations

from tests.canary.search import Canary

#: Keys, as they stand in configurations and environments. Names say where.
ANTHROPIC = Canary("a key shaped as Anthropic's", "sk-ant-api03-qV7mZk29xTbR4wYc8LhUe1NfSd6Gj5Pa-CANARY1")
OPENROUTER = Canary("a key shaped as OpenRouter's", "sk-or-v1-9f31c7d2e8b64a05c1d7f3928e6ab04dcanary2")
GOOGLE = Canary("a key shaped as Google's, from the environment", "AIzaSyDkx83QmWv72LtRbnYcE5hJf0ZsUgPoCANARY3")
PASSPHRASE = Canary("a key without the shape of one", "walrus.marmalade.trombone.isthmus.canary4")
REGEX = Canary("a key of characters that mean something in patterns", r'c5(a|n)+[a-r]*y{2,}.?^"\w<b>/&%2F+#~canary5')
NON_ASCII = Canary("a secret header beyond ASCII", "Kanarienvögel-mögen-Äpfel-und-Übermut-çanary6")
PASSWORD = Canary("the password in an endpoint's URL", "zeppelin-quartz-hibiscus-orbit-canary7")
QUERY = Canary("a key in an endpoint's query", "umbrella-saffron-glacier-lantern-canary8")
HEADER = Canary("a secret in a provider's header", "velvet-cinnamon-archipelago-moth-canary9")
EXTRA_BODY = Canary("a secret in extra_body", "pelican-obsidian-tangerine-quill-canary10")
DEFAULT = Canary("a key that is a variable's default", "lighthouse-nutmeg-bicycle-fjord-canary11")
PROXY = Canary("the password in a proxy's URL", "harpsichord-basalt-mango-ferry-canary12")
ROUTER = Canary("the router's own key", "gargoyle-paprika-monsoon-tulip-canary13")
NEAR_AN_ERROR = Canary("a key near a mistake in a file", "sextant-oregano-balcony-comet-canary14")
BYSTANDER = Canary("a key in the environment that no config names", "sk-proj-K3v9Rw2mXq8Zt5Yc1Lb7Nh4Jd6Fs0Gp-canary15")
TELEMETRY = Canary("the key of a collector", "marzipan-turbine-heather-sloop-canary28")

KEYS = (
    ANTHROPIC, OPENROUTER, GOOGLE, PASSPHRASE, REGEX, NON_ASCII, PASSWORD, QUERY, HEADER, EXTRA_BODY, DEFAULT, PROXY,
    ROUTER, NEAR_AN_ERROR, BYSTANDER, TELEMETRY,
)  # fmt: skip

#: What clients show that is not the router's to know, or to keep.
WRONG_KEY = Canary("a wrong router key", "cupola-wisteria-mackerel-daffodil-canary16")
OAUTH = Canary("a client's OAuth token", "sk-ant-oat01-Wm5Tq8Zx3Vb7Nc1Lk9Jh2Gf4Ds6Pa0Yr-canary17")
COOKIE = Canary("a client's cookie", "tambourine-lichen-gondola-spruce-canary18")
CUSTOM_HEADER = Canary("a client's header of its own", "parsnip-estuary-kaleidoscope-wren-canary19")
IN_QUERY = Canary("a key in the query of a client's URL", "thimble-avalanche-ginger-heron-canary20")

CREDENTIALS = (WRONG_KEY, OAUTH, COOKIE, CUSTOM_HEADER, IN_QUERY)

#: What is said, by either side.
SYSTEM = Canary("the system prompt", "Our patient in room twelve is allergic to penicillin, canary21.")
USER = Canary("the user's message", "The merger with Hollow Creek closes on the ninth, canary22.")
TOOL_RESULT = Canary("a tool's result", "ledger: payroll of the night shift 48,210.77 canary23")
TOOL = Canary("a tool's description", "Looks up the dossiers of witnesses under protection, canary24")
METADATA = Canary("the request's metadata", "account-of-theodora-vantongeren-canary25")
ANSWER = Canary("the model's answer", "Then sell the vineyard before the audit begins, canary26.")
THINKING = Canary("the model's thinking", "She has not told her brother about the letter, canary27.")

CONTENT = (SYSTEM, USER, TOOL_RESULT, TOOL, METADATA, ANSWER, THINKING)
