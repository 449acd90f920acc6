"""Transforms: opinions about requests and answers, by the names that configurations use. Pure."""
