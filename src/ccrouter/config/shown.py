"""A configuration's text as it may be shown, and a shown text that was edited made whole again. Opens no file.

Shown is the text itself, byte for byte, but for the secrets in it: those of values, of members' names, of comments and
of values that do not count as their key is written twice. What is put back is what the old text has at the same place.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping

from ccrouter.config.masking import mask
from ccrouter.config.restore import keep_secrets
from ccrouter.config.rewrite import is_same, rewrite
from ccrouter.config.spans import Node, ScanError, scan
from ccrouter.config.syntax import parse
from ccrouter.errors import ConfigError, Problem
from ccrouter.jsontypes import Json, JsonObject
from ccrouter.secret import MASK, Redactor, Secret

#: How problems name what is to be written.
EDITED = "the edited text"

_TOKEN = re.compile(r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|(?P<comment>//[^\n\r\u2028\u2029]*|/\*.*?\*/)""", re.DOTALL)
_WORD = re.compile(r"""[^\s"',;:(){}\[\]=]{6,}""")
_KEY = re.compile(r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^\s:]+""", re.DOTALL)

#: A piece of a text, and what stands there instead.
Edit = tuple[int, int, str]


def show(text: str, secrets: Iterable[Secret] = ()) -> str:
    """`text` without secrets: neither those that can be told, nor `secrets`.

    Raises ConfigError for a text that is not JSON5, or that the scanner does not understand: of such a one nobody can
    tell where its secrets are.
    """
    if not text.strip():
        return text
    root, hidden = _scan(text), Redactor(secrets)
    edits = [*_edits(root, _redacted(mask(_object(root)), hidden), {}), *_dead_edits(root)]
    edits += [(start, end, shown) for start, end, was, shown in _comments(text, root, hidden) if was != shown]
    return hidden.redact(_applied(text, edits))


def restore(new: str, old: str, environ: Mapping[str, str], secrets: Iterable[Secret] = ()) -> str:
    """`new`, that is `show(old)` after somebody edited it, with what `old` has in the place of masks; else as it is.

    Raises ConfigError with every place at which something is masked and `old` has nothing to put there, and for a `new`
    that is not JSON5.
    """
    secrets = tuple(secrets)
    if new == old or new == show(old, secrets):
        return old
    kept_comments = _with_comments(new, old, secrets)
    tree = parse(kept_comments, EDITED).tree
    before = parse(old, EDITED).tree if old.strip() else {}
    wanted = keep_secrets(before, tree, environ)
    try:
        root = scan(kept_comments)
        written = _written(scan(old)) if old.strip() else {}
        edits = [*_edits(root, wanted, written), *_revived(root, old)]
        text = _applied(kept_comments, edits)
        if is_same(parse(text, EDITED).tree, wanted):
            return text
    except ScanError:
        pass  # the parser understands more than the scanner: the other way of writing it needs no scanner
    return rewrite(kept_comments, wanted)


def changed_secrets(old: str, new: str) -> list[str]:
    """The places of values that `old` and `new` both have, that differ, and whose difference cannot be shown."""
    try:
        before, after = parse(old, EDITED).tree, parse(new, EDITED).tree
    except ConfigError:
        return []
    return list(_differences(before, after, mask(before), mask(after), ""))


def literal_secrets(text: str) -> list[str]:
    """The places at which a secret itself is written, and no variable that holds it. Raises ConfigError as `show`."""
    tree = parse(text, EDITED).tree if text.strip() else {}
    return list(_masked_places(tree, mask(tree), ""))


def _scan(text: str) -> Node:
    parse(text, EDITED)
    try:
        return scan(text)
    except ScanError:
        words = "cannot be shown: where its values stand cannot be told for certain"
        raise ConfigError([Problem(EDITED, "", words, "edit the file in an editor")]) from None


def _object(root: Node) -> JsonObject:
    assert isinstance(root.value, dict)  # as `parse` demands
    return root.value


def _redacted(node: Json, hidden: Redactor) -> Json:
    if isinstance(node, str):
        return hidden.redact(node)
    if isinstance(node, list):
        return [_redacted(one, hidden) for one in node]
    if isinstance(node, dict):
        return {key: _redacted(value, hidden) for key, value in node.items()}
    return node


def _applied(text: str, edits: Iterable[Edit]) -> str:
    parts, at = [], 0
    for start, end, instead in sorted(edits):
        parts += [text[at:start], instead]
        at = end
    return "".join([*parts, text[at:]])


def _edits(node: Node, wanted: Json, written: Mapping[str, str]) -> Iterator[Edit]:
    """What makes `node` mean `wanted`, which has the same shape. `written` says how some values were written."""
    entries = node.entries
    if entries is None:
        if not is_same(node.value, wanted):
            yield node.start, node.end, _quoted(wanted, node.text, written)
    elif isinstance(node.value, dict) and isinstance(wanted, dict):
        names = dict(zip(node.value, wanted, strict=True))
        counting = {entry.name: entry for entry in entries}
        for entry in counting.values():
            name = names[entry.name]
            if name != entry.name:
                start = entry.node.start - len(entry.head)
                found = _KEY.match(entry.head)
                yield start, start + (found.end() if found else 0), json.dumps(name, ensure_ascii=False)
            yield from _edits(entry.node, wanted[name], written)
    elif isinstance(wanted, list):
        for entry, value in zip(entries, wanted, strict=True):
            yield from _edits(entry.node, value, written)


def _quoted(value: Json, before: str, written: Mapping[str, str]) -> str:
    """`value` as it was written, else in the quotes that stand there now."""
    if isinstance(value, str) and value in written:
        return written[value]
    text = json.dumps(value, ensure_ascii=False)
    if before.startswith("'") and isinstance(value, str) and "'" not in value and "\\" not in text:
        return f"'{value}'"
    return text


def _written(root: Node) -> dict[str, str]:
    """How texts are written whose plain form would be another."""
    found: dict[str, str] = {}

    def visit(node: Node) -> None:
        if isinstance(node.value, str) and node.entries is None:
            found.setdefault(node.value, node.text)
        for entry in node.entries or ():
            visit(entry.node)

    visit(root)
    return found


def _dead(node: Node, *, is_dead: bool = False) -> Iterator[Node]:
    """The texts below keys that are written again, and so do not count, in the order in which they stand."""
    if node.entries is None:
        if is_dead and isinstance(node.value, str):
            yield node
        return
    counting = {entry.name: entry for entry in node.entries} if isinstance(node.value, dict) else {}
    for entry in node.entries:
        overruled = bool(counting) and counting[entry.name] is not entry
        yield from _dead(entry.node, is_dead=is_dead or overruled)


def _dead_edits(root: Node) -> Iterator[Edit]:
    for node in _dead(root):
        yield node.start, node.end, _quoted(MASK, node.text, {})


def _revived(root: Node, old: str) -> Iterator[Edit]:
    """What `old` has in values that do not count, put back in order; refused where there are others than before."""
    masked = [node for node in _dead(root) if node.value == MASK]
    if not masked:
        return
    before = list(_dead(scan(old))) if old.strip() else []
    if len(before) != len(masked):
        words = "a key is written twice, and of the first of them the value is masked: take one of the two away"
        raise ConfigError([Problem(EDITED, "", words)])
    for node, was in zip(masked, before, strict=True):
        yield node.start, node.end, was.text


def _comments(text: str, root: Node, hidden: Redactor) -> list[tuple[int, int, str, str]]:
    """Each comment: where it begins and ends, as it is and as it is shown."""
    found = [(one.start(), one.end(), one[0]) for one in _TOKEN.finditer(text) if one["comment"]]
    if not found:
        return []
    tree = _object(root)
    whole = _masked([comment for _, _, comment in found], tree)
    words = list(dict.fromkeys(word for comment in whole for word in _WORD.findall(comment)))
    shown = dict(zip(words, _masked(words, tree), strict=True))
    return [
        (start, end, was, hidden.redact(_WORD.sub(lambda word: shown[word[0]], masked)))
        for (start, end, was), masked in zip(found, whole, strict=True)
    ]


def _masked(texts: list[str], tree: JsonObject) -> list[str]:
    """`texts` as they are shown beside `tree`: without the secrets that it holds, and without what has their form."""
    name = "comments of the file"
    told = mask({**tree, name: list(texts)})[name]
    return [str(one) for one in told] if isinstance(told, list) else []


def _with_comments(new: str, old: str, secrets: tuple[Secret, ...]) -> str:
    """`new` with the comments of `old` in the place of how they were shown.

    Raises ConfigError if a comment with a mask was changed: what stood there would be lost.
    """
    if not old.strip():
        return new
    all_shown = _comments(old, _scan(old), Redactor(secrets))
    waiting: defaultdict[str, deque[str]] = defaultdict(deque)
    known = {was for _, _, was, _ in all_shown}
    for _, _, was, shown in all_shown:
        if was != shown:
            waiting[shown].append(was)
    if not waiting:
        return new
    edits: list[Edit] = []
    foreign: list[int] = []
    for token in _TOKEN.finditer(new):
        comment = token["comment"]
        if not comment or MASK not in comment:
            continue
        if waiting[comment]:
            edits.append((token.start(), token.end(), waiting[comment].popleft()))
        elif comment not in known:
            foreign.append(new.count("\n", 0, token.start()) + 1)
    if foreign and any(waiting.values()):
        words = f"a comment holds {MASK}, which stands for something in the file, and was changed"
        hint = "leave such a comment as it is, or take the masked words out of it"
        raise ConfigError([Problem(EDITED, f"line {line}", words, hint) for line in foreign])
    return _applied(new, edits)


def _differences(old: Json, new: Json, old_shown: Json, new_shown: Json, path: str) -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        assert isinstance(old_shown, dict)
        assert isinstance(new_shown, dict)
        shown = dict(zip(old, old_shown.values(), strict=True)), dict(zip(new, new_shown.values(), strict=True))
        for key in (name for name in old if name in new):
            yield from _differences(old[key], new[key], shown[0][key], shown[1][key], f"{path}.{key}" if path else key)
    elif isinstance(old, list) and isinstance(new, list):
        assert isinstance(old_shown, list)
        assert isinstance(new_shown, list)
        for index, four in enumerate(zip(old, new, old_shown, new_shown, strict=False)):
            yield from _differences(*four, f"{path}[{index}]")
    elif old != new and old_shown == new_shown:
        yield path


def _masked_places(tree: Json, shown: Json, path: str) -> Iterator[str]:
    if isinstance(tree, dict) and isinstance(shown, dict):
        for value, (label, masked) in zip(tree.values(), shown.items(), strict=True):
            yield from _masked_places(value, masked, f"{path}.{label}" if path else label)
    elif isinstance(tree, list) and isinstance(shown, list):
        for index, pair in enumerate(zip(tree, shown, strict=True)):
            yield from _masked_places(*pair, f"{path}[{index}]")
    elif tree != shown:
        yield path
