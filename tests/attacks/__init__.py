"""Attacks on the promise of a policy: nothing leaves through the router but what it allows. Each is numbered and named.

Whoever is not approved is a real listener that counts the connections that it accepts; after every attack the count
must be zero.
"""
