"""CLIP's words to ids, by `tokenizers` alone and as transformers would: or None where its files ask for more than that."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from connector.engine import documents

if TYPE_CHECKING:
    from tokenizers import AddedToken, Tokenizer

_AS_IT_IS = {"PreTrainedTokenizerFast", "TokenizersBackend"}
_CLIPS = {"CLIPTokenizer", "CLIPTokenizerFast"}
_NAMED = ("bos_token", "eos_token", "unk_token", "pad_token")
_CLIPS_OWN = dict(
    zip(_NAMED, ("<|startoftext|>", "<|endoftext|>", "<|endoftext|>", "<|endoftext|>"), strict=True)
)

# What transformers' CLIPTokenizer does to a text, whatever a tokenizer.json of that class says.
_PARTS = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"

_IGNORED = frozenset(
    {
        *_NAMED,
        *(
            "add_prefix_space",
            "added_tokens_decoder",
            "backend",
            "clean_up_tokenization_spaces",
            "do_lower_case",
        ),
        *("errors", "is_local", "local_files_only", "model_input_names", "model_max_length", "name_or_path"),
        *("processor_class", "special_tokens_map_file", "tokenizer_class", "tokenizer_file", "trim_offsets"),
        *("transformers_version", "max_length", "stride", "truncation_strategy", "pad_to_multiple_of"),
        "pad_token_type_id",
    }
)
"""Settings of a tokenizer_config.json that are read here, or change no id."""

_MODEL_INPUTS = (["input_ids", "attention_mask"], ["input_ids", "token_type_ids", "attention_mask"])


@dataclasses.dataclass(frozen=True)
class Words:
    """A tokenizer, safe to use from several threads: nothing about it changes any more.

    Attributes:
        longest: how many ids a text has at most, start and end included.
        padding: the id that transformers fills short texts up with.
        highest: of all its ids.
    """

    tokenizer: Tokenizer
    longest: int
    padding: int
    highest: int

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Each text's ids: start and end of text included, cut to what the model reads, not padded."""
        # One by one: a batch would start threads of the tokenizer's own beside those that embed.
        return [list(self.tokenizer.encode(text).ids) for text in texts]


def read(folder: Path, kind: str, longest: int | None = None) -> Words | None:
    """Read a folder's tokenizer.

    Args:
        folder: where config.json is.
        kind: the config's model_type, which is part of how transformers chooses a tokenizer's class.
        longest: how many ids a text may have, start and end included; by default what the tokenizer says.
    """
    settings = documents.read(folder / "tokenizer_config.json")
    if settings is None or not _plain(settings):
        return None
    length = longest or settings.get("model_max_length")
    if not isinstance(length, int) or length < 2:
        return None
    name = settings.get("tokenizer_class")
    file = documents.read(folder / "tokenizer.json")
    named = _named(settings, documents.read(folder / "special_tokens_map.json") or {})
    if named is None or (folder / "added_tokens.json").is_file():
        return None
    made = None
    if name in _AS_IT_IS and file is not None:
        made = _as_it_is(file, settings, named)
    elif kind == "clip" and (name is None or name in _CLIPS):
        made = _clips(folder, file, settings, named)
    if made is None:
        return None
    fill = named["pad_token"]["content"] if "pad_token" in named else _CLIPS_OWN["pad_token"]
    padding = made.token_to_id(fill)
    if padding is None:
        return None
    made.no_padding()
    made.enable_truncation(length, strategy="longest_first")
    return Words(made, length, padding, max(made.get_vocab().values()))


def _plain(settings: Mapping[str, Any]) -> bool:
    """Whether a tokenizer_config.json asks for nothing that is not done here."""
    asked = {key for key, value in settings.items() if value not in (None, False, [], {})}
    return (
        asked <= _IGNORED | {"padding_side", "truncation_side"}
        and settings.get("padding_side", "right") == "right"
        and settings.get("truncation_side", "right") == "right"
        and settings.get("model_input_names", _MODEL_INPUTS[0]) in _MODEL_INPUTS
    )


def _named(settings: Mapping[str, Any], listed: Mapping[str, Any]) -> dict[str, dict[str, Any]] | None:
    """The start, the end, the unknown and the padding: each with how it is to be found in a text."""
    if "added_tokens_decoder" in settings:
        listed = {}
    if not listed.keys() <= set(_NAMED):
        return None
    found = {}
    for name in _NAMED:
        value = listed.get(name) or settings.get(name)
        if value is not None:
            found[name] = _entry({"content": value} if isinstance(value, str) else value)
    return found


