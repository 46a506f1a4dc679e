"""What a request asks for, as one value, and what is wrong with it before anything of it is read."""

from __future__ import annotations

import dataclasses
import hashlib

from connector.server.jobs.catalogue import ZERO_SHOT, JobModel
from connector.server.problems import Problem

MOST_CLASSES = 4096
LONGEST_TEXT = 1_000_000
"""Characters. Models read a few hundred and cut the rest, but only after they have split all of it into words."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ask:
    """What a request asks for; its pictures still as text."""

    task: str
    model: str
    batched: bool = False
    pictures: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()

    def digest(self) -> str:
        """The same for the same request, and for no other."""
        blake = hashlib.blake2b(repr((self.task, self.batched, len(self.pictures))).encode(), digest_size=16)
        for part in (self.model.replace("_", "-"), *self.pictures, *self.texts):
            blake.update(hashlib.blake2b(part.encode("utf-8", "surrogatepass"), digest_size=16).digest())
        return blake.hexdigest()


def check(ask: Ask, model: JobModel, most: int) -> None:
    """Refuse what can be refused before anything is read, as a `Problem` 422.

    Args:
        most: inputs that one job may have.
    """
    said = None
    if ask.task not in model.tasks:
        said = (
            "task_unsupported",
            f"Model {model.name!r} cannot do {ask.task}. It does {', '.join(model.tasks)}.",
        )
    elif ask.task == ZERO_SHOT and not ask.texts:
        said = ("classes_missing", "'classes' is missing or empty. Give the words to choose from.")
    elif ask.task == ZERO_SHOT and len(ask.texts) > MOST_CLASSES:
        said = ("batch_too_large", f"'classes' has {len(ask.texts):,} words. Give at most {MOST_CLASSES:,}.")
    elif max(len(ask.pictures), 0 if ask.task == ZERO_SHOT else len(ask.texts)) > most:
        said = ("batch_too_large", f"The job has more than {most} inputs. Send them as several jobs.")
    elif any(len(text) > LONGEST_TEXT for text in ask.texts):
        said = ("text_too_long", f"A text has more than {LONGEST_TEXT:,} characters. Cut it.")
    if said is not None:
        raise Problem(422, *said)