def _entry(token: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: bool(token.get(name, False)) for name in ("single_word", "lstrip", "rstrip", "normalized")}
    return {"content": token["content"], **kept}


def _as_it_is(
    file: Mapping[str, Any], settings: Mapping[str, Any], named: Mapping[str, Mapping[str, Any]]
) -> Tokenizer | None:
    from tokenizers import Tokenizer

    added = {each["id"]: each for each in file.get("added_tokens", [])}
    special = {each["content"] for each in added.values() if each.get("special")}
    # What a file lacks of them transformers would add, each with an id of its own.
    if not {each["content"] for each in named.values()} <= special:
        return None
    also = settings.get("added_tokens_decoder") or {}
    if any(_entry(added.get(int(key), {"content": None})) != _entry(token) for key, token in also.items()):
        return None
    if file.get("truncation") or file.get("padding") or not file.get("post_processor"):
        return None
    if settings.get("do_lower_case") or settings.get("add_prefix_space"):
        return None
    return Tokenizer.from_str(json.dumps(file))


def _clips(
    folder: Path,
    file: Mapping[str, Any] | None,
    settings: Mapping[str, Any],
    named: Mapping[str, Mapping[str, Any]],
) -> Tokenizer | None:
    """Build what transformers' CLIPTokenizer is: of a tokenizer.json it takes the words and their merges alone."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

    parts = _merges(folder, file)
    if parts is None:
        return None
    words, merges = parts
    contents = {name: named[name]["content"] if name in named else own for name, own in _CLIPS_OWN.items()}
    added = _added(file, settings, named, contents)
    if added is None or not set(contents.values()) <= words.keys():
        return None
    end, start = contents["eos_token"], contents["bos_token"]
    byte_pairs = models.BPE(
        vocab=words,
        merges=merges,
        continuing_subword_prefix="",
        end_of_word_suffix="</w>",
        fuse_unk=False,
        unk_token=contents["unk_token"],
    )
    made: Any = Tokenizer(byte_pairs)
    made.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PARTS), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    made.add_tokens(added)
    made.post_processor = processors.RobertaProcessing((end, words[end]), (start, words[start]), False, False)
    tokenizer: Tokenizer = made
    return tokenizer


def _merges(
    folder: Path, file: Mapping[str, Any] | None
) -> tuple[dict[str, int], list[tuple[str, str]]] | None:
    """The words with their ids, and which pairs of parts become one, in order."""
    from tokenizers import models

    if file is None:
        both = folder / "vocab.json", folder / "merges.txt"
        return models.BPE.read_file(*map(str, both)) if all(each.is_file() for each in both) else None
    model = file.get("model", {})
    if model.get("type", "BPE") != "BPE" or file.get("truncation") or file.get("padding"):
        return None
    words, merges = model.get("vocab"), model.get("merges")
    if not isinstance(words, dict) or not isinstance(merges, list):
        return None
    pairs = [each.split(" ") if isinstance(each, str) else each for each in merges]
    if not all(len(each) == 2 for each in pairs):
        return None
    return words, [(one, other) for one, other in pairs]


def _added(
    file: Mapping[str, Any] | None,
    settings: Mapping[str, Any],
    named: Mapping[str, Mapping[str, Any]],
    contents: Mapping[str, str],
) -> list[AddedToken] | None:
    """The tokens that are found in a text before it is cut into words; None where there are others than the named."""
    from tokenizers import AddedToken

    listed: dict[int, Mapping[str, Any]] = {}
    if "added_tokens_decoder" in settings:
        listed = {int(key): token for key, token in settings["added_tokens_decoder"].items()}
    elif file is not None:
        listed = {token["id"]: token for token in file.get("added_tokens", [])}
    entries = [_entry(listed[at]) for at in sorted(listed)]
    if not {each["content"] for each in entries} <= set(contents.values()):
        return None
    for name, content in contents.items():
        if all(each["content"] != content for each in entries):
            entries.append(dict(named.get(name) or _entry({"content": content})))
    return [AddedToken(**each, special=True) for each in entries]
